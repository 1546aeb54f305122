"""Measures which neighbours on the board differ by more than chance.

Neighbours are two models in adjacent places. Tested alone ("each"), they are separated if their difference exceeds z
standard errors of the difference. They are separated jointly if the difference exceeds c standard errors, where c is
the critical value of all pairs of models together (max |t|, Romano & Wolf 2005, Econometrica 73; the one-step version
of `pipeline.ratings.rank_sets`). The intervals of the two models may overlap in both cases. The standard error takes
votes of one voter as dependent (`ReportVotes.by_voter`).

The figure is the share of neighbours that are not separated jointly. Its interval has the percentiles of this share
over draws of θ from the normal distribution around the estimate. The probe fires if more than a quarter of the
neighbours are not separated jointly.

The result also says how many votes would separate two neighbours, in two cases. If every pair of models keeps its share
of the votes, (c · SE / gap)² times as many votes are needed, since standard errors shrink with the square root of the
number of votes. If all new votes are between the two neighbours, m of them change the variance v of the difference to
about 1 / (1/v + m w), where w is the information of one vote. Both formulas take the measured gap for the true gap, so
they give lower bounds rather than forecasts.
"""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from scipy.linalg import eigh
from scipy.special import ndtri

from pipeline.ratings import POINTS_PER_LOGIT
from pipeline.report.probe_result import ProbeOptions, ProbeResult
from pipeline.report.probes.order_changes import difference_errors
from pipeline.report.probes.probe import Probe
from pipeline.report.report_board import ReportBoard
from pipeline.report.report_votes import ReportVotes
from pipeline.vocabulary.arrays import Float64

_ID, _TITLE, _UNIT = "separation", "Separation of neighbours", "share of neighbours not separated"
_THRESHOLD = 0.25
_DRAWS = 2_000


def _run(_: ReportVotes, board: ReportBoard, options: ProbeOptions) -> ProbeResult:
    order = board.order
    theta, covariance = board.clustered.theta[order], board.clustered.covariance[np.ix_(order, order)]
    gap = theta[:-1] - theta[1:]
    se = np.diagonal(difference_errors(covariance), 1)
    z = float(ndtri((1 + options.level) / 2))
    joint = board.leaderboard.joint
    critical = z if joint is None else joint.critical
    drawn = _drawn_gaps(covariance, options.seed)
    unseparated = _share(gap[None, :], se, critical)[0]
    shares = _share(np.abs(gap + drawn), se, critical)
    each, jointly = (int(((gap > c * se) & (se > 0)).sum()) for c in (z, critical))
    family = _family_critical(drawn, se, options.level)
    pairs = _pairs(board, gap, se, (z, critical))
    total = sorted(int(pair["votes_in_total"]) for pair in pairs if not pair["jointly"] and pair["votes_in_total"])
    median = total[len(total) // 2] if total else None
    first = (
        f"The votes separate {jointly} of {len(gap)} pairs of neighbours jointly ({each} if each pair is tested alone)."
    )
    more = f" The median pair that is not separated needs {median:,} votes in total at this design." if median else ""
    low, high = np.quantile(shares, [(1 - options.level) / 2, (1 + options.level) / 2]).tolist()
    return ProbeResult(
        id=_ID, title=_TITLE, figure=float(unseparated), unit=_UNIT, interval=(low, high), threshold=_THRESHOLD,
        fired=bool(unseparated > _THRESHOLD), sentence=first + more,
        details={
            "neighbours": len(gap), "separated_each": each, "separated_jointly": jointly,
            "separated_among_neighbours": int(((gap > family * se) & (se > 0)).sum()), "critical": critical,
            "critical_among_neighbours": family, "median_votes_needed": median, "pairs": pairs,
        },
    )  # fmt: skip


def _pairs(board: ReportBoard, gap: Float64, se: Float64, critical: tuple[float, float]) -> list[dict[str, Any]]:
    """Return one dictionary for each pair of neighbours on the board, from the top.

    A dictionary has the gap of the two models, whether the votes separate the models, and how many votes would.
    """
    votes, theta = board.counts.total, board.fitted.theta[board.order]
    names = board.leaderboard.models
    counts = board.counts
    tied = counts.tie_share()
    rows: list[dict[str, Any]] = []
    for k, (difference, error) in enumerate(zip(gap.tolist(), se.tolist(), strict=True)):
        p = 1 / (1 + np.exp(theta[k + 1] - theta[k]))
        # The variance of a score is p (1 − p) for decisive votes and about 0 for ties.
        information = (p * (1 - p)) / (1 - tied) if tied < 1 else 0.0
        rows.append(
            {
                "above": names[k], "below": names[k + 1], "gap": difference * POINTS_PER_LOGIT,
                "se": error * POINTS_PER_LOGIT, "each": bool(error > 0 and difference > critical[0] * error),
                "jointly": bool(error > 0 and difference > critical[1] * error),
                "votes_in_total": votes_in_total(difference, error, critical[1], votes),
                "votes_between": votes_between(difference, error, critical[1], information),
            }
        )  # fmt: skip
    return rows


def votes_in_total(gap: float, se: float, critical: float, votes: int) -> int | None:
    """Return how many votes in total separate two models, if each pair keeps its share of the votes.

    The result is None for a gap or a standard error of 0.

    Args:
        gap: difference of the strengths of the two models.
        se: its standard error, in the same unit.
        critical: two models are separated if their gap exceeds this number of standard errors.
        votes: number of votes now.
    """
    return ceil(votes * (critical * se / gap) ** 2) if gap > 0 and se > 0 else None


def votes_between(gap: float, se: float, critical: float, information: float) -> int | None:
    """Return how many further votes between two models separate these models; None for a gap or a standard error of 0.

    Args:
        gap: difference of the strengths of the two models, in logits.
        se: its standard error in logits.
        critical: two models are separated if their gap exceeds this number of standard errors.
        information: information of one vote about the difference, in 1/logits².
    """
    if gap <= 0 or se <= 0 or information <= 0:
        return None
    return max(0, ceil(((critical / gap) ** 2 - 1 / se**2) / information))


def _drawn_gaps(covariance: Float64, seed: int) -> Float64:
    """Return float64[draws, K − 1], errors of the gaps of neighbours, drawn from their normal distribution."""
    values, vectors = eigh(covariance)
    normal = np.random.default_rng(seed).standard_normal((_DRAWS, len(values)))
    drawn = normal @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
    return np.asarray(drawn[:, :-1] - drawn[:, 1:])


def _share(gaps: Float64, se: Float64, critical: float) -> Float64:
    return np.asarray(1 - ((gaps > critical * se) & (se > 0)).mean(axis=1))


def _family_critical(drawn: Float64, se: Float64, level: float) -> float:
    """Return the critical value for all pairs of neighbours together, as if the order was known before the votes.

    Args:
        drawn: float64[draws, pairs], random errors of the gap of each pair.
        se: float64[pairs], standard error of each gap. Pairs with 0 are left out.
        level: joint coverage, from 0 to 1.
    """
    known = se > 0
    largest = np.abs(drawn[:, known] / se[known]).max(axis=1) if known.any() else np.zeros(len(drawn))
    return float(np.quantile(largest, level))


SEPARATION = Probe(_ID, _TITLE, _UNIT, _run)
"""The probe that measures which neighbours on the board differ by more than chance."""
