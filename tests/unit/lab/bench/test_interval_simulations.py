"""The simulations of intervals: their short cuts against the product, their bars, and the command that prints them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm
from typer.testing import CliRunner

from pipeline.cli.commands import app
from pipeline.lab.bench import sequence_coverage
from pipeline.lab.bench.clustered_coverage import ClusteredCoverage
from pipeline.lab.bench.sequence_coverage import SequenceCoverage, simulate_sequences
from pipeline.lab.bench.taste_boards import draw_votes, true_strengths
from pipeline.ratings import PairCounts, compute_leaderboard, fit
from pipeline.ratings.confidence_sequences import critical_values
from pipeline.ratings.voter_intervals import voter_intervals
from pipeline.ratings.voter_score_sums import VoterBattles, sum_voter_scores


def test_boards_that_grow_together_have_the_product_s_sequences() -> None:
    votes, k = draw_votes(np.random.default_rng(1), 8, 1_500, 0.8), 8
    growing = sequence_coverage._GrowingBoards([votes, votes])
    growing.extend(1_000)
    growing.extend(500)
    growing.sum_again()
    theta, se, pair_se = growing.estimates()
    names = tuple(f"m{i}" for i in range(k))
    counts = PairCounts.from_codes(names, votes.a, votes.b, votes.outcome)
    fitted = fit(counts)
    sums = sum_voter_scores(fitted, names, VoterBattles(votes.voter + 1, votes.a, votes.b, votes.outcome))
    found = voter_intervals(compute_leaderboard(counts), fitted, counts, sums)
    place = [names.index(name) for name in found.models]
    assert theta[0][place] + 1000 == pytest.approx(found.rating, abs=1e-3)
    assert (critical_values(se, 0.05) * se)[1][place] == pytest.approx(found.sequences.margin, rel=1e-4)
    beside = pair_se[0][place[0], place[1]]
    assert found.sequences.gap_margin[0] == pytest.approx(critical_values(beside[None], 0.05)[0] * beside, rel=1e-4)


@pytest.mark.parametrize("taste", [0.0, 0.7])
def test_the_truth_wins_as_often_as_voters_with_tastes_let_it_win(taste: float) -> None:
    """The maximum of the expected likelihood: each model's expected wins are those of its strength."""
    truth, strength = true_strengths(6, taste), np.linspace(-0.8, 0.8, 6)

    def wins(gap: float) -> float:
        # The difference of two tastes has the standard deviation taste √2.
        return float(quad(lambda z: expit(gap + taste * np.sqrt(2) * z) * norm.pdf(z), -12, 12)[0])

    for model in range(6):
        others = [one for one in range(6) if one != model]
        seen = sum(wins(strength[model] - strength[one]) for one in others)
        assert sum(expit(truth[model] - truth[others])) == pytest.approx(seen, abs=1e-6)
    assert truth.mean() == pytest.approx(0, abs=1e-12)


@pytest.mark.long
def test_sequences_hold_over_looks_at_which_intervals_do_not() -> None:
    found = simulate_sequences(60, 100, 0.5, seed=2)
    assert found.passed
    assert found.intervals < 0.9
    assert all(1.5 < width < 2.0 for width in found.widths)
    assert found.errors[0] > found.errors[-1]


@pytest.mark.parametrize("which", [0, 1, 3])
def test_bars_can_be_missed(which: int) -> None:
    shares = [0.94 if at == which else 0.96 for at in range(4)]
    assert not SequenceCoverage(1, 1, 0.5, *shares, 0.5, (1.0,) * 3, (1.0,) * 3).passed
    assert not ClusteredCoverage(0.5, 0.9, 0.93 + 0.04 * (which % 2), 1.0).passed


@pytest.mark.long
def test_the_command_prints_both() -> None:
    few = ["bench", "intervals", "--boards", "10", "--growing", "10", "--looks", "20"]
    document = json.loads(CliRunner().invoke(app, [*few, "--json"]).stdout)
    assert [one["taste"] for one in document["clustered"]] == [0, 0.5, 1]
    assert document["sequences"]["looks"] == 20
    shown = CliRunner().invoke(app, few)
    assert shown.exit_code == 0
    assert "sure ranks of a whole board" in shown.stdout
