"""Measures how far the votes of one voter move a model.

The figure is the largest change of a rating when the votes of one voter are dropped, divided by the median gap of
neighbours on the board or by the standard error of this rating, whichever is larger. The probe fires if the figure is
at least 1. One voter then moves a model by a whole place and by more than sampling error. The change is computed to
first order for each voter and by an exact refit for the five largest (Cook & Weisberg 1982;
`pipeline.ratings.voter_influence`). There is no interval: the change is a fact about the votes, not an estimate. The
result has no number that identifies a voter, because such a number may be the voter's id.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.ratings import POINTS_PER_LOGIT, VoterInfluence, most_influential_voters
from pipeline.ratings.intervals import standard_errors
from pipeline.report.probe_result import ProbeOptions, ProbeResult, unavailable_result
from pipeline.report.probes.probe import Probe
from pipeline.report.report_board import ReportBoard
from pipeline.report.report_votes import ReportVotes
from pipeline.vocabulary.large_arrays import count_distinct

_ID, _TITLE, _UNIT = "voter_influence", "Influence of one voter", "places that one voter moves a model"
_THRESHOLD = 1.0
_LISTED = 5
_LEAST_VOTERS = 3


def _run(_: ReportVotes, board: ReportBoard, __: ProbeOptions) -> ProbeResult:
    voter = board.votes.known("voter")
    if voter is None:
        return unavailable_result(_ID, _TITLE, _UNIT, "the file has no voters")
    voters = count_distinct(voter[voter >= 0])
    if voters < _LEAST_VOTERS:
        return unavailable_result(_ID, _TITLE, _UNIT, f"the file has only {voters} voter{'s' * (voters > 1)}")
    found = most_influential_voters(board.counts, *board.votes.codes, voter, top=_LISTED, fitted=board.fitted)
    gap = float(np.median(-np.diff(np.sort(board.fitted.theta)[::-1]))) * POINTS_PER_LOGIT
    errors = dict(zip(board.counts.models, standard_errors(board.fitted.covariance) * POINTS_PER_LOGIT, strict=True))
    rows = [_row(one, gap, float(errors[one.model]), board.counts.total) for one in found]
    worst = max(rows, key=lambda row: row["places"])
    figure = float(worst["places"])
    return ProbeResult(
        id=_ID, title=_TITLE, figure=figure, unit=_UNIT, interval=None, threshold=_THRESHOLD,
        fired=figure >= _THRESHOLD,
        sentence=(
            f"Dropping the voter with the largest effect, who cast {worst['share']:.1%} of the votes, moves "
            f"{worst['model']} by {abs(worst['points']):.1f} points; the median gap of neighbours is {gap:.1f} points."
        ),
        details={"voters": voters, "median_gap": gap, "largest": rows},
    )  # fmt: skip


def _row(one: VoterInfluence, gap: float, error: float, votes: int) -> dict[str, Any]:
    points = one.points if one.exact is None else one.exact
    measure = max(gap, error)
    return {
        "votes": one.votes, "share": one.votes / votes, "model": one.model, "points": points,
        "exact": one.exact is not None, "standard_error": error, "places": abs(points) / measure if measure else 0.0,
        "median_gaps": abs(points) / gap if gap else None,
    }  # fmt: skip


VOTER_INFLUENCE = Probe(_ID, _TITLE, _UNIT, _run)
"""The probe that measures how far the votes of one voter move a model."""
