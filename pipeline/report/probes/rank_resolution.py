"""Measures how far ranks move when the votes are drawn again.

The votes are resampled with replacement, whole voters at a time if voters are known. Each resample is fitted
exactly (`pipeline.ratings.bootstrap`; Efron 1979, Annals of Statistics 7; for clusters Field & Welsh 2007, JRSS B 69).
The bounds of a model's rank interval are percentiles of its ranks, rounded outwards. The figure is the median number of
ranks in the rank intervals of all models. The probe fires if the figure is above 2.

The figure has an interval of its own. Its bounds are percentiles over 40 repetitions. A repetition computes the figure
as if the strengths of one resample were true, with the errors of up to 200 other resamples added to these strengths.

Ranks are drawn from the normal distribution of the estimate instead if the board has more than a thousand models or few
voters, or if too many resamples have no estimate. `details` says so.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from pipeline.errors import Disconnected
from pipeline.ratings.bootstrap import bootstrap_ratings
from pipeline.ratings.cluster_votes import ClusterVotes
from pipeline.report.probe_result import ProbeOptions, ProbeResult
from pipeline.report.probes.probe import Probe
from pipeline.report.report_board import ReportBoard
from pipeline.report.report_votes import ReportVotes
from pipeline.vocabulary.arrays import Float64, Int64

_ID, _TITLE, _UNIT = "rank_resolution", "Resolution of ranks", "ranks in the median rank interval"
_THRESHOLD = 2.0
_REPEATS = 40
# Resamples that each repeat ranks; more change the interval little.
_RANKED = 200
# The time of a refit grows with the cube of the number of models.
_MOST_REFITTED = 1_000


def _run(_: ReportVotes, board: ReportBoard, options: ProbeOptions) -> ProbeResult:
    theta, drawn = board.fitted.theta, "resamples"
    # Resamples of few voters are too much alike.
    refitted = len(theta) <= _MOST_REFITTED and not board.votes.has_few_voters()
    try:
        resampled = resampled_strengths(board, options) if refitted else None
    except Disconnected:
        resampled = None
    if resampled is None:
        resampled, drawn = _normal_strengths(board, options), "normal distribution"
    low, high = rank_intervals(resampled, options.level)
    widths = high - low + 1
    errors = resampled[:_RANKED] - theta
    again = []
    for centre in resampled[-_REPEATS:]:
        best, worst = rank_intervals(centre + errors, options.level)
        again.append(float(np.median(worst - best + 1)))
    bounds = np.quantile(again, [(1 - options.level) / 2, (1 + options.level) / 2]).tolist()
    figure, widest, names = float(np.median(widths)), int(widths.argmax()), board.counts.models
    rows = [
        {"model": names[k], "best": int(low[k]), "worst": int(high[k]), "votes": votes}
        for k, votes in zip(board.order.tolist(), board.leaderboard.votes.tolist(), strict=True)
    ]
    return ProbeResult(
        id=_ID, title=_TITLE, figure=figure, unit=_UNIT, interval=(bounds[0], bounds[1]), threshold=_THRESHOLD,
        fired=figure > _THRESHOLD,
        sentence=(
            f"The {options.level:.0%} rank interval of the median model has {_ranks(figure)}; the widest is that of "
            f"{names[widest]} with {_ranks(float(widths[widest]))}."
        ),
        details={
            "median_ranks": figure, "most_ranks": int(widths[widest]), "widest_model": names[widest],
            "rounds": len(resampled), "drawn_from": drawn, "intervals": rows,
        },
    )  # fmt: skip


def resampled_strengths(board: ReportBoard, options: ProbeOptions) -> Float64:
    """Return float64[rounds, R], the strengths of the R rated models in each resample of the votes.

    Whole voters are resampled if voters are known.

    Raises:
        Disconnected: more than 5% of the resamples have no estimate.
        NotConverged: the fit of a resample did not converge.
    """
    voter = board.votes.known("voter")
    clusters = None if voter is None else ClusterVotes.of(board.counts, *board.votes.codes, voter)
    found = bootstrap_ratings(board.counts, board.fitted, options.rounds, seed=options.seed, clusters=clusters)
    return found.theta


def rank_intervals(theta: Float64, level: float) -> tuple[Int64, Int64]:
    """Return the best and the worst rank of each model's interval, int64[K] each; rank 1 is the best.

    Args:
        theta: float64[rounds, K], the strengths of each round.
        level: coverage of the intervals.
    """
    order = np.argsort(-theta, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(1, theta.shape[1] + 1), theta.shape), axis=1)
    low, high = np.quantile(ranks, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.floor(low).astype(np.int64), np.ceil(high).astype(np.int64)


def _normal_strengths(board: ReportBoard, options: ProbeOptions) -> Float64:
    values, vectors = eigh(board.clustered.covariance)
    normal = np.random.default_rng(options.seed).standard_normal((options.rounds, len(values)))
    return np.asarray(board.fitted.theta + normal @ (vectors * np.sqrt(np.maximum(values, 0.0))).T)


def _ranks(count: float) -> str:
    return f"{count:g} rank{'s' * (count != 1)}"


RANK_RESOLUTION = Probe(_ID, _TITLE, _UNIT, _run)
"""The probe that measures how far ranks move when the votes are drawn again."""
