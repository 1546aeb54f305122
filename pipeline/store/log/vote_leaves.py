"""Builds the public leaves of stored votes, for seals and for audits that compare them.

A leaf has the public fields of a vote, and a commitment to the private fields. The commitment is the SHA-256 of 32
random bytes (the blind) followed by the private fields.

The same vote, names and blind give the same leaf in SQLite and in PostgreSQL.

The private fields are canonical JSON (RFC 8785), which Arrow concatenates for many votes at a time:

    {"appended_at":…,"cast_at":…,"category":…,"language":…,"network":…,"offset":…,"partition":…,"prompt":"…",
     "source":"…","style":"…","voter":"…","voter_since":…}                                (without the line break)

If a vote has any of the following fields, its private fields contain them too, in alphabetical order of all keys:

    "categories":[…] "flags":… "session":"…" "turn":…

Times are microseconds since 1970 UTC. `prompt`, `session` and `voter` have 16 hexadecimal digits. `style` has the bytes
of the stored counts in hexadecimal digits. An absent value is null.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import rfc8785
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.ledger import leaf, leaf_encoding
from pipeline.ledger.merkle import WIDTH
from pipeline.store.db import schema
from pipeline.store.votes import dictionary
from pipeline.store.votes.arrow_reader import partition_sources, to_numpy
from pipeline.vocabulary.arrays import Int64

_NULL = b"null"
_Codes = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class LeafNames:
    """Translates the numbers in stored votes to the names that leaves have.

    Attributes:
        models: model number (model_no) → name of the model.
        terms: term number (term_no) → text of the language, category or network.
        sources: partition number (partition_no) → (name of the partition's source, source's number of the partition).
    """

    models: dict[int, str]
    terms: dict[int, str]
    sources: dict[int, tuple[str, int]]

    @classmethod
    def load(cls, connection: Connection) -> LeafNames:
        """Read the names of all models, terms and sources from a store."""
        t = schema.term.c
        terms = {int(row.term_no): row.text for row in connection.execute(sa.select(t.term_no, t.text))}
        return cls(dictionary.model_names(connection), terms, partition_sources(connection))


def build_leaves(batch: pa.RecordBatch, names: LeafNames, committed: bytes) -> pa.Table:
    """Build the leaves of a batch of votes, as a table with `leaf.SCHEMA`.

    Args:
        batch: n votes with the columns of `arrow_reader.VOTE_SCHEMA`.
        names: translates the numbers in votes to names.
        committed: the commitments to the private fields, from `commit`, 32·n bytes.
    """
    return leaf.vote_rows(
        batch["vote_id"],
        to_numpy(batch, "cast_at"),
        _name(to_numpy(batch, "model_a"), names.models),
        _name(to_numpy(batch, "model_b"), names.models),
        to_numpy(batch, "outcome"),
        to_numpy(batch, "fate"),
        committed,
    )


def commit(batch: pa.RecordBatch, part: int, blinds: bytes, names: LeafNames) -> bytes:
    """Return the commitments of votes to their private fields, SHA-256(blind ‖ private fields), as 32·n bytes.

    Args:
        batch: n votes with the columns of `arrow_reader.VOTE_SCHEMA`.
        part: partition number (partition_no) of these votes.
        blinds: the blinds, 32·n bytes.
        names: translates the numbers in votes to names.
    """
    return leaf_encoding.sha256_each(blinded_fields(batch, part, blinds, names))


def blinded_fields(batch: pa.RecordBatch, part: int, blinds: bytes, names: LeafNames) -> pa.BinaryArray:
    """Return, for each vote, its blind followed by its private fields. Their SHA-256 is the vote's commitment.

    Args:
        batch: n votes with the columns of `arrow_reader.VOTE_SCHEMA`.
        part: partition number (partition_no) of these votes.
        blinds: the blinds, 32·n bytes.
        names: translates the numbers in votes to names.
    """
    return pc.binary_join_element_wise(_fixed_width(blinds, WIDTH), *_private(batch, part, names), b"")


def _private(batch: pa.RecordBatch, part: int, names: LeafNames) -> list[Any]:
    """Return the pieces from which the private fields are concatenated.

    A piece is either bytes, which are the same for every vote, or an array with one value for each vote.
    """
    source, number = names.sources[part]
    since, style, voter = batch["voter_since"], batch["style"], to_numpy(batch, "voter")
    pieces = [
        b'{"appended_at":',
        _bytes(batch["appended_at"]),
        b',"cast_at":',
        _decimal(batch["cast_at"]),
        _category_lists(to_numpy(batch, "categories"), names.terms),
        _terms_as_json(to_numpy(batch, "category"), names.terms, ',"category":', ""),
        _number_if_any(to_numpy(batch, "flags"), ',"flags":'),
        _terms_as_json(to_numpy(batch, "language"), names.terms, ',"language":', ',"network":'),
        _terms_as_json(to_numpy(batch, "network"), names.terms, "", ',"offset":'),
        _decimal(batch["offset"]),
        f',"partition":{number},"prompt":"'.encode(),
        _bytes(batch["prompt"]),
        b'"',
        _session(to_numpy(batch, "session")),
        b',"source":' + rfc8785.dumps(source) + b',"style":',
        _style(style),
        _number_if_any(to_numpy(batch, "turn"), ',"turn":'),
        b',"voter":',
        *_voter(voter),
        b',"voter_since":',
        _NULL if since.null_count == len(since) else pc.fill_null(_bytes(since), _NULL),
        b"}",
    ]
    return _merge(pieces)


def _merge(pieces: list[Any]) -> list[Any]:
    """Return the pieces with adjacent bytes joined into one piece. Empty bytes are left out."""
    merged: list[Any] = []
    for piece in pieces:
        if piece == b"" and isinstance(piece, bytes):
            continue
        if merged and isinstance(piece, bytes) and isinstance(merged[-1], bytes):
            merged[-1] += piece
        else:
            merged.append(piece)
    return merged


def _voter(voter: Int64) -> list[Any]:
    known = voter != 0
    if known.all():
        return [b'"', _hexadecimal(voter), b'"']
    return [pc.if_else(pa.array(known), pc.binary_join_element_wise(b'"', _hexadecimal(voter), b'"', b""), _NULL)]


def _session(session: Int64) -> Any:
    if not session.any():
        return b""
    texts = pc.binary_join_element_wise(b',"session":"', _hexadecimal(session), b'"', b"")
    return pc.if_else(pa.array(session != 0), texts, b"")


def _number_if_any(numbers: _Codes, before: str) -> Any:
    """Return for each number the text `before` followed by the number. The number 0 gives an empty text."""
    return _spelt(numbers, lambda number: f"{before}{number}" if number else "")


def _category_lists(codes: _Codes, known: dict[int, str]) -> Any:
    """Return for each code the text of the field "categories". The code 0 gives an empty text.

    The stored lists are canonical JSON already.
    """
    return _spelt(codes, lambda number: f',"categories":{known[number]}' if number else "")


def _bytes(column: Any) -> Any:
    return column.cast(pa.binary())


def _decimal(column: Any) -> Any:
    return _bytes(column.cast(pa.string()))


def _style(column: Any) -> Any:
    if column.null_count == len(column):
        return _NULL
    texts = pa.array([None if one is None else f'"{one.hex()}"'.encode() for one in column.to_pylist()], pa.binary())
    return pc.fill_null(texts, _NULL)


def _hexadecimal(values: Int64) -> Any:
    """Return 64-bit numbers as 16 hexadecimal digits each."""
    return _fixed_width(hexlify(values.astype(">i8").data), 16)


def _fixed_width(data: bytes, width: int) -> pa.BinaryArray:
    """Return the bytes as an array of values, each `width` bytes long."""
    offsets = np.arange(0, len(data) + 1, width, dtype=np.int32)
    return pa.BinaryArray.from_buffers(pa.binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def _name(codes: _Codes, known: dict[int, str]) -> pa.DictionaryArray:
    distinct, code = leaf.unique_codes(codes)
    texts = pa.array([known[number] for number in distinct.tolist()], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(code), texts)


def _terms_as_json(codes: _Codes, known: dict[int, str], before: str, after: str) -> Any:
    """Return each term as JSON between the texts `before` and `after`. The number 0 gives null."""
    return _spelt(codes, lambda number: before + rfc8785.dumps(known.get(number)).decode() + after)


def _spelt(codes: _Codes, spell: Callable[[int], str]) -> Any:
    """Return the text that `spell` gives for each number: an array, or bytes if all numbers are equal."""
    distinct, code = leaf.unique_codes(codes)
    spelt = [spell(number) for number in distinct.tolist()]
    if len(spelt) == 1:
        return spelt[0].encode()
    chosen = pa.DictionaryArray.from_arrays(pa.array(code), pa.array(spelt, pa.string()))
    return chosen.cast(pa.string()).cast(pa.binary())
