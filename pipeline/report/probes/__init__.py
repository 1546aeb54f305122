"""Checks what the order of a board depends on. A probe has one figure with an interval, a threshold and a sentence.

probe            defines a probe: its name, its unit and its function
order_changes    compares the order of a board with the order of another fit
separation       measures which neighbours the votes separate, and how many votes would separate the others
rank_resolution  measures how far ranks move when the votes are drawn again
connectivity     measures how well models are connected by battles
coverage         measures how evenly the battles are spread over the models
position_bias    measures the advantage of being shown first, and whether correcting it changes the order
tie_rule         measures whether another rule for ties changes the order
intransitivity   measures whether one strength for each model explains who beats whom
clustering       measures by how much standard errors grow if votes of one voter, prompt or session are not independent
voter_influence  measures how far the votes of one voter move a model
fewest_votes     searches for the fewest votes to drop, flip or add that change the order
first_turn       measures whether the order depends on the turn after which people voted
same_provider    measures whether battles of one provider agree with the rest of the board

The probes are pure functions of the votes, the board and the options.
"""

from __future__ import annotations

from pipeline.errors import RatingError
from pipeline.ratings.blas_threads import single_blas_thread
from pipeline.report.probe_result import ProbeOptions, ProbeResult, unavailable_result
from pipeline.report.probes.clustering import CLUSTERING
from pipeline.report.probes.connectivity import CONNECTIVITY
from pipeline.report.probes.coverage import COVERAGE
from pipeline.report.probes.fewest_votes import FEWEST_VOTES
from pipeline.report.probes.first_turn import FIRST_TURN
from pipeline.report.probes.intransitivity import INTRANSITIVITY
from pipeline.report.probes.position_bias import POSITION_BIAS
from pipeline.report.probes.probe import Probe
from pipeline.report.probes.rank_resolution import RANK_RESOLUTION
from pipeline.report.probes.same_provider import SAME_PROVIDER
from pipeline.report.probes.separation import SEPARATION
from pipeline.report.probes.tie_rule import TIE_RULE
from pipeline.report.probes.voter_influence import VOTER_INFLUENCE
from pipeline.report.report_board import ReportBoard
from pipeline.report.report_votes import ReportVotes

PROBES: tuple[Probe, ...] = (
    SEPARATION,
    RANK_RESOLUTION,
    CONNECTIVITY,
    COVERAGE,
    POSITION_BIAS,
    TIE_RULE,
    INTRANSITIVITY,
    CLUSTERING,
    VOTER_INFLUENCE,
    FEWEST_VOTES,
    FIRST_TURN,
    SAME_PROVIDER,
)
"""The probes, in the order in which a report shows them."""


def run_probes(votes: ReportVotes, board: ReportBoard, options: ProbeOptions | None = None) -> list[ProbeResult]:
    """Run all probes of a report on the votes and their board.

    Args:
        votes: all votes that count.
        board: the board of these votes, from `rate_report_votes`.
        options: the options of the probes; None for the defaults.

    Returns:
        One result for each probe, in the order of `PROBES`. A probe whose figure cannot be computed says why.
    """
    return [_run(probe, votes, board, options or ProbeOptions()) for probe in PROBES]


@single_blas_thread
def _run(probe: Probe, votes: ReportVotes, board: ReportBoard, options: ProbeOptions) -> ProbeResult:
    try:
        return probe.run(votes, board, options)
    except RatingError as error:
        return unavailable_result(probe.id, probe.title, probe.unit, str(error))
