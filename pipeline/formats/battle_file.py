"""A battle file: its files, its format, and the columns that are not read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from pipeline.errors import UnknownFormat
from pipeline.events.strict_checks import parse_strictly
from pipeline.formats.battle_format import BattleFormat, NamedWinner, OutcomeRule, SpelledOutcome, first_match
from pipeline.formats.battle_formats import FORMATS
from pipeline.formats.battle_formats.table import SYNONYMS, table_format
from pipeline.formats.cell_values import outcome_word
from pipeline.formats.containers import Container, inspect, list_files
from pipeline.formats.json_pieces import read_elements, read_lines
from pipeline.formats.tables import headers
from pipeline.vocabulary.voter_identity import Network

Waits = Callable[[str], None]

OWN = "votes of this pipeline"
# Records by which the columns of a JSON file are told.
_FIRST_RECORDS = 1_000


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """How a table's own names translate to ours.

    Attributes:
        columns: our field → its header; "" leaves a field out.
        outcomes: outcome of the file, as `outcome_word` writes it → our outcome.
        winner_is: "name" if the column of the outcome contains the name of the winning model.
        proxies: addresses that name nobody, for a rating without a store; a worker has its own.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    outcomes: Mapping[str, str] = field(default_factory=dict)
    winner_is: str = ""
    proxies: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, columns: str = "", outcomes: str = "", winner_is: str = "") -> ColumnMapping:
        """Return the mapping written as "field=header,…" and "their outcome=our outcome,…".

        Raises:
            UnknownFormat: a pair without "=", or an unknown field.
        """
        spelled = {outcome_word(theirs) or theirs: ours for theirs, ours in _pairs(outcomes).items()}
        parsed = cls(_pairs(columns), spelled, winner_is)
        for name in parsed.columns:
            if name not in SYNONYMS:
                raise UnknownFormat(f"expected a field of {', '.join(SYNONYMS)}, got {name!r}")
        if winner_is not in ("", "name"):
            raise UnknownFormat(f"--winner-is: expected name, got {winner_is!r}")
        return parsed

    def rule(self, column: str) -> OutcomeRule:
        """Return how the column of the outcome is read."""
        return NamedWinner(column) if self.winner_is else SpelledOutcome(column)


@dataclass(frozen=True, slots=True)
class BattleFile:
    """A battle file, or several that are read as one.

    Attributes:
        containers: the files, in the order in which they are read.
        form: the format of their records.
        columns: the columns of the first file.
        mapping: names that the user gave.
        mixed: some of the first records have another format than the file.
    """

    containers: tuple[Container, ...]
    form: BattleFormat
    columns: tuple[str, ...]
    mapping: ColumnMapping
    mixed: bool = False

    @property
    def outcomes(self) -> Mapping[str, str]:
        """Word for an outcome → our outcome, for the words of the format and those of the user."""
        return {**self.form.spellings, **self.mapping.outcomes}

    @property
    def unread(self) -> tuple[str, ...]:
        """The columns that are not read, in the order of the file."""
        if self.form.name == OWN:
            return ()
        used = self.form.columns()
        return tuple(column for column in self.columns if column not in used)


def open_battles(path: Path, mapping: ColumnMapping | None = None) -> BattleFile:
    """Recognise a battle file.

    Args:
        path: a file, a folder of shards, or a glob.
        mapping: the user's names of columns and outcomes.

    Raises:
        UnknownFormat: no reader for the file, or a table without a column that every battle needs.
    """
    mapping = mapping or ColumnMapping()
    containers = tuple(inspect(one) for one in list_files(path))
    columns, kinds = _columns(containers[0])
    known = frozenset(columns)
    missing = [column for column in mapping.columns.values() if column and column not in known]
    if missing:
        raise UnknownFormat(f"{containers[0].name}: expected columns {missing}, got {columns}")
    chosen = not (mapping.columns or mapping.winner_is)
    form = recognised(known) if chosen else None
    if form is None:
        form = table_format(known, mapping.columns, mapping.rule)
        _require_battle(containers[0], form, columns)
    return BattleFile(containers, form, tuple(columns), mapping, mixed=chosen and len(kinds) > 1)


def recognised(columns: frozenset[str]) -> BattleFormat | None:
    """Return the format with these columns, None for a table that is read by the usual names."""
    if "schema" in columns:
        return replace(table_format(columns, {}), name=OWN, without_outcome=False)
    return first_match(FORMATS, columns)


def _require_battle(container: Container, form: BattleFormat, columns: list[str]) -> None:
    if not columns and container.kind in ("json array", "json lines"):
        return  # no records yet, or none that is an object: the decoder names each
    for name, column in (("model_a", form.model_a.column), ("model_b", form.model_b.column)):
        if not column:
            raise UnknownFormat(_lacking(container, name, columns))
    rule = form.outcome
    if isinstance(rule, SpelledOutcome | NamedWinner) and not rule.column:
        raise UnknownFormat(_lacking(container, "winner", columns))


def _lacking(container: Container, name: str, columns: list[str]) -> str:
    return (
        f"{container.name}: expected a column for {name} ({', '.join(SYNONYMS[name])}), got {columns}; "
        f"name it with --columns {name}=HEADER"
    )


def _columns(container: Container) -> tuple[list[str], set[str]]:
    """Return the columns of a file and the names of the formats of its first records."""
    if container.kind not in ("json array", "json lines"):
        return headers(container), set()
    columns: dict[str, None] = {}
    kinds: dict[frozenset[str], str] = {}
    for raw in islice(raw_records(container), _FIRST_RECORDS):
        record = decoded(raw)
        if isinstance(record, dict):
            columns.update(dict.fromkeys(record))
            names = frozenset(record)
            if names not in kinds:
                form = recognised(names)
                kinds[names] = form.name if form else "table"
    return list(columns), set(kinds.values())


def raw_records(container: Container, waits: Waits | None = None) -> Iterator[bytes]:
    """Yield the records of a JSON file unchanged; `waits` as in `read_records`."""
    with container.open() as stream:
        if container.kind == "json array":
            yield from read_elements(stream, container.name)
            return
        for line in read_lines(stream):
            if not line.strip():
                continue
            if waits is not None and not line.endswith(b"\n") and not isinstance(decoded(line), dict):
                waits(f"a last line of {len(line)} bytes without a newline")
                return
            yield line.rstrip(b"\r\n")


def decoded(raw: bytes) -> Any:
    """Return a decoded record, None if it is not JSON. Half a surrogate pair in a text is accepted."""
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        pass
    try:
        return parse_strictly(raw)
    except (ValueError, RecursionError):
        return None


def _pairs(text: str) -> dict[str, str]:
    result = {}
    for part in filter(None, text.split(",")):
        name, sign, value = part.partition("=")
        if not sign:
            raise UnknownFormat(f"expected NAME=VALUE, got {part!r}")
        result[name.strip()] = value.strip()
    return result
