"""Defines the rows of `intervals.json`, and reads the file.

The module `published_intervals` computes and checks the rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from . import canonical_json

PATH = "intervals.json"
"""Path of the file of intervals in a bundle."""


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """The published intervals of one model, in points rounded to 0.01.

    Attributes:
        model: name of the model.
        clustered_lower, clustered_upper: bounds of a 95% interval that allows for dependence between the votes of one
            voter.
        clustered_best, clustered_worst: the ranks that are compatible with the clustered intervals of all models.
        sequence_lower, sequence_upper: bounds of the confidence sequence of the rating. With probability 95%, it
            contains the true rating at every snapshot of the board.
        sure_best, sure_worst: the ranks that are compatible with the confidence sequences of all differences of
            ratings.
        gap_lower, gap_upper: bounds of the confidence sequence of a difference: the model's rating minus the rating in
            the next row. None in the last row.
    """

    model: str
    clustered_lower: float
    clustered_upper: float
    clustered_best: int
    clustered_worst: int
    sequence_lower: float
    sequence_upper: float
    sure_best: int
    sure_worst: int
    gap_lower: float | None = None
    gap_upper: float | None = None


COLUMNS = tuple(one.name for one in fields(IntervalRow))[1:]
"""Names of the intervals and ranks of a row."""


@dataclass(frozen=True, slots=True)
class PublishedIntervals:
    """The intervals of a snapshot, as `intervals.json` states them.

    Attributes:
        level: coverage, from 0 to 1. Clustered intervals have this coverage at one snapshot, confidence sequences at
            all snapshots together.
        models_ever: number of models with votes in the raw view (`confidence_sequences`).
        summed_at: size of the vote log at which the sums over voters were last computed from all votes.
        views: view → rows, best model first.
    """

    level: float
    models_ever: int
    summed_at: int
    views: Mapping[str, tuple[IntervalRow, ...]]


def read_intervals(data: bytes) -> PublishedIntervals:
    """Read the file `intervals.json`.

    Raises:
        Refuted: reason `canonical`: the file is not canonical JSON. Reason `fields`: a field is wrong. Reason `limit`:
            the file is too large.
    """
    return canonical_json.load(PublishedIntervals, data, PATH)
