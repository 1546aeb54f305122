"""Represents a published leaderboard on one day, and conflicts between its rows."""

from dataclasses import dataclass
from datetime import date

from pipeline.vocabulary.arrays import Float64, Int64


@dataclass(frozen=True, slots=True, eq=False)
class PublishedBoard:
    """A board on one day, as columns of m rows in the order of the file.

    Attributes:
        board: name of the board.
        day: day of the snapshot.
        models: names of the models as published; a name may occur twice.
        rank, style_rank: float64[m], ranks without and with style control, NaN where missing.
        score, lower, upper: float64[m], ratings and bounds of their intervals in points; bounds are NaN where missing.
        votes: int64[m], number of votes on each model.
        organizations, licenses: the organisation and the licence of each model as published, "" where missing.
    """

    board: str
    day: date
    models: tuple[str, ...]
    rank: Float64
    style_rank: Float64
    score: Float64
    lower: Float64
    upper: Float64
    votes: Int64
    organizations: tuple[str, ...]
    licenses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BoardConflict:
    """Two rows that differ although both are about one model on one board and day.

    Attributes:
        board, day, model: the board, day and model of both rows.
        column: the first column in which the two rows differ, by the project's name of the column.
        first, other: the two values in this column, as text.
        first_file, other_file: the files of the two rows.
        first_record, other_record: 0-based rows in these files.
    """

    board: str
    day: date
    model: str
    column: str
    first: str
    other: str
    first_file: str
    first_record: int
    other_file: str
    other_record: int

    @property
    def between_files(self) -> bool:
        """Whether the two rows are from different files. Rows of one file may be about two models with one name."""
        return self.first_file != self.other_file
