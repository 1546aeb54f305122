"""Reads stored votes for an export, in batches. The columns are those of a vote event.

Voters and sessions get random labels, which differ from export to export. Network, age of the account and hash of the
prompt are left out. The other columns do not identify a voter.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.engine import Connection

from pipeline.events.vote import SCHEMA, Style
from pipeline.formats.vote_columns import CODE_COLUMN, STYLE, TIME, VOTE_COLUMNS
from pipeline.store.boards.hidden_models import ALL_SHOWN, HiddenModels
from pipeline.store.read.vote_places import NO_LEAF, CountingRules, VoteRange
from pipeline.store.votes import dictionary
from pipeline.store.votes.arrow_reader import read_prepared, to_numpy
from pipeline.store.votes.dictionary import model_names
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.fates import FATES
from pipeline.vocabulary.outcomes import OUTCOMES
from pipeline.vocabulary.time import HOUR
from pipeline.vocabulary.vote_flags import STATED

_FEATURES = len(Style.__struct_fields__)
_CODE, _FREQUENT = "code", "frequent_prompt"
# The hash of a vote without a prompt.
_NO_PROMPT = "0" * 16


@dataclass(frozen=True, slots=True)
class VoterLabels:
    """Makes random labels for the voters and sessions of one export. Nobody can find a pseudonym from a label.

    Attributes:
        key: random bytes from which the labels are computed, different in every export.
    """

    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def of(self, pseudonyms: Int64, prefix: str) -> pa.StringArray:
        """Return one label for each pseudonym in an array; null for the pseudonym 0. A label begins with `prefix`."""
        distinct, position = np.unique(pseudonyms, return_inverse=True)
        labels = [None if one == 0 else f"{prefix}-{self._digest(one)}" for one in distinct.tolist()]
        return pa.array(labels, pa.string()).take(pa.array(position.ravel()))

    def _digest(self, pseudonym: int) -> str:
        return hashlib.blake2b(pseudonym.to_bytes(8, "big", signed=True), key=self.key, digest_size=10).hexdigest()


@dataclass(frozen=True, slots=True)
class ExportNames:
    """Translates the numbers in stored votes to names, for one export.

    In each array, index i has the name (or list of names) that is stored as number i. Index 0 is null.

    Attributes:
        models, languages, category: names of models, languages and categories.
        category_lists: like `category`, with each name as a list of one item.
        categories: lists of categories, for votes that were stored with several.
    """

    models: pa.Array
    languages: pa.Array
    category: pa.Array
    category_lists: pa.Array
    categories: pa.Array

    @classmethod
    def load(cls, connection: Connection, hidden: HiddenModels) -> ExportNames:
        """Read the names of all models, languages and categories from a store.

        One text replaces the name of every hidden model.
        """
        models = {n: hidden.text(name) if name in hidden else name for n, name in model_names(connection).items()}
        lists = dictionary.terms_of_kind(connection, "categories")
        single = dictionary.terms_of_kind(connection, "category")
        return cls(
            _by_number(models, pa.string()),
            _by_number(dictionary.terms_of_kind(connection, "language"), pa.string()),
            _by_number(single, pa.string()),
            _by_number({number: [text] for number, text in single.items()}, pa.list_(pa.string())),
            _by_number({number: json.loads(text) for number, text in lists.items()}, pa.list_(pa.string())),
        )


@dataclass(frozen=True, slots=True)
class ExportedBatch:
    """A batch of n exported votes, with what the export says about each vote.

    Attributes:
        votes: the votes, with the columns VOTE_COLUMNS.
        leaf: index of the leaf of each vote, null for a vote that is not sealed.
        fate: fate of each vote.
        left_out: why each vote does not count, null for a vote that counts.
        undecided: True for an unsealed vote that counts now, but that the next seal may leave out because its prompt is
            frequent.
    """

    votes: pa.RecordBatch
    leaf: pa.Int64Array
    fate: pa.StringArray
    left_out: pa.StringArray
    undecided: pa.BooleanArray


def read_exported_votes(
    connection: Connection,
    ranges: Sequence[VoteRange],
    rules: CountingRules,
    until: int | None = None,
    *,
    exact_times: bool = False,
    hidden: HiddenModels = ALL_SHOWN,
) -> Generator[ExportedBatch, None, None]:
    """Yield the votes of several ranges of offsets, batch by batch, in the order of the ranges.

    Args:
        connection: connection to the store. A reading thread uses it until the generator is exhausted or closed.
        ranges: the ranges to read.
        rules: decides which votes count.
        until: only votes cast before this time, in microseconds since 1970 UTC; None for all votes.
        exact_times: True exports exact times. False rounds times down to the hour, as in a public leaf.
        hidden: models whose names the export hides.
    """
    names, labels = ExportNames.load(connection, hidden), VoterLabels()
    leaf_of_range = {at: one.first_leaf for at, one in enumerate(ranges)}
    found = read_prepared(connection, [one.offsets for one in ranges], lambda part, _: part)
    with closing(found) as batches:
        for at, batch, part in batches:
            first = leaf_of_range[at]
            leaves = np.full(len(batch), NO_LEAF) if first == NO_LEAF else first + np.arange(len(batch))
            leaf_of_range[at] = first if first == NO_LEAF else first + len(batch)
            reasons = rules.reasons(part, batch, leaves)
            exported = ExportedBatch(
                _vote_columns(batch, names, labels, exact_times=exact_times),
                pa.array(leaves, mask=leaves == NO_LEAF),
                pa.array(FATES).take(batch["fate"]),
                reasons,
                _undecided(batch, reasons, sealed=first != NO_LEAF or _FREQUENT not in rules.rules),
            )
            yield exported if until is None else _before(exported, to_numpy(batch, "cast_at") < until)


def _before(exported: ExportedBatch, kept: Any) -> ExportedBatch:
    mask = pa.array(kept)
    return ExportedBatch(
        exported.votes.filter(mask),
        exported.leaf.filter(mask),
        exported.fate.filter(mask),
        exported.left_out.filter(mask),
        exported.undecided.filter(mask),
    )


def _undecided(batch: pa.RecordBatch, reasons: pa.StringArray, *, sealed: bool) -> pa.BooleanArray:
    if sealed:
        return pa.array(np.zeros(len(batch), dtype=np.bool_))
    return pc.and_(pc.is_null(reasons), pc.not_equal(batch["prompt"], _NO_PROMPT))


def _vote_columns(
    batch: pa.RecordBatch, names: ExportNames, labels: VoterLabels, *, exact_times: bool
) -> pa.RecordBatch:
    cast_at = to_numpy(batch, "cast_at")
    cast_at = cast_at if exact_times else cast_at - cast_at % HOUR
    turn, flags = to_numpy(batch, "turn"), to_numpy(batch, "flags")
    # The store keeps a list only if it says more than the category.
    alone = names.category_lists.take(batch["category"])
    categories = pc.coalesce(names.categories.take(batch["categories"]), alone)
    columns = {
        "schema": pa.array(np.full(len(batch), SCHEMA)),
        "vote_id": batch["vote_id"],
        "cast_at": pa.array(cast_at).cast(TIME),
        "model_a": names.models.take(batch["model_a"]),
        "model_b": names.models.take(batch["model_b"]),
        "winner": pa.array(OUTCOMES).take(batch["outcome"]),
        "voter_id": labels.of(to_numpy(batch, "voter"), "voter"),
        "session": labels.of(to_numpy(batch, "session"), "session"),
        "turn": pa.array(turn, pa.int32(), mask=turn == 0),
        "language": names.languages.take(batch["language"]),
        "category": names.category.take(batch["category"]),
        "categories": categories,
        CODE_COLUMN: _has_label(categories, _CODE),
        **{name: _flag(flags, *bits) for name, bits in STATED.items()},
        **_styles(batch["style"]),
    }
    arrays = [columns.get(one.name, pa.nulls(len(batch), one.type)) for one in VOTE_COLUMNS]
    return pa.record_batch(arrays, schema=VOTE_COLUMNS)


def _flag(flags: Any, true: int, false: int) -> pa.BooleanArray:
    """Return for each vote the value of a field that is stored as two flags.

    The value is true if the vote has the flag `true`, false if it has only the flag `false`, and null if it has
    neither.
    """
    return pa.array((flags & true) != 0, mask=(flags & (true | false)) == 0)


def _has_label(categories: pa.ListArray, label: str) -> pa.BooleanArray:
    """Return true for a list with the label, and null otherwise: a vote need not state all its labels."""
    rows = pc.list_parent_indices(categories).filter(pc.equal(pc.list_flatten(categories), label))
    found = np.zeros(len(categories), dtype=np.bool_)
    found[rows.to_numpy()] = True
    return pa.array(found, mask=~found)


def _styles(packed: pa.BinaryArray) -> dict[str, pa.StructArray]:
    """Return the style counts of both answers. The value is null for an answer without style counts."""
    raw = packed.fill_null(b"\xff" * 8 * _FEATURES)  # −1 ten times
    counts = np.frombuffer(b"".join(raw.to_pylist()), dtype="<i4").reshape(-1, 2, _FEATURES)
    return {
        name: pa.StructArray.from_arrays(
            [pa.array(np.ascontiguousarray(counts[:, side, k])) for k in range(_FEATURES)],
            fields=list(STYLE),
            mask=pa.array((counts[:, side] < 0).any(axis=1)),
        )
        for side, name in enumerate(("style_a", "style_b"))
    }


def _by_number(texts: Mapping[int, Any], kind: pa.DataType) -> pa.Array:
    """Return an array whose element i is the text with the number i; null for numbers without a text."""
    return pa.array([texts.get(number) for number in range(max(texts, default=0) + 1)], kind)
