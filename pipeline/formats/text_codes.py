"""Codes the texts of a column piece by piece: names of models and groups, and voters.

A column of few texts is coded at once, in a dictionary that all pieces share. Voters are many: their texts stay Arrow's
until the last piece, and only ids that may stand for nobody are looked at one by one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.vocabulary.arrays import Bool, Int32
from pipeline.vocabulary.voter_identity import PLACEHOLDERS, PREFIXES, Network, find_voter

_PLACEHOLDERS = pa.array(sorted(PLACEHOLDERS))
# An address, a list of addresses, or a whole number with decimals has one of these characters.
_MARKS = "[.:,]"


class TextCodes:
    """The codes of texts, in the order in which they are first added; `add` may be called for several columns."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def add(self, column: pa.DictionaryArray) -> Int32:
        """Return int32[n], the code of each row's text, −1 for null and for an empty text."""
        positions = row_positions(column)
        used = _used(positions, len(column.dictionary))
        codes = [
            self._codes.setdefault(text, len(self._codes)) if is_used and text else -1
            for text, is_used in zip(column.dictionary.to_pylist(), used.tolist(), strict=True)
        ]
        result: Int32 = np.array([*codes, -1], dtype=np.int32)[positions]
        return result

    def sort(self, *columns: Int32) -> tuple[tuple[str, ...], list[Int32]]:
        """Return the texts in order, and columns of codes as positions among them."""
        labels = tuple(sorted(self._codes))
        table = np.full(len(labels) + 1, -1, dtype=np.int32)
        table[[self._codes[label] for label in labels]] = np.arange(len(labels))
        return labels, [table[column] for column in columns]


class VoterCodes:
    """The voters of votes, piece by piece."""

    def __init__(self, proxies: Sequence[Network] = ()) -> None:
        """Collect voters; `proxies` are addresses that name nobody."""
        self._proxies = proxies
        self._parts: list[pa.DictionaryArray] = []

    def add(self, column: pa.DictionaryArray) -> None:
        """Add the voters of a piece."""
        self._parts.append(column)

    def finish(self) -> tuple[pa.StringArray, Int32]:
        """Return the voters in order, and int32[N] positions among them, −1 for nobody."""
        if not self._parts:
            return pa.array([], pa.string()), np.zeros(0, dtype=np.int32)
        whole = pa.chunked_array(self._parts).unify_dictionaries()
        self._parts = []
        dictionary = whole.chunk(0).dictionary
        positions = np.concatenate([row_positions(chunk) for chunk in whole.chunks])
        used = _used(positions, len(dictionary))
        voters = pc.if_else(pa.array(used), self._named(dictionary), None).dictionary_encode()
        order = pc.sort_indices(voters.dictionary).to_numpy()
        rank = np.full(len(order) + 1, -1, dtype=np.int32)
        rank[order] = np.arange(len(order))
        code_of = np.append(rank[row_positions(voters)], np.int32(-1))
        return voters.dictionary.take(pa.array(order)), code_of[positions]

    def _named(self, texts: pa.StringArray) -> pa.StringArray:
        """Return the voter behind each id, null for nobody."""
        doubtful = _may_name_nobody(texts)
        if not doubtful.any():
            return texts
        mask = pa.array(doubtful)
        found = [find_voter(text, self._proxies) for text in texts.filter(mask).to_pylist()]
        return pc.replace_with_mask(texts, mask, pa.array(found, pa.string()))


def _may_name_nobody(texts: pa.StringArray) -> Bool:
    """Return bool[n], false where an id is surely one voter's, in the one spelling of it."""
    bare = pc.replace_substring_regex(pc.utf8_lower(pc.utf8_trim_whitespace(texts)), f"^(?:{PREFIXES})[_:-]", "")
    doubtful = pc.or_(pc.match_substring_regex(texts, _MARKS), pc.is_in(bare, _PLACEHOLDERS))
    doubtful = pc.or_(doubtful, pc.invert(pc.string_is_ascii(texts)))
    return np.asarray(pc.fill_null(doubtful, False).to_numpy(zero_copy_only=False))


def row_positions(column: pa.DictionaryArray) -> npt.NDArray[Any]:
    """Return each row's position in the column's dictionary, −1 for null."""
    indices = column.indices.fill_null(-1) if column.indices.null_count else column.indices
    return np.asarray(indices.to_numpy(zero_copy_only=False))


def _used(positions: npt.NDArray[Any], size: int) -> Bool:
    """Return bool[size], true for each position that occurs."""
    return np.asarray(np.bincount(positions + 1, minlength=size + 1)[1:] > 0)
