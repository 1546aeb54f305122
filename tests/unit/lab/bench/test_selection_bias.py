"""The simulation of the winner's curse: its own figures against the formulas, and that its bars can be missed."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from pipeline.cli.commands import app
from pipeline.lab.bench.selection_bias import (
    DISCLOSED,
    FRESH,
    NAIVE,
    SHRUNK,
    EstimatorError,
    SelectionSimulation,
    simulate_scores,
    simulate_votes,
)
from pipeline.lab.bench.selection_coverage import SelectionCoverage
from pipeline.ratings.winners_curse import expected_max, sd_of_max, selection_gain

FEW = ("--families", "100")


def of(one: SelectionSimulation) -> dict[str, EstimatorError]:
    return {each.name: each for each in one.estimators}


def test_scores_drawn_as_normals_err_as_the_formulas_say() -> None:
    found = of(simulate_scores(20_000, seed=1))
    assert found[NAIVE].bias == pytest.approx(6.3 * expected_max(27), abs=0.1)
    assert found[DISCLOSED].bias == pytest.approx(0, abs=0.1)
    assert found[DISCLOSED].rmse == pytest.approx(6.3 * sd_of_max(27), rel=0.03)
    assert found[DISCLOSED].passed
    assert found[DISCLOSED].coverage == pytest.approx(0.95, abs=0.01)
    assert (found[FRESH].bias, found[FRESH].rmse) == (pytest.approx(0, abs=0.15), pytest.approx(6.3, rel=0.03))
    assert 0 < found[SHRUNK].bias < found[NAIVE].bias / 4


def test_part_of_the_gain_is_earned_where_variants_differ() -> None:
    found = of(simulate_scores(20_000, n=10, se=6.0, tau=20.0, seed=2))
    assert found[NAIVE].bias == pytest.approx(selection_gain(10, 6.0, 20.0).curse, abs=0.15)
    assert found[DISCLOSED].bias == pytest.approx(0, abs=0.15)
    assert found[DISCLOSED].coverage == pytest.approx(0.95, abs=0.01)


@pytest.mark.long
def test_a_board_of_votes_errs_no_more_than_normals() -> None:
    one = simulate_votes(150, seed=3)
    found = of(one)
    assert one.se == pytest.approx(6.3, abs=0.1)
    assert found[NAIVE].bias == pytest.approx(12.6, abs=1.0)
    assert found[DISCLOSED].passed
    assert found[NAIVE].passed is None


@pytest.mark.parametrize(("bias", "rmse"), [(0.6, 3.0), (-0.6, 3.0), (0.0, 3.6)])
def test_a_bar_can_be_missed(bias: float, rmse: float) -> None:
    assert EstimatorError(DISCLOSED, bias, rmse).passed is False


@pytest.mark.long
def test_the_verb_prints_both_simulations() -> None:
    reported = CliRunner().invoke(app, ["bench", "selection", "--rounds", "500", "--boards", "10", *FEW, "--json"])
    assert reported.exit_code == 0, reported.output
    document = json.loads(reported.stdout)
    assert [(one["n"], one["tau"]) for one in document["coverage"]] == [
        (n, tau) for n in (3, 10, 27, 50) for tau in (0, 5, 10, 65)
    ]
    assert [one["rounds"] for one in document["simulations"]] == [500, 10]
    shown = CliRunner().invoke(app, ["bench", "selection", "--rounds", "500", "--boards", "10", *FEW])
    assert "N disclosed" in shown.stdout
    assert "at least 90% for each N and τ" in shown.stdout


@pytest.mark.parametrize(("disclosed", "family"), [(0.89, 0.95), (0.95, 0.89)])
def test_each_interval_can_miss_its_bar(disclosed: float, family: float) -> None:
    assert not SelectionCoverage(3, 0.0, 0.9, disclosed, family, 0.9, 1.0).passed
