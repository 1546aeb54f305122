"""Maps pieces of a battle file to columns of codes, 100 times as fast as `row_mapping` maps records.

A piece contains some rows of the file, stored as columns. The result equals the result of mapping record by record.
Where this is not certain, `Undecided` is raised, and the caller maps the file record by record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.events.vote import MAX_LABELS_BYTES, category_list
from pipeline.formats.accepted_names import are_accepted, are_plain, is_accepted_column
from pipeline.formats.battle_format import BattleFormat, Flag, NamedWinner, OneHotOutcome, ValueSource, at
from pipeline.formats.cell_values import outcome_word, spelled_outcome, truth_value
from pipeline.formats.column_pieces import Piece, Undecided
from pipeline.formats.column_values import (
    count_column,
    distinct,
    flag_column,
    label_column,
    looked_up,
    named_label_column,
    recoded,
    text_array,
    text_column,
    true_label_column,
)
from pipeline.formats.left_out import NO_OUTCOME, LeftOut
from pipeline.formats.number_columns import number_columns
from pipeline.formats.record_reader import RecordCheck, check_records
from pipeline.formats.record_text import TEXT_COLUMNS
from pipeline.formats.text_codes import Texts
from pipeline.formats.vote_collector import ALL_COLUMNS, CHECKED_TEXTS, PROMPT, NeededColumns, VoteCollector
from pipeline.ratings import STYLE_FEATURES
from pipeline.ratings.battle_columns import BattleColumns
from pipeline.vocabulary.arrays import Bool, Int8, Int32, Int64
from pipeline.vocabulary.outcomes import OUTCOME_CODES
from pipeline.vocabulary.voter_identity import Network

# No outcome, and something that is no outcome.
_NONE, _UNKNOWN = -1, -2
_LEAK = "identity_leak"


class ColumnMapper:
    """Maps pieces of a battle file to columns of votes, and collects the votes of all pieces."""

    def __init__(
        self,
        form: BattleFormat,
        outcomes: Mapping[str, str],
        left_out: LeftOut,
        proxies: Sequence[Network] = (),
        needed: NeededColumns = ALL_COLUMNS,
        check: RecordCheck | None = None,
    ) -> None:
        """Create a mapper for a format.

        Args:
            form: the format of the file.
            outcomes: outcome in the file, as `outcome_word` writes it → our outcome.
            left_out: counts the records that are not votes.
            proxies: addresses that identify no voter.
            needed: the columns that are collected.
            check: a function that computes fields from the texts of a record. Of its fields, the mapper uses
                `identity_leak` and, if prompts are needed, `prompt_hash`. If `check` is None, texts are not read.

        Raises:
            Undecided: the format has a function of its own that maps records (`BattleFormat.map_record`).
        """
        if form.map_record is not None:
            raise Undecided
        self._form, self._outcomes, self._left_out = form, outcomes, left_out
        self._row = 0
        self._check, self._needed = check, needed
        more = () if check is None or _LEAK in form.flags else (_LEAK,)
        self._votes = VoteCollector((*form.flags, *more), proxies, needed)

    def add(self, piece: Piece) -> None:
        """Map a piece, and add its votes.

        Records without an outcome and battles of a model against itself are left out and counted.

        Raises:
            Undecided: a record can be read, or its error explained, only by mapping single records.
        """
        form = self._form
        names = [text_column(piece.values(source)) for source in (form.model_a, form.model_b)]
        if any(map(_has_blank, names)):
            raise Undecided
        outcome = self._outcomes_of(piece, *names)
        against_itself = _equal_texts(*names)
        is_vote = (outcome != _NONE) & ~against_itself
        if (outcome == _UNKNOWN).any() or not ((outcome != _NONE).all() or form.without_outcome):
            raise Undecided
        flags = {name: _flag(piece, flag) for name, flag in form.flags.items()}
        if not is_vote.all():
            self._left_out.add_rows(NO_OUTCOME, self._row + np.flatnonzero(outcome == _NONE))
            own = np.flatnonzero((outcome != _NONE) & against_itself)
            self._left_out.add_self_battles(self._row + own, {name: flag[own] for name, flag in flags.items()})
        texts = {name: text_array(piece.values(form.texts[name])) for name in self._needed.texts if name in form.texts}
        if self._check is not None:
            flags[_LEAK], prompts = self._checked(piece, names, flags.get(_LEAK), self._check)
            if self._needed.prompts:
                stated = texts.get(PROMPT)
                texts[PROMPT] = prompts if stated is None else _first_texts(stated, prompts)
        self._row += len(piece)
        if not (is_vote.all() or are_plain(_texts_of([*names, *texts.values()], ~is_vote))):
            raise Undecided  # a battle of a model against itself may have another fault
        if not (piece.is_decoded or self._are_names_accepted(piece)):
            raise Undecided
        self._votes.add(
            [_chosen(column, is_vote) for column in names],
            outcome[is_vote],
            {name: _chosen(column, is_vote) for name, column in texts.items()},
            {name: flag[is_vote] for name, flag in flags.items()},
            self._style_of(piece, is_vote),
            self._labels_of(piece)[is_vote] if self._has_labels else None,
            {name: values[is_vote] for name, values in number_columns(form, piece, self._needed.numbers).items()},
        )

    def finish(self) -> BattleColumns:
        """Return all votes as columns, except votes whose id an earlier vote has.

        Raises:
            Undecided: the decoder of events must check a name, or a vote has more categories than the decoder accepts.
        """
        found = self._votes.finish(are_accepted)
        if _has_long_list(*found.categories):
            raise Undecided
        if self._check is not None and _LEAK not in self._form.flags and found.flags[_LEAK].max(initial=-1) < 0:
            return replace(found, flags={name: flag for name, flag in found.flags.items() if name != _LEAK})
        return found

    def _are_names_accepted(self, piece: Piece) -> bool:
        """Return whether the decoder of events accepts every text in the fields that are checked but not collected."""
        texts = self._form.texts
        return all(
            is_accepted_column(piece.values(texts[name]))
            for name in CHECKED_TEXTS
            if name in texts and name not in self._needed.texts
        )

    def _checked(
        self, piece: Piece, names: Sequence[Texts], stated: Int8 | None, check: RecordCheck
    ) -> tuple[Int8, pa.StringArray]:
        """Return what the texts of a piece show: leaks of an identity, and the hashes of prompts.

        Returns:
            Two values: int8[n], 1 if an answer leaks an identity, 0 if none does, −1 if not known; and the hash of each
            prompt, null without a prompt. What a vote states about a leak takes precedence over what its texts show.
        """
        models = zip(*(column.to_pylist() for column in names), strict=True)
        fields = ({"model_a": model_a, "model_b": model_b} for model_a, model_b in models)
        found = list(check_records(check, piece.records(TEXT_COLUMNS), fields))
        shown = np.array([one.get(_LEAK, -1) for one in found], dtype=np.int8)
        leaks = shown if stated is None else np.where(stated >= 0, stated, shown)
        return leaks, pa.array([one.get(PROMPT) for one in found], pa.string())

    def _style_of(self, piece: Piece, rows: Bool) -> tuple[Int32, Int32] | None:
        style = self._form.style
        return (_style(piece, style.get("a", {}))[rows], _style(piece, style.get("b", {}))[rows]) if style else None

    def _labels_of(self, piece: Piece) -> Int64:
        """Return int64[n], the categories of each row as bits: each category of the file has a bit of its own."""
        form, found = self._form, np.zeros(len(piece), dtype=np.int64)
        for source in form.labels:
            found |= label_column(piece.values(source), self._votes.bits)
        for label, source in form.true_labels.items():
            found |= true_label_column(flag_column(piece.values(source), truth_value), label, self._votes.bits)
        for name, source in form.named_labels.items():
            found |= named_label_column(piece.values(source), name, self._votes.bits)
        return found

    @property
    def _has_labels(self) -> bool:
        return bool(self._form.labels or self._form.true_labels or self._form.named_labels)

    def _outcomes_of(self, piece: Piece, model_a: pa.DictionaryArray, model_b: pa.DictionaryArray) -> Int8:
        rule = self._form.outcome
        if isinstance(rule, OneHotOutcome):
            return _one_hot(piece, rule)
        if isinstance(rule, NamedWinner):
            return self._named(piece, rule, model_a, model_b)
        return looked_up(piece.values(at(rule.column)), self._code)

    def _code(self, value: Any) -> int:
        word = outcome_word(value)
        if word is None:
            return _NONE
        return OUTCOME_CODES.get(spelled_outcome(word, self._outcomes), _UNKNOWN)

    def _named(self, piece: Piece, rule: NamedWinner, model_a: pa.DictionaryArray, model_b: pa.DictionaryArray) -> Int8:
        winner = text_column(piece.values(at(rule.column)))
        names: dict[str, int] = {}
        codes = [
            recoded({t: names.setdefault(t, len(names)) for t in texts if t is not None}, texts, positions)
            for texts, positions in (distinct(column) for column in (winner, model_a, model_b))
        ]
        spelled = looked_up(winner, self._code)
        result = np.where(codes[0] == codes[1], OUTCOME_CODES["model_a"], spelled)
        result = np.where((codes[0] == codes[2]) & (codes[0] != codes[1]), OUTCOME_CODES["model_b"], result)
        absent = np.array([*(text in (None, "") for text in distinct(winner)[0]), True])[distinct(winner)[1]]
        tied = flag_column(piece.values(at(rule.tie)), truth_value) == 1
        return np.where(absent, np.where(tied, OUTCOME_CODES["tie"], _NONE), result).astype(np.int8)


def _has_blank(names: pa.DictionaryArray) -> bool:
    """Return whether a name consists of spaces only."""
    return any(name and not name.strip() for name in names.dictionary.to_pylist())


def _equal_texts(first: pa.DictionaryArray, second: pa.DictionaryArray) -> Bool:
    """Return bool[n], true where both columns have the same text."""
    place = {text: code for code, text in enumerate(first.dictionary.to_pylist())}
    left = pc.fill_null(first.indices, -1).to_numpy(zero_copy_only=False)
    right = recoded(place, second.dictionary.to_pylist(), distinct(second)[1])
    return np.asarray((left == right) & (left >= 0))


def _one_hot(piece: Piece, rule: OneHotOutcome) -> Int8:
    given = np.array([flag_column(piece.values(at(column)), truth_value) for column in rule.columns.values()])
    codes = np.array([OUTCOME_CODES[outcome] for outcome in rule.columns], dtype=np.int8)
    decided = ((given == 1).sum(axis=0) == 1) & (given >= 0).all(axis=0)
    nothing = np.where((given < 0).all(axis=0), _NONE, _UNKNOWN)
    return np.where(decided, codes[(given == 1).argmax(axis=0)], nothing).astype(np.int8)


def _flag(piece: Piece, flag: Flag) -> Int8:
    value = flag_column(piece.values(flag.source), truth_value)
    if flag.unless is None:
        return value
    other = flag_column(piece.values(flag.unless), truth_value)
    return np.where((value == 1) & (other == 1), 0, value).astype(np.int8)


def _style(piece: Piece, features: Mapping[str, ValueSource]) -> Int32:
    """Return the style counts of one answer of each row, int32[n, 5]. A row without any count has −1 for all features.

    If a row has some counts, a missing count is 0.
    """
    counts = np.full((len(piece), len(STYLE_FEATURES)), -1, dtype=np.int32)
    for feature, source in features.items():
        counts[:, STYLE_FEATURES.index(feature)] = count_column(piece.values(source))
    given = counts.max(axis=1, keepdims=True) >= 0
    return np.where(given, np.maximum(counts, 0), np.int32(-1))


def _chosen(column: Texts, rows: Bool) -> Texts:
    return column if rows.all() else column.filter(pa.array(rows))


def _texts_of(columns: list[Texts], rows: Bool) -> tuple[str, ...]:
    """Return the texts of the columns in the rows that the mask `rows` selects, without empty texts."""
    found = (text for column in columns for text in column.filter(pa.array(rows)).unique().to_pylist())
    return tuple(text for text in found if text)


def _first_texts(stated: Texts, otherwise: pa.StringArray) -> pa.StringArray:
    """Return the texts in `stated`. For a row without a text, return the text in `otherwise`."""
    texts = stated.cast(pa.string())
    return pc.if_else(pc.equal(pc.fill_null(texts, ""), ""), otherwise, texts)


def _has_long_list(labels: Sequence[str], bits: Int64) -> bool:
    """Return whether the list of any vote's categories, as `category_list` writes it, has too many bytes."""
    brackets = 2
    sizes = [len((category_list(None, (label,)) or "").encode()) - brackets for label in labels]
    if brackets + sum(sizes) + len(sizes) <= MAX_LABELS_BYTES:
        return False
    whole = np.full(len(bits), brackets - 1)
    for k, size in enumerate(sizes):
        whole += (bits >> k & 1) * (size + 1)
    return bool((whole > MAX_LABELS_BYTES).any())
