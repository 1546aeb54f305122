"""The bootstrap of whole clusters against the clustered covariance and a slow reference."""

import numpy as np
import pytest

from pipeline.ratings import PairCounts, fit, with_clustered_covariance
from pipeline.ratings.bootstrap import bootstrap_ratings
from pipeline.ratings.cluster_votes import ClusterVotes
from tests.streams.planted_boards import PlantedBoard, draw


def test_a_draw_counts_the_votes_of_the_drawn_clusters() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 4, 300).astype(np.int32)
    b = ((a + rng.integers(1, 4, 300)) % 4).astype(np.int32)
    outcome, cluster = rng.integers(0, 4, 300).astype(np.int32), rng.integers(-1, 40, 300)
    counts = PairCounts.from_codes(tuple("wxyz"), a, b, outcome)
    votes = ClusterVotes.of(counts, a, b, outcome, cluster)
    known = np.unique(cluster[cluster >= 0])
    drawn = votes.draw(np.random.default_rng(5))
    again = np.random.default_rng(5)
    clusters = len(known) + int((cluster == -1).sum())
    times = np.bincount(again.integers(0, clusters, clusters), minlength=clusters)
    number = np.where(cluster >= 0, np.searchsorted(known, cluster), 0)
    number[cluster == -1] = len(known) + np.arange(int((cluster == -1).sum()))
    rows = np.repeat(np.arange(300), times[number])
    slow = PairCounts.from_codes(counts.models, a[rows], b[rows], outcome[rows])
    expected = np.zeros((4, 4))
    won, lost, none = drawn.reshape(3, -1)
    expected[counts.a, counts.b], expected[counts.b, counts.a] = won + none / 2, lost + none / 2
    assert np.array_equal(expected, slow.win_matrix())


def test_the_covariance_of_the_rounds_is_the_clustered_covariance() -> None:
    votes = draw(PlantedBoard(heavy=60, votes=8_000, voters=400, heavy_taste=1.0))
    columns = [column.astype(np.int32) for column in (votes.model_a, votes.model_b, votes.outcome)]
    counts = PairCounts.from_codes(tuple("abcdefgh"), *columns)
    fitted = fit(counts)
    clustered = with_clustered_covariance(fitted, *columns, votes.voter)
    clusters = ClusterVotes.of(counts, *columns, votes.voter)
    found = bootstrap_ratings(counts, fitted, 600, clusters=clusters)
    # 600 rounds give a standard error within 6%.
    errors = [np.sqrt(np.diag(covariance)) for covariance in (found.covariance(), clustered.covariance)]
    assert errors[0] == pytest.approx(errors[1], rel=0.12)
    assert errors[0].mean() > 1.15 * np.sqrt(np.diag(fitted.covariance)).mean()
