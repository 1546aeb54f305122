"""Assigns codes to the texts of columns, piece by piece: names of models and groups, and voters.

Columns with few distinct texts share one dictionary over all pieces. There are many voters, so their ids stay in Arrow
arrays. Only the few ids that may mean "no voter" are checked one by one.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.formats.column_buffer import ColumnBuffer
from pipeline.formats.column_pieces import Undecided
from pipeline.formats.text_hashes import hash_texts
from pipeline.vocabulary.arrays import Bool, Int32
from pipeline.vocabulary.voter_identity import PLACEHOLDERS, PREFIXES, Network, find_voter

# An address, a list of addresses, or a whole number with decimals has one of these characters.
_MARKS = "[.:,]"

Texts: TypeAlias = pa.StringArray | pa.DictionaryArray
"""A column of texts, as they are or dictionary-encoded."""


class TextSequence(Sequence[str]):
    """A sequence of texts in an Arrow array, which makes a Python string only when a text is read.

    A million Python strings would take ten times the memory.
    """

    def __init__(self, texts: pa.StringArray) -> None:
        """Take a column without nulls."""
        self._texts = texts

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self._texts)

    def are_plain(self, longest: int) -> bool:
        """Return whether every text has only visible ASCII characters, and at most `longest` of them."""
        size = pc.max(pc.binary_length(self._texts)).as_py() or 0
        return size <= longest and pc.all(pc.ascii_is_printable(self._texts)).as_py() is not False

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...

    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        """Return one text, or the texts of a slice."""
        if isinstance(place, slice):
            return tuple(self._texts.to_pylist()[place])
        return str(self._texts[int(place)].as_py())

    def __iter__(self) -> Iterator[str]:
        """Yield the texts."""
        return iter(self._texts.to_pylist())

    def __eq__(self, other: object) -> bool:
        """Compare with another sequence of texts."""
        return isinstance(other, Sequence) and len(self) == len(other) and list(self) == list(other)

    def __hash__(self) -> int:
        """Return a hash of the texts."""
        return hash(tuple(self))


class TextCodes:
    """Assigns codes 0, 1, 2 … to texts, in the order in which they are first added. Several columns may share codes."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def add(self, column: pa.DictionaryArray) -> Int32:
        """Return int32[n], the code of each row's text, −1 for null and for an empty text.

        New texts get the next codes.
        """
        positions = row_positions(column)
        used = _used(positions, len(column.dictionary))
        codes = [
            self._codes.setdefault(text, len(self._codes)) if is_used and text else -1
            for text, is_used in zip(column.dictionary.to_pylist(), used.tolist(), strict=True)
        ]
        result: Int32 = np.array([*codes, -1], dtype=np.int32)[positions]
        return result

    def sort(self) -> tuple[tuple[str, ...], Int32]:
        """Return the texts in sorted order, and the place of each code's text in that order.

        Returns:
            Two values: the texts, sorted; and int32, for each code the position of its text among the sorted texts. The
                last entry, which numpy reads for the code −1, is −1.
        """
        labels = tuple(sorted(self._codes))
        table = np.full(len(labels) + 1, -1, dtype=np.int32)
        table[[self._codes[label] for label in labels]] = np.arange(len(labels))
        return labels, table


