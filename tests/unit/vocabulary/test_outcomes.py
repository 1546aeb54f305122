"""Outcome codes."""

from pipeline.vocabulary.outcomes import OUTCOMES


def test_outcome_codes_are_positions_and_never_move() -> None:
    # They are stored in every vote row.
    assert OUTCOMES == ("model_a", "model_b", "tie", "both_bad")
