"""Accuracy figures: their targets, and the measurements behind them."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.cli.commands import app
from pipeline.detectors import VoterBias
from pipeline.errors import Usage
from pipeline.lab.bench.accuracy_figure import AccuracyFigure
from pipeline.lab.bench.backlog_accuracy import POISON, POWER
from pipeline.lab.bench.detector_accuracy import PARTS
from pipeline.lab.bench.voter_detector_accuracy import _alarmed, _within_400, first_alarms
from pipeline.lab.simulate.simulated_voters import SimulatedVoters


@pytest.mark.parametrize(
    ("figure", "relation", "holds"),
    [
        (AccuracyFigure("x", 0.01, "share", at_most=0.01), "at most", True),
        (AccuracyFigure("x", 0.011, "share", at_most=0.01), "at most", False),
        (AccuracyFigure("x", 0.7, "share", at_least=0.7), "at least", True),
        (AccuracyFigure("x", 0.69, "share", at_least=0.7), "at least", False),
        (AccuracyFigure("x", 0.5, "share"), "reported", None),
        (AccuracyFigure("x", float("inf"), "votes", at_most=20.0), "at most", False),  # never found
    ],
)
def test_a_figure_meets_its_target_at_the_bar_and_not_beyond(
    figure: AccuracyFigure, relation: str, holds: bool | None
) -> None:
    assert (figure.relation, figure.holds) == (relation, holds)


def test_the_first_alarm_is_that_of_each_voter_alone() -> None:
    board = SimulatedVoters(seed=5, models=12)
    votes = board.cast_votes("left", 6, 60)
    together = first_alarms(votes, board.reference, "biased")
    assert np.isfinite(together).all()
    for voter in range(6):
        mine = votes.take(votes.voter == voter)
        _, raised = VoterBias().observe(mine, [None] * 6, board.reference)
        assert together[voter] == min(r.evidence["votes"] for r in raised if r.direction == "biased")


@pytest.mark.long
def test_most_voters_at_half_strength_are_found_and_the_honest_who_see_as_much_of_a_model_are_not() -> None:
    board = SimulatedVoters(seed=3)
    assert (
        _within_400(board, 100, sampling=0.2, strength=0.5) >= 0.3
    )  # docs/limits.md: with the taste that the board shows
    assert _alarmed(board, "biased", voters=200, sampling=0.2) <= 0.01


@pytest.mark.long
def test_honest_voters_of_few_models_whose_ties_depend_on_the_pair_are_not_found() -> None:
    board = SimulatedVoters(seed=4, models=10, davidson_ties=True, model_tie_sd=0.15)
    ties = board.cast_votes("honest", 200, 300)
    theta = np.abs(board.theta[ties.model_a] - board.theta[ties.model_b])
    near, far = (ties.outcome[which] >= 2 for which in (theta < 0.2, theta > 1.5))
    assert far.mean() < near.mean() - 0.05
    assert _alarmed(board, "biased", voters=300, each=600) <= 0.02


def test_the_verb_shows_every_figure_beside_its_bar_and_says_where_it_falls_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = AccuracyFigure("found too late", float("inf"), "votes", at_most=20.0)
    monkeypatch.setitem(PARTS, "power", lambda _: iter([short, AccuracyFigure("seen", 3.0, "votes")]))
    reported = CliRunner().invoke(app, ["bench", "evidence", "--only", "power"])
    assert reported.exit_code == 0, reported.output
    line = next(line for line in reported.stdout.splitlines() if "found too late" in line)
    assert "never" in line
    assert "≤ 20" in line
    assert "no" in line
    document = json.loads(CliRunner().invoke(app, ["bench", "evidence", "--only", "power", "--json"]).stdout)
    assert [(one["value"], one["bar"], one["holds"]) for one in document] == [(None, 20.0, False), (3.0, None, None)]


@pytest.mark.long
def test_a_tenth_of_the_sample_is_a_tenth_of_the_voters() -> None:
    reported = CliRunner().invoke(
        app, ["bench", "evidence", "--only", "calibration,state", "--scale", "0.02", "--json"]
    )
    assert reported.exit_code == 0, reported.output
    document = json.loads(reported.stdout)
    assert document[0]["what"] == "false alarms of 20 honest voters × 400 votes"
    assert all(one["value"] is not None and one["value"] >= 0 for one in document)
    assert "10,000 voters of the power law" in document[-1]["what"]
    assert 20 < document[-1]["value"] < 120
    assert document[-1]["value"] == pytest.approx(sum(one["value"] for one in document[-4:-1]), abs=0.01)


@pytest.mark.parametrize("words", [("--only", "voters"), ("--scale", "0"), ("--scale", "2")])
def test_what_cannot_be_measured_is_refused(words: tuple[str, str]) -> None:
    reported = CliRunner().invoke(app, ["bench", "evidence", *words])
    assert isinstance(reported.exception, Usage)
    assert f"got {words[1]!r}" in str(reported.exception) or f"got {float(words[1])}" in str(reported.exception)


@pytest.mark.long
def test_the_backlog_is_measured_on_every_attack_of_the_table() -> None:
    figures = list(PARTS["backlog"](0.02))
    named = [one for one in figures if one.what.endswith("named") and "honest" not in one.what]
    assert len(named) == len(POWER) * len(POISON) + 1
    found = {one.what.split(",")[0]: one.value for one in named if "(20%)" in one.what}
    assert found["left"] == 1.0
    assert next(one for one in figures if "honest voters named" in one.what).holds
