"""Selects votes by a period of time and, optionally, by model, cohort, network and prompt.

A person excludes a selection of votes if the evidence names no single voter. A selection has one canonical text, by
which a later entry can undo the exclusion.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.scoring.window import COHORTS, NEW_ACCOUNT
from pipeline.store.cold import vote_table
from pipeline.store.cold.cold_votes import VoteFilter
from pipeline.store.db import dialect, schema
from pipeline.vocabulary.fates import COUNTED
from pipeline.vocabulary.time import format_rfc3339, parse_rfc3339
from pipeline.vocabulary.vote_flags import FREQUENT_PROMPT

_FILTERS = ("model", "cohort", "network", "prompt")
_HASH = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class VoteSelection:
    """Selects the votes that were cast in [first, end) and that satisfy every filter.

    A filter that is None is satisfied by all votes.

    Attributes:
        first, end: the period [first, end), in microseconds since 1970 UTC.
        model: name of one of the vote's two models, as the vote states it.
        cohort: a name in COHORTS.
        network: name of the vote's network.
        prompt: the prompt's hash of 32 bits in hexadecimal digits, as alerts show it. "DIGITS/BITS" compares only the
            last BITS bits.
    """

    first: int
    end: int
    model: str | None = None
    cohort: str | None = None
    network: str | None = None
    prompt: str | None = None

    def __post_init__(self) -> None:
        """Reject a selection that cannot match a vote.

        Raises:
            Usage: the period is empty, or the cohort or the prompt is invalid.
        """
        if self.first >= self.end:
            raise Usage(
                f"votes: expected `from` before `to`, got {format_rfc3339(self.first)} and {format_rfc3339(self.end)}"
            )
        if self.cohort is not None and self.cohort not in COHORTS:
            raise Usage(f"votes: expected a cohort among {', '.join(COHORTS)}, got {self.cohort!r}")
        if self.prompt is not None:
            prompt_bits(self.prompt)

    def __str__(self) -> str:
        """Return the canonical text of the selection, from which `parse` makes an equal selection."""
        chosen = {name: value for name in _FILTERS if (value := getattr(self, name)) is not None}
        return json.dumps(
            {"from": format_rfc3339(self.first), "to": format_rfc3339(self.end), **chosen}, ensure_ascii=False
        )

    @classmethod
    def parse(cls, text: str) -> VoteSelection:
        """Parse a selection from text.

        Args:
            text: the canonical text of a selection, or from=TIME,to=TIME[,model=…][,cohort=…][,network=…][,prompt=…].

        Raises:
            Usage: the text has neither form, or a value is invalid.
        """
        try:
            given = json.loads(text) if text.startswith("{") else dict(part.split("=", 1) for part in text.split(","))
            times = [str(given.pop(name)) for name in ("from", "to")]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Usage(f"votes: expected from=TIME,to=TIME and any of {', '.join(_FILTERS)}, got {text!r}") from None
        try:
            first, end = map(parse_rfc3339, times)
        except ValueError as error:
            raise Usage(f"votes: from and to: {error}") from None
        unknown = sorted(given.keys() - set(_FILTERS))
        if unknown:
            raise Usage(f"votes: expected filters among {', '.join(_FILTERS)}, got {unknown[0]!r}")
        return cls(first, end, **given)

    def table(self, connection: Connection) -> sa.FromClause:
        """Return a table with the columns of `vote` that has all votes of the selection, also archived ones.

        Raises:
            MissingKey: votes of the selection's time are archived, and there is no archive key.
        """
        return vote_table.votes_where(connection, VoteFilter(first_at=self.first, end_at=self.end))

    def conditions(self, table: sa.FromClause) -> list[sa.ColumnElement[bool]]:
        """Return the SQL conditions that a row of `table` (`table()`) meets if the selection selects it."""
        v, m, t = table.c, schema.model.c, schema.term.c
        found: list[sa.ColumnElement[bool]] = [v.cast_at >= self.first, v.cast_at < self.end]
        if self.model is not None:
            number = sa.select(m.model_no).where(m.name == self.model).scalar_subquery()
            found.append(sa.or_(v.model_a == number, v.model_b == number))
        if self.network is not None:
            named = sa.select(t.term_no).where(t.kind == "network", t.text == self.network)
            found.append(v.network == named.scalar_subquery())
        if self.cohort is not None:
            found.append(_is_cohort(v, self.cohort))
        if self.prompt is not None:
            value, bits = prompt_bits(self.prompt)
            mask = (1 << bits) - 1
            found += [v.prompt != 0, v.prompt.bitwise_and(mask) == value & mask]
        return found

    def read_votes(self, connection: Connection, fates: Sequence[int] = COUNTED) -> list[Any]:
        """Return the selected votes with these fates (indices into FATES), as rows of the store.

        The columns are partition_no, offset, voter, model_a, model_b, outcome and flags.
        """
        table = self.table(connection)
        query = sa.select(*vote_columns(connection, table))
        return list(connection.execute(query.where(table.c.fate.in_(fates), *self.conditions(table))))


def vote_columns(connection: Connection, table: sa.FromClause) -> tuple[sa.ColumnElement[Any], ...]:
    """Return the columns partition_no, offset, voter, model_a, model_b, outcome and flags of a table of votes."""
    v = table.c
    names = (v.partition_no, v.offset, voter_column(connection, table), v.model_a, v.model_b, v.outcome)
    return (*names, flags_column(table))


def voter_column(connection: Connection, table: sa.FromClause) -> sa.ColumnElement[Any]:
    """Return the SQL column with the voter of a vote.

    For a database role that may not read voters, the column is the constant 0.
    """
    if dialect.may_read(connection, "vote", "voter"):
        return table.c.voter
    return sa.cast(sa.literal(0), sa.BigInteger).label("voter")


def flags_column(table: sa.FromClause) -> sa.ColumnElement[Any]:
    """Return the SQL column with the flags of a vote, including FREQUENT_PROMPT.

    FREQUENT_PROMPT is stored in another table, because a seal decides about it.
    """
    v, f = table.c, schema.frequent_vote.c
    frequent = sa.exists().where(f.partition_no == v.partition_no, f.offset == v.offset)
    return v.flags.bitwise_or(sa.case((frequent, FREQUENT_PROMPT), else_=0)).label("flags")


def _is_cohort(v: Any, cohort: str) -> sa.ColumnElement[bool]:
    if cohort == "unknown":
        return sa.and_(v.voter_since.is_(None))
    age = v.cast_at - v.voter_since
    return sa.and_(v.voter_since.is_not(None), age <= NEW_ACCOUNT if cohort == "new" else age > NEW_ACCOUNT)


def prompt_bits(prompt: str) -> tuple[int, int]:
    """Parse the prompt of a selection.

    Returns:
        Two integers: the hash of the prompt, and how many of its last bits must match (32 if the text does not say).

    Raises:
        Usage: the text is not a hash of 8 hexadecimal digits, with or without /BITS.
    """
    digits, _, bits = prompt.partition("/")
    try:
        value, count = int(digits, 16), int(bits or "32")
    except ValueError:
        value, count = -1, -1
    if not (0 <= value <= _HASH and 0 <= count <= 32):
        raise Usage(f"votes: expected a prompt as 8 hexadecimal digits, as alerts show it, got {prompt!r}")
    return value, count
