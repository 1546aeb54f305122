"""Labels of voters in a report: every test names a voter by the same label, whatever numbers the voters have."""

import numpy as np

from pipeline.report.evidence import find_evidence
from pipeline.report.evidence.random_labels import RandomLabels
from pipeline.report.report_board import rate_report_votes
from pipeline.report.report_votes import ReportVotes
from pipeline.vocabulary.time import SECOND
from tests.streams.planted_boards import PlantedBoard, draw

START = 1_700_000_000 * SECOND + 1
HONEST, CAST = 2_000, 200


def _with_fast_pusher(unused: int) -> ReportVotes:
    """Return honest votes, and a voter who votes for model 7 every three seconds; the first numbers have no votes."""
    honest, rng = draw(PlantedBoard(votes=HONEST, voters=200)), np.random.default_rng(1)
    a = np.concatenate([honest.model_a, np.full(CAST, 7)]).astype(np.int32)
    b = np.concatenate([honest.model_b, rng.integers(0, 7, CAST)]).astype(np.int32)
    at = np.concatenate([np.arange(HONEST) * 601 * SECOND, np.arange(CAST) * 3 * SECOND])
    return ReportVotes(
        models=tuple(f"m{k}" for k in range(8)),
        model_a=a,
        model_b=b,
        outcome=np.concatenate([honest.outcome, np.zeros(CAST, dtype=np.int64)]).astype(np.int32),
        voter=unused + np.concatenate([honest.voter, np.full(CAST, 200)]),
        time=START + at,
    )


def test_a_voter_has_one_label_in_all_tests() -> None:
    votes = rate_report_votes(_with_fast_pusher(unused=5)).votes
    found = {one.id: one for one in find_evidence(votes, RandomLabels(1, ""), b"key")}
    subjects = [[finding.subject for finding in found[name].findings] for name in ("voters", "fast_voters")]
    assert len(subjects[0]) == 1
    assert subjects[0] == subjects[1]
