"""The probe of connectivity on boards that are drawn here."""

import numpy as np

from pipeline.report.probes import PROBES, run_probes
from pipeline.report.report_board import rate_report_votes
from pipeline.report.report_votes import ReportVotes


def _votes(a: list[int], b: list[int], outcome: list[int], models: int) -> ReportVotes:
    columns = [np.array(column, dtype=np.int32) for column in (a, b, outcome)]
    names = tuple(f"m{k}" for k in range(models))
    return ReportVotes(models=names, model_a=columns[0], model_b=columns[1], outcome=columns[2])


def test_each_probe_has_one_result() -> None:
    votes = _votes([0, 1, 2, 0, 1, 2] * 9, [1, 2, 0, 1, 2, 0] * 9, [0, 0, 0, 1, 1, 1] * 9, 3)
    results = run_probes(votes, rate_report_votes(votes))
    assert [one.id for one in results] == [probe.id for probe in PROBES]


def test_two_pools_that_never_met_are_not_connected() -> None:
    pairs = [(pool + i, pool + j) for pool in (0, 3) for i in range(3) for j in range(3) if i != j]
    a, b = ([pair[side] for pair in pairs] for side in (0, 1))
    votes = _votes(a * 2, b * 2, [0] * len(a) + [1] * len(a), 6)
    found = next(one for one in run_probes(votes, rate_report_votes(votes)) if one.id == "connectivity")
    assert found.fired
    assert found.details["rated_share"] == 0.5
    assert found.details["unrated_models"] == 3
