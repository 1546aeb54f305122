"""Reads a block of votes in our own JSON Lines as one piece, if every line is a valid vote."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, ClassVar

import msgspec
import pyarrow as pa

from pipeline.events.strict_checks import are_all_provably_clean
from pipeline.events.vote import SCHEMA, VOTE_FIELDS, Vote
from pipeline.formats.battle_format import ValueSource
from pipeline.formats.column_pieces import Undecided

_decode_lines = msgspec.json.Decoder(Vote).decode_lines
# A column that votes do not have.
_CODE = b'"is_code"'


class VotePiece:
    """Decoded votes of our own JSON Lines, as a piece of a battle file."""

    is_decoded: ClassVar[bool] = True

    def __init__(self, votes: Sequence[Vote]) -> None:
        """Take decoded votes."""
        self._votes = votes

    def __len__(self) -> int:
        """Return the number of votes."""
        return len(self._votes)

    def values(self, source: ValueSource) -> pa.Array:
        """Return the values of a field or of a style count; all null if votes do not have the column."""
        if source.column not in VOTE_FIELDS:
            return pa.nulls(len(self))
        values = list(map(attrgetter(source.column), self._votes))
        for key in source.keys:
            values = [None if value is None else getattr(value, key) for value in values]
        return pa.array(values)

    def records(self, columns: Collection[str]) -> Iterable[Mapping[str, Any]]:  # noqa: ARG002  # votes have no text
        """Raise `Undecided`, because decoded votes do not contain the texts of their records."""
        raise Undecided


def decode_piece(block: bytes) -> VotePiece:
    """Decode a block of lines of our own JSON Lines, given as bytes, and return its votes as a piece.

    Raises:
        Undecided: a line is not a vote, or needs the exact check of a single record.
    """
    bare = block.replace(b"\r\n", b"\n") if b"\r" in block else block
    lines = [line for line in bare.split(b"\n") if line]
    try:
        votes = _decode_lines(block)
    except (ValueError, RecursionError):
        raise Undecided from None
    clean = len(votes) == len(lines) and _CODE not in block and are_all_provably_clean(lines, votes)
    if not clean or any(schema != SCHEMA for schema in map(attrgetter("schema"), votes)):
        raise Undecided
    return VotePiece(votes)
