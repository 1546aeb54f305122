"""The sweep's benchmark: its store is one that a sweep can look at in full, and its bars can be missed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import jobs
from pipeline import settings as configuration
from pipeline.jobs.audits.board_audits import AUDITS
from pipeline.lab.bench.sweep_costs import ProcessCost, SweepCosts, make_store, time_audits, timed_run
from pipeline.settings import Settings

OPTIONS = Settings(voter_key="00" * 32, anchor="")


@pytest.mark.long
def test_the_made_store_gives_every_audit_something_to_look_at(tmp_path: Path) -> None:
    url = str(tmp_path / "b.db")
    make_store(url, OPTIONS, 12_000, 30, 6)
    with configuration.override(OPTIONS):
        report = jobs.sweep(url)
    assert report["votes"] == 12_000
    assert [name for name, about in report["audits"].items() if "not looked at" in about] == ["top_churn"]
    assert len(report["audits"]["best_of_n"]["releases"]) == 3
    assert len(report["audits"]["sampling_fairness"]["providers"]) == 6
    assert set(time_audits(url, OPTIONS)) == {"read_audit_input", *AUDITS}
    for whole in (False, True):
        found = timed_run(url, OPTIONS, whole)
        assert found.seconds > 0
        assert found.peak_mb > 10


@pytest.mark.parametrize(("seconds", "mb", "passed"), [(3.0, 2047, True), (3.1, 100, False), (1.0, 2048, False)])
def test_both_bars_can_be_missed(seconds: float, mb: float, passed: bool) -> None:
    one = ProcessCost(1.0, 1.0, 100.0)
    compared = SweepCosts(1, 1, 1, (one,), (replace(one, seconds=seconds, peak_mb=mb),), {})
    assert compared.passed is passed
