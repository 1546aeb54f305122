"""Collects votes as columns of integer codes, piece by piece, in memory that is proportional to the number of votes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.formats.column_buffer import ColumnBuffer
from pipeline.formats.column_pieces import Undecided
from pipeline.formats.column_values import text_column
from pipeline.formats.repeated_ids import RepeatedIds
from pipeline.formats.text_codes import TextCodes, Texts, TextSequence, VoterCodes
from pipeline.formats.text_hashes import hash_texts
from pipeline.ratings import STYLE_FEATURES
from pipeline.ratings.battle_columns import GROUPS, BattleColumns, no_group, no_style
from pipeline.vocabulary.arrays import Int8, Int32, Int64
from pipeline.vocabulary.large_arrays import keep
from pipeline.vocabulary.voter_identity import Network

TEXTS = ("vote_id", "voter_id", *GROUPS)
"""The text fields that a rating needs in addition to the names of the models."""

PROMPT = "prompt_hash"
"""The field of text that only a rule about frequent prompts needs."""

CHECKED_TEXTS = (PROMPT, "network", "session")
"""The text fields whose length is always checked. A record with a longer text in such a field is refused."""

MAX_CATEGORIES = 63


@dataclass(frozen=True, slots=True)
class NeededColumns:
    """The columns of votes that a rating needs beside models, outcome and flags.

    Columns that are not needed take no memory.

    Attributes:
        voters: whether voters are needed.
        style: whether style counts are needed.
        groups: the names in GROUPS that are needed.
        prompts: whether the hashes of prompts are needed.
        numbers: the names in NUMBERS that are needed.
    """

    voters: bool = True
    style: bool = True
    groups: frozenset[str] = frozenset(GROUPS)
    prompts: bool = False
    numbers: frozenset[str] = frozenset()

    @property
    def texts(self) -> tuple[str, ...]:
        """The names of the text fields of a vote that are collected."""
        return (*TEXTS, PROMPT) if self.prompts else TEXTS

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a vote that are read: some are collected, and some are only checked."""
        return tuple(dict.fromkeys((*self.texts, *sorted(self.numbers), *CHECKED_TEXTS)))


ALL_COLUMNS = NeededColumns()


