"""Defines the rows of `intervals.json`, and reads the file. `published_intervals` computes and checks them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from . import canonical_json

PATH = "intervals.json"
"""Path of the file in a bundle."""


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """The intervals of a model, in points rounded to 0.01.

    Attributes:
        model: name of the model.
        clustered_lower, clustered_upper: 95% interval that is valid although the votes of one voter depend on each
            other.
        clustered_best, clustered_worst: the ranks that these intervals of all models allow.
        sequence_lower, sequence_upper: confidence sequence of the rating: with probability 95% it contains the true
            rating at every snapshot of the board.
        sure_best, sure_worst: the ranks that the confidence sequences of all differences of ratings allow.
        gap_lower, gap_upper: confidence sequence of the model's rating minus the rating of the model in the next row;
            None in the last row.
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
        level: coverage of the clustered intervals at one snapshot, and of the sequences over all snapshots, from 0 to
            1.
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
