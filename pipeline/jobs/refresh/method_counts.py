"""Counts of votes by the rules of a method, and by category and language.

Law: a count is summed over the flags of the votes; no vote is read, so a changed method costs what any refresh costs.
"""

from collections.abc import Collection, Mapping

import numpy as np

from pipeline.compute.board_cells import ALL, Label
from pipeline.ratings.method import Method
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.method_rules import count_by_first_rule, rule_mask

LabelCounts = Mapping[Label, Int64]
"""Label → int64[n, 6]: model_a, model_b, outcome, fate, flags, votes."""

_FATE, _FLAGS, _VOTES = 3, 4, 5


def board_name(label: Label) -> str:
    """Return the name of the board of a label: "category/coding"."""
    return f"{label.kind}/{label.text}"


def left_out_rows(counts: LabelCounts, method: Method, fates: Collection[int]) -> Int64:
    """Return the rows of votes with these fates that a rule leaves out."""
    rows = _of_fates(counts, ALL, fates)
    found: Int64 = rows[(rows[:, _FLAGS] & rule_mask(method.rules)) != 0]
    return found


def left_out_by_rule(rows: Int64, method: Method) -> dict[str, int]:
    """Return rule → votes, of rows from `left_out_rows`; each vote is counted under the first rule that names it."""
    return count_by_first_rule(rows[:, _FLAGS], rows[:, _VOTES], method.rules)


def counted_rows(counts: LabelCounts, label: Label, method: Method, fates: Collection[int]) -> Int64:
    """Return the rows of a label's votes with these fates that no rule leaves out."""
    rows = _of_fates(counts, label, fates)
    found: Int64 = rows[(rows[:, _FLAGS] & rule_mask(method.rules)) == 0]
    return found


def labels_by_size(
    counts: LabelCounts, method: Method, fates: Collection[int]
) -> tuple[dict[Label, Int64], dict[str, int]]:
    """Return the rows of the categories and languages that have enough votes for a board, and the votes of the others.

    Returns:
        Label → its rows that count, and the name of a smaller board → its votes.
    """
    large, small = {}, {}
    for label in sorted(counts.keys() - {ALL}, key=board_name):
        rows = counted_rows(counts, label, method, fates)
        votes = int(rows[:, _VOTES].sum())
        if votes >= max(1, method.least_board_votes):
            large[label] = rows
        elif votes:
            small[board_name(label)] = votes
    return large, small


def _of_fates(counts: LabelCounts, label: Label, fates: Collection[int]) -> Int64:
    rows = counts.get(label)
    if rows is None:
        return np.zeros((0, 6), dtype=np.int64)
    found: Int64 = rows[np.isin(rows[:, _FATE], list(fates))]
    return found