class VoteCollector:
    """Collects the votes of a file as columns.

    Attributes:
        bits: category → number of its bit in the column of categories. The caller of `add` must add new categories
            first.
        more_categories: the categories that have no bit, because all MAX_CATEGORIES bits were taken.
    """

    def __init__(
        self,
        flags: Sequence[str],
        proxies: Sequence[Network] = (),
        needed: NeededColumns = ALL_COLUMNS,
        *,
        ids_are_checked: bool = False,
    ) -> None:
        """Create an empty collection.

        Args:
            flags: names of the flags that each call of `add` gives.
            proxies: addresses that identify no voter.
            needed: the columns that are collected.
            ids_are_checked: whether the decoder has accepted the ids.
        """
        self.bits: dict[str, int] = {}
        self.more_categories: set[str] = set()
        self._needed = needed
        self._models, self._voters, self._ids = TextCodes(), VoterCodes(proxies), RepeatedIds(checked=ids_are_checked)
        self._sides, self._outcome = (ColumnBuffer(np.int16), ColumnBuffer(np.int16)), ColumnBuffer(np.int8)
        self._groups = {name: (TextCodes(), ColumnBuffer(np.int16)) for name in GROUPS}
        self._flags = {name: ColumnBuffer(np.int8) for name in flags}
        self._style = ColumnBuffer(np.int32, len(STYLE_FEATURES)), ColumnBuffer(np.int32, len(STYLE_FEATURES))
        self._labels, self._prompts = ColumnBuffer(np.int64), ColumnBuffer(np.int64)
        self._numbers: dict[str, ColumnBuffer] = {}

    # Many parameters: the columns of a piece.
    def add(
        self,
        names: Sequence[pa.DictionaryArray],
        outcome: Int8,
        texts: Mapping[str, Texts],
        flags: Mapping[str, Int8],
        style: tuple[Int32, Int32] | None,
        labels: Int64 | None,
        numbers: Mapping[str, Int64] | None = None,
    ) -> None:
        """Add n votes.

        Args:
            names: two columns of n names, of models a and b.
            outcome: int8[n], positions in `OUTCOMES`.
            texts: field (one of `NeededColumns.texts`) → its column of n texts.
            flags: flag → int8[n]: 1 for true, 0 for false, −1 where a vote does not state it.
            style: two arrays int32[n, 5] of style counts, for both answers; None if no vote has any.
            labels: int64[n], bit k is set if a vote has the category k; None if no vote has any.
            numbers: name in NUMBERS → its column, int64[n]; every call must give the same names. None for no columns.

        Raises:
            Undecided: a name is missing, or the decoder of events must check an id.
        """
        before = len(self._outcome)
        self._ids.add(texts.get("vote_id", pa.nulls(len(outcome), pa.string())))
        for side, column in zip(self._sides, names, strict=True):
            models = self._models.add(column)
            if (models < 0).any():
                raise Undecided
            side.append(models)
        for name, (coded, codes) in self._groups.items():
            if name in texts:
                found = coded.add(text_column(texts[name]))
                if name in self._needed.groups:
                    _fill(codes, before, -1)
                    codes.append(found)
        self._voters.add(texts.get("voter_id", pa.nulls(len(outcome), pa.string())))
        for name, values in flags.items():
            self._flags[name].append(values)
        for buffer, counts in zip(self._style, (self._needed.style and style) or (), strict=False):
            _fill(buffer, before, -1)
            buffer.append(counts)
        if PROMPT in texts:
            _fill(self._prompts, before, 0)
            self._prompts.append(text_numbers(text_column(texts[PROMPT])))
        if labels is not None:
            _fill(self._labels, before, 0)
            self._labels.append(labels)
        for name, column in (numbers or {}).items():
            self._numbers.setdefault(name, ColumnBuffer(np.int64)).append(column)
        self._outcome.append(outcome)

    def finish(self, accepts: Callable[[Sequence[str]], bool] = lambda _: True) -> BattleColumns:
        """Return all votes, except votes with the id of an earlier vote.

        Args:
            accepts: returns whether all texts of a list are valid. It is called with the names of models, groups and
                categories, and with the ids of voters.

        Raises:
            Undecided: `accepts` returned false.
        """
        identity = self._ids.identity()
        # Whether two votes with one id contradict each other depends on their voters too.
        ids, voters, voter = self._finish_voters(needed=self._needed.voters or identity is not None)
        models, place = self._models.sort()
        votes = len(self._outcome)
        labels = [label for coded, _ in self._groups.values() for label in coded.sort()[0]]
        if not accepts([*models, *labels, *self.bits]) or not accepts(TextSequence(ids)):
            raise Undecided
        groups = {name: _group(coded, codes, votes) for name, (coded, codes) in self._groups.items()}
        categories = tuple(sorted(self.bits, key=self.bits.__getitem__))
        _fill(self._labels, votes, 0)
        bits = self._labels.finish()
        columns = BattleColumns(
            models=models,
            a=self._sides[0].finish(table=place),
            b=self._sides[1].finish(table=place),
            style=(_style(self._style[0], votes), _style(self._style[1], votes)),
            outcome=self._outcome.finish(np.int32),
            voters=voters,
            voter=voter,
            groups=groups,
            flags={name: values.finish() for name, values in self._flags.items()},
            # Battles that are left out may have had the only categories.
            categories=(categories, bits) if bits.any() else ((), np.zeros(0, np.int64)),
            prompt=self._finish_prompts(votes),
            numbers={name: values.finish() for name, values in self._numbers.items()},
        )
        return columns if identity is None else columns.without_repeats(identity)

    def _finish_prompts(self, votes: int) -> Int64 | None:
        """Return int64[N], a number for the prompt of each vote, 0 for none; None if no vote has a prompt."""
        if not len(self._prompts):
            return None
        _fill(self._prompts, votes, 0)
        found = self._prompts.finish()
        return found if found.any() else None

    def _finish_voters(self, *, needed: bool) -> tuple[pa.StringArray, Sequence[str], Int64]:
        """Return the voters of the N votes.

        Args:
            needed: whether the caller needs the voter of each vote. If not, only the ids are returned, for checks.

        Returns:
            Three values: the ids, each once; the voters, sorted; and int64[N], the position of each vote's voter among
            them, −1 for no voter. If not needed, the voters are empty and all positions are −1.
        """
        if not needed:
            return self._voters.ids(), (), np.broadcast_to(np.int64(-1), (len(self._outcome),))
        voters, voter = self._voters.finish()
        return voters, TextSequence(voters), keep(voter.astype(np.int64))


def _group(coded: TextCodes, codes: ColumnBuffer, votes: int) -> tuple[tuple[str, ...], Int32]:
    labels, table = coded.sort()
    if not labels or (votes and not len(codes)):
        return no_group(votes)
    _fill(codes, votes, -1)
    return labels, codes.finish(table=table)


def text_numbers(column: pa.DictionaryArray) -> Int64:
    """Return int64[n], equal numbers for equal texts; 0 for an empty text and for none."""
    texts = column.dictionary.cast(pa.string())
    numbers = np.append(hash_texts(texts)[0].view(np.int64), 0)
    numbers[:-1][pc.equal(pc.fill_null(pc.binary_length(texts), 0), 0).to_numpy(zero_copy_only=False)] = 0
    return np.asarray(numbers[pc.fill_null(column.indices, len(texts)).to_numpy(zero_copy_only=False)])


def _style(buffer: ColumnBuffer, votes: int) -> Int32:
    """Return the style counts. If the file has none, the array repeats one value and takes no memory."""
    if not len(buffer):
        return no_style(votes)
    _fill(buffer, votes, -1)
    return buffer.finish()


def _fill(buffer: ColumnBuffer, rows: int, value: int) -> None:
    """Extend a column to `rows` rows with one value, if it has fewer."""
    if len(buffer) < rows:
        buffer.fill(rows - len(buffer), value)
