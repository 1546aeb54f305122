"""Measures whether one strength for each model explains who beats whom.

A pair of models is decided if one of them won more of their decisive votes than the other. A triad of models is cyclic
if a beats b, b beats c and c beats a in this sense (Kendall & Babington Smith 1940, Biometrika 31). Some cycles occur
by chance. The figure is the share of cyclic triads among triads with three decided pairs, minus the mean of this share
over random draws. The draws come from the Bradley-Terry fit of the decisive votes, with the same number of votes for
each pair. Ties are left out of the fit, since cycles are counted among wins only. The bounds of the interval are
percentiles, over the draws, of the share of the votes minus the share of the draw. The probe fires if the whole 99.5%
interval is above 0.02.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from pipeline.errors import RatingError
from pipeline.ratings import fit, select_rated_models
from pipeline.ratings.newton import win_probability
from pipeline.report.probe_result import ALARM_LEVEL, ProbeOptions, ProbeResult, unavailable_result
from pipeline.report.probes.probe import Probe
from pipeline.report.report_board import ReportBoard
from pipeline.report.report_votes import ReportVotes
from pipeline.vocabulary.arrays import Float64

_ID, _TITLE, _UNIT = "intransitivity", "Preference cycles", "share of cyclic triads beyond expectation"
_THRESHOLD = 0.02
_LEAST_TRIADS = 10
# More draws change the mean share and its percentiles little.
_MOST_DRAWS = 500
# So small a share of the pairs is counted faster in sparse matrices, on boards with more models than this.
_SPARSE, _FEW_MODELS = 0.05, 300


def _run(_: ReportVotes, board: ReportBoard, options: ProbeOptions) -> ProbeResult:
    try:
        counts, _left = select_rated_models(board.counts.decisive(), least_share=0.5)
    except RatingError:
        return unavailable_result(_ID, _TITLE, _UNIT, "the decisive votes alone do not connect most of the models")
    wins = counts.decisive_matrix()
    cycles, triads = cyclic_triads(wins)
    if triads < _LEAST_TRIADS:
        found = f"only {triads}" if triads else "no"
        reason = (
            f"{found} group{'s' * (triads > 1)} of three models {'have' if triads > 1 else 'has'} three decided pairs"
        )
        return unavailable_result(_ID, _TITLE, _UNIT, reason)
    a, b = counts.a, counts.b
    p, votes = win_probability(fit(counts).theta)[a, b], (wins + wins.T)[a, b].astype(np.int64)
    draws = min(options.rounds, _MOST_DRAWS)
    won = np.random.default_rng(options.seed).binomial(votes, p, (draws, len(votes))).astype(np.float64)
    shares = np.empty(draws)
    for k in range(draws):
        drawn = np.zeros_like(wins)
        drawn[a, b], drawn[b, a] = won[k], votes - won[k]
        of_draw = cyclic_triads(drawn)
        shares[k] = of_draw[0] / of_draw[1] if of_draw[1] else 0.0
    observed, expected = cycles / triads, float(shares.mean())
    low, high = (observed - np.quantile(shares, [(1 + options.level) / 2, (1 - options.level) / 2])).tolist()
    return ProbeResult(
        id=_ID, title=_TITLE, figure=observed - expected, unit=_UNIT, interval=(low, high), threshold=_THRESHOLD,
        fired=observed - float(np.quantile(shares, (1 + ALARM_LEVEL) / 2)) > _THRESHOLD,
        sentence=(
            f"{cycles:,} of {triads:,} groups of three models are cycles ({observed:.1%}); one strength for each model "
            f"gives {expected:.1%}."
        ),
        details={
            "observed_share": observed, "expected_share": expected, "cyclic_triads": cycles, "decided_triads": triads,
            "models": len(counts.models), "draws": draws,
        },
    )  # fmt: skip


def cyclic_triads(wins: Float64) -> tuple[int, int]:
    """Count the cyclic triads of models, and the triads whose three pairs are decided.

    A model beats another if it has more than half of the decisive votes of their pair. A pair is decided if one of its
    models beats the other. A triad is cyclic if a beats b, b beats c and c beats a.

    Args:
        wins: float64[K, K], number of decisive votes for i over j.

    Returns:
        Two numbers: the cyclic triads; and the triads with three decided pairs.
    """
    won = wins > wins.T
    if int(won.sum()) < _SPARSE * won.size and len(won) > _FEW_MODELS:
        few = csr_array(won.astype(np.float64))
        either = few + few.T
        return round((few @ few).multiply(few.T).sum() / 3), round((either @ either).multiply(either).sum() / 6)
    beats = won.astype(np.float64)
    decided = beats + beats.T
    # trace(A³) is three times the number of cycles, trace(E³) six times that of triangles.
    cycles = float(np.einsum("ij,ji->", beats @ beats, beats)) / 3
    triads = float(np.einsum("ij,ji->", decided @ decided, decided)) / 6
    return round(cycles), round(triads)


INTRANSITIVITY = Probe(_ID, _TITLE, _UNIT, _run)
"""The probe that measures whether one strength for each model explains who beats whom."""
