"""Parses the options with which a user names columns and outcomes of a file: --columns, --outcomes, --winner-is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.errors import UnknownFormat
from pipeline.formats.battle_formats.table import SYNONYMS
from pipeline.formats.cell_values import outcome_word
from pipeline.vocabulary.outcomes import OUTCOMES
from pipeline.vocabulary.voter_identity import Network


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """How the column names and outcomes of a user's file translate to ours.

    Attributes:
        columns: our field → the header of its column; "" if the field must not be read.
        outcomes: outcome in the file, as `outcome_word` writes it → our outcome.
        winner_is: "name" if the column of the outcome contains the name of the winning model, else "".
        proxies: network addresses of proxies, which identify no voter. Only the rating of a file uses them.
        id_key: a secret key for logs that identify a vote by its conversation. The id of such a vote is a hash of the
            conversation and the turn under this key. If the key is empty, the id is derived from the content of the
            record. If it is None, the conversation and the turn are the id.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    outcomes: Mapping[str, str] = field(default_factory=dict)
    winner_is: str = ""
    proxies: tuple[Network, ...] = ()
    id_key: bytes | None = field(default=b"", repr=False)

    @classmethod
    def parse(cls, columns: str = "", outcomes: str = "", winner_is: str = "") -> ColumnMapping:
        """Parse the options with which a user names columns and outcomes.

        Args:
            columns: "field=header,…", with our field and the header of its column.
            outcomes: "their outcome=our outcome,…".
            winner_is: "name" if the column of the outcome contains the name of the winning model, else "".

        Raises:
            UnknownFormat: a pair has no "=", or a field or an outcome is unknown.
        """
        return cls.checked(_pairs("--columns", columns), _pairs("--outcomes", outcomes), winner_is)

    @classmethod
    def checked(cls, columns: Mapping[str, str], outcomes: Mapping[str, str], winner_is: str = "") -> ColumnMapping:
        """Check the names that a user gave, and return them as a `ColumnMapping`.

        Args:
            columns: our field → the header of its column.
            outcomes: outcome in the file → our outcome.
            winner_is: "name" if the column of the outcome contains the name of the winning model, else "".

        Raises:
            UnknownFormat: a field or an outcome is unknown, or `winner_is` has another value.
        """
        spelled = {outcome_word(theirs) or theirs: ours for theirs, ours in outcomes.items()}
        parsed = cls(columns, spelled, winner_is)
        for theirs, ours in spelled.items():
            if ours not in OUTCOMES:
                raise UnknownFormat(f"--outcomes: expected one of {', '.join(OUTCOMES)} for {theirs!r}, got {ours!r}")
        for name in parsed.columns:
            if name not in SYNONYMS:
                raise UnknownFormat(f"--columns: expected a field of {', '.join(SYNONYMS)}, got {name!r}")
        if winner_is not in ("", "name"):
            raise UnknownFormat(f"--winner-is: expected name, got {winner_is!r}")
        return parsed


_PAIRS = (
    ("model_1", "model_2"), ("model1", "model2"), ("left", "right"), ("first", "second"), ("option_a", "option_b"),
    ("assistant_a", "assistant_b"), ("player_a", "player_b"), ("system_a", "system_b"), ("system_1", "system_2"),
    ("generator_1", "generator_2"),
)  # fmt: skip
_WINNERS = ("result", "preference", "preferred", "vote", "verdict", "choice", "label", "score")


def similar_columns(columns: Sequence[str]) -> dict[str, str]:
    """Return field → column for the columns that are likely to have a field's values, to be suggested to the user.

    A column is likely if its name is a usual name of the field in another spelling, such as "Model A", or a name that
    other tables use, such as "model_1". Fields that have a column with one of their usual names are left out.
    """
    spelled = {_letters(column): column for column in columns}
    found: dict[str, str] = {}
    for field_name, names in SYNONYMS.items():
        if not set(names).isdisjoint(columns):
            continue
        if spellings := [_letters(name) for name in names if _letters(name) in spelled]:
            found[field_name] = spelled[spellings[0]]
    pairs = [pair for pair in _PAIRS if all(_letters(name) in spelled for name in pair)]
    if pairs and {"model_a", "model_b"}.isdisjoint({*columns, *found}):
        found["model_a"], found["model_b"] = (spelled[_letters(name)] for name in pairs[0])
    winners = [spelled[_letters(name)] for name in _WINNERS if _letters(name) in spelled]
    if winners and "winner" not in found and set(SYNONYMS["winner"]).isdisjoint(columns):
        found["winner"] = winners[0]
    return found


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _pairs(option: str, text: str) -> dict[str, str]:
    result = {}
    for part in filter(None, text.split(",")):
        name, sign, value = part.partition("=")
        if not sign:
            raise UnknownFormat(f"{option}: expected NAME=VALUE, got {part!r}")
        result[name.strip()] = value.strip()
    return result
