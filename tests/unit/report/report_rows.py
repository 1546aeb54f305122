"""Columns of a report from votes that are drawn in tests."""

import numpy as np

from pipeline.report.probe_result import ProbeResult
from pipeline.report.probes import run_probes
from pipeline.report.report_board import rate_report_votes
from pipeline.report.report_votes import ReportVotes
from tests.streams.planted_boards import PlantedBoard, PlantedVotes, draw


def report_votes(drawn: PlantedVotes, *, providers: bool = True) -> ReportVotes:
    """Return the columns of drawn votes. The names of models are not in the order of their strengths."""
    names = np.random.default_rng(7).permutation(drawn.models)
    return ReportVotes(
        models=tuple(f"m{k:02}" for k in names.tolist()),
        model_a=drawn.model_a.astype(np.int32),
        model_b=drawn.model_b.astype(np.int32),
        outcome=drawn.outcome.astype(np.int32),
        position=np.ones(len(drawn.model_a), dtype=np.int8),
        voter=drawn.voter,
        prompt=drawn.prompt,
        session=drawn.session,
        turn=drawn.turn.astype(np.int32),
        provider=drawn.provider.astype(np.int32) if providers else None,
        providers=("p", "q", "r", "s"),
    )


def probes_of(board: PlantedBoard, *, providers: bool = True) -> dict[str, ProbeResult]:
    """Return the result of each probe on the votes of a drawn board."""
    votes = report_votes(draw(board), providers=providers)
    return {one.id: one for one in run_probes(votes, rate_report_votes(votes))}