class VoterCodes:
    """Collects the voters of votes, piece by piece.

    Voters are distinguished by two hashes of their ids, since a table of the ids would take most of the memory.
    """

    def __init__(self, proxies: Sequence[Network] = ()) -> None:
        """Create an empty collection; `proxies` are addresses that identify no voter."""
        self._proxies = proxies
        self._names: list[pa.StringArray] = []
        self._hashes, self._code_of = np.zeros(0, np.uint64), np.zeros(0, np.int32)
        self._second = np.zeros(0, np.uint64)
        self._codes = ColumnBuffer(np.int32)

    def add(self, column: Texts) -> None:
        """Add the voters of the votes of a piece.

        Args:
            column: the voter's id of each vote, null or "" for none.

        Raises:
            Undecided: the hashes do not distinguish two ids.
        """
        coded = column.dictionary_encode() if pa.types.is_string(column.type) else column
        positions = row_positions(coded)
        sizes = pc.fill_null(pc.binary_length(coded.dictionary), 0).to_numpy(zero_copy_only=False)
        named = np.flatnonzero(_used(positions, len(sizes)) & (sizes > 0))
        table = np.full(len(sizes) + 1, -1, dtype=np.int32)
        table[named] = self._find(coded.dictionary.take(pa.array(named)))
        self._codes.append(table[positions])

    def _find(self, ids: pa.StringArray) -> Int32:
        """Return int32[n], the code of each id. New ids get the next codes."""
        first, second = hash_texts(ids)
        distinct, rows, inverse = np.unique(first, return_index=True, return_inverse=True)
        place = np.searchsorted(self._hashes, distinct)
        known = place < len(self._hashes)
        known[known] = self._hashes[place[known]] == distinct[known]
        new, codes = np.flatnonzero(~known), np.empty(len(distinct), dtype=np.int32)
        codes[known] = self._code_of[place[known]]
        codes[new] = np.arange(len(self._second), len(self._second) + len(new))
        self._names.append(ids.take(pa.array(rows[new])))
        self._hashes = np.insert(self._hashes, place[new], distinct[new])
        self._code_of = np.insert(self._code_of, place[new], codes[new])
        self._second = np.append(self._second, second[rows[new]])
        result: Int32 = codes[inverse.ravel()]
        if (self._second[result] != second).any():
            raise Undecided
        return result

    def ids(self) -> pa.StringArray:
        """Return the ids that were added, each once, in no particular order."""
        return pa.concat_arrays([pa.nulls(0, pa.string()), *self._names])

    def finish(self) -> tuple[pa.StringArray, Int32]:
        """Return the voters of all votes. The collection is empty afterwards.

        Returns:
            Two values: the ids of the voters, sorted, each in its standard spelling; and int32[N], each vote's position
                among them, −1 for a vote whose id identifies no voter.
        """
        self._hashes, self._code_of, self._second = (
            np.zeros(0, np.uint64),
            np.zeros(0, np.int32),
            np.zeros(0, np.uint64),
        )
        ids = pa.concat_arrays([pa.nulls(0, pa.string()), *self._names])
        self._names = []
        voters = self._named(ids)
        if voters is ids:
            names, place = ids, np.arange(len(ids))
        else:
            encoded = voters.dictionary_encode()
            names, place = encoded.dictionary, row_positions(encoded)
        order = pc.sort_indices(names)
        rank = np.full(len(names) + 1, -1, dtype=np.int32)
        rank[order.to_numpy()] = np.arange(len(names))
        table = np.append(rank[place], np.int32(-1))
        return names.take(order), self._codes.finish(table=table)

    def _named(self, texts: pa.StringArray) -> pa.StringArray:
        """Return each id in its standard spelling; null for an id that identifies no voter."""
        doubtful = _may_name_nobody(texts)
        if not doubtful.any():
            return texts
        mask = pa.array(doubtful)
        found = [find_voter(text, self._proxies) for text in texts.filter(mask).to_pylist()]
        return pc.replace_with_mask(texts, mask, pa.array(found, pa.string()))


def _may_name_nobody(texts: pa.StringArray) -> Bool:
    """Return bool[n], true for each id that may identify no voter or have another spelling; these are checked later."""
    doubtful = pc.or_(pc.match_substring_regex(texts, _MARKS), pc.invert(pc.string_is_ascii(texts)))
    found = pc.fill_null(doubtful, False).to_numpy(zero_copy_only=False)
    return np.asarray(placeholders(texts) | found)


def placeholders(texts: pa.StringArray) -> Bool:
    """Return bool[n], true for an id that is a placeholder of a missing value, such as "NaN"."""
    bare = pc.replace_substring_regex(pc.utf8_lower(pc.utf8_trim_whitespace(texts)), f"^(?:{PREFIXES})[_:-]", "")
    found = pc.is_in(bare, pa.array(sorted(PLACEHOLDERS)))
    return np.asarray(pc.fill_null(found, False).to_numpy(zero_copy_only=False))


def row_positions(column: pa.DictionaryArray) -> npt.NDArray[Any]:
    """Return an array of integers: the position of each row's text in the column's dictionary, −1 for null."""
    indices = column.indices.fill_null(-1) if column.indices.null_count else column.indices
    return np.asarray(indices.to_numpy(zero_copy_only=False))


def _used(positions: npt.NDArray[Any], size: int) -> Bool:
    """Return bool[size], true for each position that occurs."""
    return np.asarray(np.bincount(positions + 1, minlength=size + 1)[1:] > 0)
