"""The level of a report's intervals: one that needs more draws than there are is refused, whatever it is."""

import pytest

from pipeline.errors import BadCounts
from pipeline.report.report_board import joint_rank_sets, rate_report_votes
from tests.streams.planted_boards import PlantedBoard, draw
from tests.unit.report.report_rows import report_votes


@pytest.mark.parametrize("level", [0.99999, 0.9999999])
def test_a_level_that_needs_too_many_draws_is_refused(level: float) -> None:
    board = rate_report_votes(report_votes(draw(PlantedBoard(votes=500))))
    with pytest.raises(BadCounts, match="draws for a level"):
        joint_rank_sets(board.fitted, level)
