"""Measures by how much standard errors grow if votes of one voter, one prompt or one session are not independent.

The mean standard error clustered by voter is divided by the mean standard error of independent votes. This ratio is the
square root of the design effect (Kish 1965, Survey Sampling), with the covariance of Liang & Zeger 1986 (Biometrika
73). The same is done for prompts and for sessions, and the figure is the largest of the three ratios. The interval is a
delete-a-group jackknife of the logarithm over 20 random groups of clusters (Kott 2001, J. Official Statistics 17). The
probe fires if the figure is above 1.15 and the whole interval above 1.
"""

from __future__ import annotations

from math import exp, log
from typing import Any

import numpy as np
from scipy.linalg import inv
from scipy.stats import t as student

from pipeline.ratings.clustered_sandwich import voter_clusters, voter_scores
from pipeline.ratings.residuals import residuals
from pipeline.report.probe_result import ProbeOptions, ProbeResult, unavailable_result
from pipeline.report.probes.probe import Probe
from pipeline.report.report_board import ReportBoard
from pipeline.report.report_votes import ReportVotes
from pipeline.vocabulary.arrays import Bool, Float64, Int64

_ID, _TITLE, _UNIT = "clustering", "Votes that are not independent", "ratio of standard errors"
_THRESHOLD = 1.15
_COLUMNS = ("voter", "prompt", "session")
_GROUPS = 20
# Fewer clusters give a variance that is too small, and no interval.
_LEAST_CLUSTERS = 20
# Standard errors, in logits, that are rounding.
_NO_ERROR = 1e-9


def _run(_: ReportVotes, board: ReportBoard, options: ProbeOptions) -> ProbeResult:
    found: dict[str, Any] = {}
    for name in _COLUMNS:
        codes = board.votes.known(name)
        if codes is None:
            found[name] = {"unavailable": f"the file has no {name}s"}
            continue
        cluster, names = voter_clusters(codes)
        if len(names) < _LEAST_CLUSTERS:
            found[name] = {"unavailable": f"{len(names)} {name}s are too few", "clusters": len(names)}
            continue
        found[name] = _inflation(board, cluster, len(names), options)
    computed = [name for name in _COLUMNS if "ratio" in found[name]]
    if not computed:
        reasons = "; ".join(one["unavailable"] for one in found.values())
        return unavailable_result(_ID, _TITLE, _UNIT, reasons)
    by = max(computed, key=lambda name: found[name]["ratio"])
    most = found[by]
    fired = [one for one in computed if found[one]["ratio"] > _THRESHOLD and found[one]["interval"][0] > 1]
    sentence = (
        f"Counting the votes of one {by} as dependent makes standard errors {most['ratio']:.2f} times as large; the "
        f"busiest 1% of {most['clusters']:,} {by}s cast {most['busiest_share']:.1%} of the votes."
    )
    return ProbeResult(
        id=_ID, title=_TITLE, figure=most["ratio"], unit=_UNIT, interval=tuple(most["interval"]), threshold=_THRESHOLD,
        fired=bool(fired), sentence=sentence, details={"largest": by, "by": found},
    )  # fmt: skip


def _inflation(board: ReportBoard, cluster: Int64, known: int, options: ProbeOptions) -> dict[str, Any]:
    votes, fitted = board.votes, board.fitted
    size = len(votes.models)
    residual = residuals(fitted.theta, *votes.codes)
    inverse = inv(fitted.hessian + np.trace(fitted.hessian) / size**2)
    plain = _mean_error(inverse, board)
    if plain <= _NO_ERROR:
        return {"unavailable": "every vote is as expected, so that votes have no errors to compare", "clusters": known}
    group = np.random.default_rng(options.seed).integers(0, _GROUPS, int(cluster.max()) + 1)
    parts = np.stack([_scatter(votes, residual, cluster, group == k) for k in range(_GROUPS)])
    total = parts.sum(axis=0)
    ratio = _error(inverse, total) / plain
    left_out = np.log([_error(inverse, (total - part) * _GROUPS / (_GROUPS - 1)) for part in parts])
    se = float(np.sqrt((_GROUPS - 1) / _GROUPS * ((left_out - left_out.mean()) ** 2).sum()))
    margin = float(student.ppf((1 + options.level) / 2, _GROUPS - 1)) * se
    sizes = np.sort(np.bincount(cluster)[:known])[::-1]
    busiest = int(sizes[: max(1, known // 100)].sum())
    return {
        "ratio": ratio, "interval": [exp(log(ratio) - margin), exp(log(ratio) + margin)], "clusters": known,
        "variance_inflation": ratio**2, "busiest_share": busiest / len(votes), "largest_cluster": int(sizes[0]),
    }  # fmt: skip


def _scatter(votes: ReportVotes, residual: Float64, cluster: Int64, chosen: Bool) -> Float64:
    """Return the sum of s sᵀ over the clusters for which `chosen` is true, where s is the score of a cluster."""
    rows = np.flatnonzero(chosen[cluster])
    number = np.cumsum(chosen)[cluster[rows]] - 1
    scores = voter_scores(votes.model_a[rows], votes.model_b[rows], residual[rows], number, len(votes.models))
    result: Float64 = (scores.T @ scores).toarray()
    return result


def _error(inverse: Float64, scatter: Float64) -> float:
    """Return the mean standard error of the models, in logits, from a sandwich covariance.

    Args:
        inverse: float64[K, K], pseudo-inverse of the information matrix.
        scatter: float64[K, K], sum of s sᵀ over clusters, where s is the score of a cluster of votes.
    """
    variance = np.einsum("ij,jk,ki->i", inverse, scatter, inverse, optimize=True)
    return float(np.sqrt(np.maximum(variance, 0.0)).mean())


def _mean_error(inverse: Float64, board: ReportBoard) -> float:
    """Return the mean standard error of the models, in logits, with each vote as a cluster (see `_error`)."""
    a, b, outcome = board.votes.codes
    square = residuals(board.fitted.theta, a, b, outcome) ** 2
    size = len(inverse)
    edges = np.bincount(a.astype(np.int64) * size + b, square, size * size).reshape(size, size)
    edges = edges + edges.T
    return _error(inverse, np.diag(edges.sum(axis=1)) - edges)


CLUSTERING = Probe(_ID, _TITLE, _UNIT, _run)
"""The probe that measures by how much standard errors grow if votes of one voter, prompt or session are dependent."""
