"""The cases of the slow audits: all pass, and each can fail."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.audits import version_mismatch
from pipeline.cli.commands import app
from pipeline.errors import Disconnected
from pipeline.lab.redteam import audit_scenarios
from pipeline.lab.redteam.audit_scenarios import AUDIT_CASES, AuditCaseResult
from pipeline.lab.redteam.tuned_variant import simulate_tuned_variant


@pytest.fixture(scope="module")
def rows() -> dict[str, list[AuditCaseResult]]:
    return {name: case(7) for name, case in AUDIT_CASES.items()}


@pytest.mark.long
def test_every_case_passes(rows: dict[str, list[AuditCaseResult]]) -> None:
    assert list(rows) == ["S7", "S8", "S12", "S13", "S15", "S17", "claims"]
    assert [(one.what, one.found) for of in rows.values() for one in of if not one.passed] == []
    assert {len(of) for of in rows.values()} == {13, 3, 5, 2, 1}


@pytest.mark.long
def test_the_figures_match_the_published_ones(rows: dict[str, list[AuditCaseResult]]) -> None:
    assert rows["S7"][-1].figures["gain"] == pytest.approx(11.5, abs=0.1)
    (alone,) = [one.figures for one in rows["S7"] if one.figures.get("n") == 27 and one.figures.get("tau") == 0]
    assert abs(alone["bias_corrected"]) <= 0.5 + 3 * 3.2 / np.sqrt(400)
    assert alone["rmse_corrected"] <= 3.5
    pool = next(one.figures for one in rows["S7"] if one.figures.get("n") == 10 and one.figures.get("tau") == 65)
    assert pool["gain"] == pytest.approx(100, abs=10)
    assert pool["bias"] < 2
    assert [one.figures["order"] for one in rows["S12"]] == ["CDBA", "CABD", "CDAB", "DBCA", "DCAB"]
    assert [one.figures["votes"] for one in rows["S15"]] == [2, 462]
    assert [one.passed and one.must for one in rows["claims"][:3]] == ["alert", "no alert", "alert"]


@pytest.mark.long
def test_the_variant_falls_under_style_control_and_the_released_model_falls_far(
    rows: dict[str, list[AuditCaseResult]],
) -> None:
    tested, released, curse = simulate_tuned_variant(3)
    assert tested.rank is not None and tested.style_rank is not None and released.rank is not None
    assert tested.rank <= 3 < tested.style_rank
    assert 27 <= released.rank <= 37
    assert curse == pytest.approx(2.0 * (tested.se or 0), rel=0.01)
    assert "weaker than tested" in rows["S17"][0].figures["told"]


def test_a_silent_or_false_audit_fails_its_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_scenarios, "version_mismatch", lambda *_: ())
    monkeypatch.setattr(audit_scenarios, "graph_findings", lambda _: ())
    monkeypatch.setattr(audit_scenarios, "best_of_n", lambda _: ())
    monkeypatch.setattr(audit_scenarios, "_ROUNDS", 5)
    assert not audit_scenarios.tuned_variant_cases(7)[0].passed
    assert [one.passed for one in audit_scenarios.graph_cases(7)] == [False, False, True]
    assert not any(one.passed for one in audit_scenarios.best_of_n_cases(7)[:-1])
    loud = version_mismatch.ModelVersion("a", 1.0, 1.0), version_mismatch.ModelVersion("b", 100.0, 1.0)
    monkeypatch.setattr(audit_scenarios, "version_mismatch", lambda *_: version_mismatch.version_mismatch(*loud))
    assert not any(one.passed for one in audit_scenarios.identical_checkpoint_cases(7))

    def refuse(_: object) -> None:
        raise Disconnected([["a"], ["b"]])

    monkeypatch.setattr(audit_scenarios, "fewest_votes_to_replace_first", lambda _: None)
    assert not any(one.passed for one in audit_scenarios.fragility_cases(7))


def test_the_command_shows_the_cases_and_exits_1_when_one_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(app, ["redteam", "--scenario", "S13,claims", "--json"])
    assert result.exit_code == 0, result.output
    assert [one["scenario"] for one in json.loads(result.stdout)["audits"]] == ["S13"] * 3 + ["claims"] * 5
    shown = CliRunner().invoke(app, ["redteam", "--scenario", "claims"])
    assert "GSM8K" in shown.stdout
    failing = AuditCaseResult("claims", "x", "y", "alert", {}, False)
    monkeypatch.setitem(AUDIT_CASES, "claims", lambda _: [failing])
    assert CliRunner().invoke(app, ["redteam", "--scenario", "claims"]).exit_code == 1
