"""Counts votes by the rules of a method, and by category and language.

A rule leaves out votes by their flags. The store has the number of votes for each combination of flags, and the
functions here sum these numbers. No single vote is read, so a refresh with a changed method takes no longer than any
other refresh.
"""

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from pipeline.compute.board_cells import ALL, Label
from pipeline.ratings.method import Method
from pipeline.vocabulary.arrays import Bool, Int64
from pipeline.vocabulary.fates import FATES
from pipeline.vocabulary.method_rules import count_by_first_rule, rule_mask

LabelCounts = Mapping[Label, Int64]
"""Label → int64[n, 6], one row for each combination of model_a, model_b, outcome, fate and flags, with its votes.

The first two columns are numbers of models in the store, the next three are codes, and the last is the number of
votes."""

_FATE, _FLAGS, _VOTES = 3, 4, 5


def board_name(label: Label) -> str:
    """Return the name of a label's board, such as "category/coding"."""
    return f"{label.kind}/{label.text}"


def left_out_rows(counts: LabelCounts, method: Method, fates: Collection[int]) -> Int64:
    """Return the rows of `counts` whose votes a rule of the method leaves out.

    Args:
        counts: the counts of votes by label and flags.
        method: the rules that leave votes out.
        fates: only rows with these fates are returned.

    Returns:
        int64[n, 6], rows of `LabelCounts`. A row has the number of votes of a pair of models with one outcome, one fate
        and one combination of flags.
    """
    rows, of_fates, left_out = _masks(counts, ALL, method, fates)
    found: Int64 = rows[of_fates & left_out]
    return found


def left_out_by_rule(rows: Int64, method: Method) -> dict[str, int]:
    """Return rule → number of votes that the rule leaves out.

    A vote that several rules leave out is counted under the first of these rules.

    Args:
        rows: int64[n, 6], the result of `left_out_rows`.
        method: the rules, in the order in which a vote is counted.
    """
    return count_by_first_rule(rows[:, _FLAGS], rows[:, _VOTES], method.rules)


def counted_rows(counts: LabelCounts, label: Label, method: Method, fates: Collection[int]) -> Int64:
    """Return the rows of a label whose votes no rule of the method leaves out.

    Args:
        counts: the counts of votes by label and flags.
        label: a category, a language, or ALL for all votes.
        method: the rules that leave votes out.
        fates: only rows with these fates are returned.

    Returns:
        int64[n, 6], rows of `LabelCounts`.
    """
    rows, of_fates, left_out = _masks(counts, label, method, fates)
    found: Int64 = rows[of_fates & ~left_out]
    return found


def rows_by_label(counts: LabelCounts, method: Method, fates: Collection[int]) -> Iterator[tuple[Label, int, Int64]]:
    """Yield each category and language with votes that count, in the order of the names of their boards.

    Args:
        counts: the counts of votes by label and flags.
        method: the rules that leave votes out.
        fates: fates of the votes that count.

    Yields:
        The label, the number of its votes that count, and the rows of `counts` that count for it, int64[n, 6]. The
        rows of all labels together would take much memory.
    """
    for label in sorted(counts.keys() - {ALL}, key=board_name):
        rows = counted_rows(counts, label, method, fates)
        votes = int(rows[:, _VOTES].sum())
        if votes:
            yield label, votes, rows


def _masks(counts: LabelCounts, label: Label, method: Method, fates: Collection[int]) -> tuple[Int64, Bool, Bool]:
    """Return the counts of a label and two masks: rows with one of these fates, and rows that a rule leaves out."""
    rows = counts.get(label)
    rows = np.zeros((0, 6), dtype=np.int64) if rows is None else rows
    wanted = np.isin(np.arange(len(FATES)), list(fates))
    return rows, wanted[rows[:, _FATE]], (rows[:, _FLAGS] & rule_mask(method.rules)) != 0
