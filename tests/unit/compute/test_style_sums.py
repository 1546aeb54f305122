"""The fit under style control over parts of a log is the fit of all votes, on each engine and from each start."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compute.engine import Engine
from pipeline.compute.open_runner import open_runner
from pipeline.compute.runner import Runner
from pipeline.compute.style_blocks import SIDE
from pipeline.compute.style_counts import count_styled, sum_answers
from pipeline.compute.style_sums import FittedAxis, StyleSums
from pipeline.compute.thread_runner import ThreadRunner
from pipeline.errors import Separated
from pipeline.ratings import STYLE_FEATURES, StyleFit, fit_style, style_contrast
from pipeline.ratings.intervals import POINTS_PER_LOGIT
from pipeline.ratings.style_control import StyleStart, fit_style_sums

from .style_logs import PartedVotes, draw_votes

MODELS = 7
NAMES = tuple(f"m{at}" for at in range(MODELS))
PLACE = np.array([0, *range(MODELS)])
WHOLE = FittedAxis(PLACE, MODELS, tuple(range(SIDE)))


def fit_parts(votes: PartedVotes, runner: Runner, start: StyleStart | None = None) -> StyleFit:
    counted = count_styled(votes, PLACE, MODELS, runner)
    counts = counted.pair_counts(NAMES)
    sums = StyleSums(votes, counts, counted.squares_of(np.arange(MODELS), MODELS), WHOLE, runner)
    return fit_style_sums(sums, counts, features=STYLE_FEATURES, start=start)


def fit_whole(votes: PartedVotes) -> StyleFit:
    block = votes.counted()
    z = style_contrast(list(block["style"][:, :SIDE].T), list(block["style"][:, SIDE:].T))
    return fit_style(
        NAMES, PLACE[block["model_a"]], PLACE[block["model_b"]], block["outcome"], z, features=STYLE_FEATURES
    )


def figures(found: StyleFit) -> np.ndarray:
    """The published figures, unrounded: points, standard errors, coefficients and theirs."""
    errors, of_features = np.sqrt(np.diag(found.ratings.covariance)), np.sqrt(np.diag(found.covariance))
    points = np.concatenate([found.ratings.theta, errors]) * POINTS_PER_LOGIT
    return np.concatenate([points, found.coefficients, of_features])


def parted(seed: int, sizes: tuple[int, ...]) -> PartedVotes:
    without = np.random.default_rng(seed).integers(0, sum(sizes), sum(sizes) // 20)
    return PartedVotes(draw_votes(seed, sum(sizes), MODELS), sizes, np.unique(without))


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(0, 900), min_size=1, max_size=6))
def test_the_fit_over_parts_is_the_fit_of_all_votes(seed: int, sizes: list[int]) -> None:
    votes = parted(seed, (2_000, *sizes))
    assert figures(fit_parts(votes, ThreadRunner())) == pytest.approx(figures(fit_whole(votes)), abs=1e-8)


@pytest.mark.long
@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.01, 1.0, 30.0]), st.booleans())
def test_the_start_does_not_show_in_the_result(seed: int, distance: float, unknown: bool) -> None:
    votes, rng = parted(seed, (3_000,)), np.random.default_rng(seed)
    cold = fit_parts(votes, ThreadRunner())
    theta = 5 + cold.ratings.theta + distance * rng.normal(size=MODELS)
    if unknown:
        theta[2] = np.nan
    start = StyleStart(theta, cold.coefficients + distance * rng.normal(size=SIDE))
    warm = fit_parts(votes, ThreadRunner(), start)
    assert figures(warm) == pytest.approx(figures(cold), abs=1e-9)
    if not distance and not unknown:
        assert warm.ratings.iterations < cold.ratings.iterations


def test_votes_that_a_feature_decides_have_no_fit_over_parts() -> None:
    votes = parted(3, (1_500, 700))
    longer = votes.block["style"][:, 0] > votes.block["style"][:, SIDE]
    votes.block["outcome"] = np.where(votes.block["style"][:, 0] == votes.block["style"][:, SIDE], 2, 1 - longer)
    with pytest.raises(Separated) as expected:
        fit_whole(votes)
    for start in (None, StyleStart(np.zeros(MODELS), np.ones(SIDE))):
        with pytest.raises(Separated) as found:
            fit_parts(votes, ThreadRunner(), start)
        assert str(found.value) == str(expected.value)


def test_models_and_features_that_are_not_fitted_are_left_out() -> None:
    votes = parted(5, (2_500, 600))
    counted = count_styled(votes, PLACE, MODELS, ThreadRunner())
    kept = np.array([0, 1, 2, 4, 6])
    code = np.full(MODELS, -1)
    code[kept] = np.arange(len(kept))
    axis = FittedAxis(code[PLACE], len(kept), (0, 3))
    counts = counted.pair_counts(NAMES).subset(kept)
    squares = counted.squares_of(kept, MODELS)[[0, 3]]
    found = fit_style_sums(StyleSums(votes, counts, squares, axis, ThreadRunner()), counts, features=("tokens", "bold"))
    block = votes.counted()
    rows = np.isin(PLACE[block["model_a"]], kept) & np.isin(PLACE[block["model_b"]], kept)
    a, b, style = code[PLACE[block["model_a"][rows]]], code[PLACE[block["model_b"][rows]]], block["style"][rows]
    z = style_contrast([style[:, 0], style[:, 3]], [style[:, 5], style[:, 8]], ("tokens", "bold"))
    expected = fit_style(counts.models, a, b, block["outcome"][rows], z, features=("tokens", "bold"))
    assert figures(found) == pytest.approx(figures(expected), abs=1e-8)


@pytest.fixture(scope="module", params=["processes://2", "dask://"])
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    with open_runner(Engine.parse(request.param)) as opened:
        yield opened


@pytest.mark.long
def test_each_engine_gives_the_same_digits(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    votes = parted(11, (4_000, 3_000, 0, 5_000, 17))
    here = ThreadRunner()
    expected = figures(fit_parts(votes, here))
    assert np.array_equal(figures(fit_parts(votes, runner)), expected)
    monkeypatch.setattr("pipeline.compute.style_sums._KEPT_VOTES", 3_500)  # some parts are read again for each step
    assert np.array_equal(figures(fit_parts(votes, here)), expected)
    answers, models = sum_answers(votes, np.array([2, 5]), here), np.array([2, 5])
    again = sum_answers(votes, models, runner)
    assert all(np.array_equal(getattr(answers, name), getattr(again, name)) for name in ("answers", "sums", "squares"))
    block = votes.block  # nothing is left out of a sum over answers but what a part leaves out
    kept = votes.counted()
    assert len(kept) < len(block)
    assert answers.answers[0] == (kept["model_a"] == 2).sum() + (kept["model_b"] == 2).sum()
