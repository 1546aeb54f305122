"""Red team: the scenarios, what is counted, and when a scenario fails."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.cli.commands import app
from pipeline.cli.redteam_command import _document as document_of
from pipeline.errors import Usage
from pipeline.lab.redteam import detector_run, sampling_scenarios, scenario_result
from pipeline.lab.redteam.attack_scenarios import HONEST_DAYS, SCENARIOS, honest_spec, target_and_rival_names
from pipeline.lab.redteam.scenario_result import ScenarioResult
from pipeline.lab.simulate import Burst, HonestSpec, TargetOnly, simulate_stream
from pipeline.lab.simulate.simulated_stream import SimulatedStream
from pipeline.ratings import PairCounts

VOTES = 20_000
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
# Six days of attack instead of twelve: half of the windows, half of the time.
ABSTAINERS = replace(BY_NAME["S1a"], days=24.0)


def split_row(stream: SimulatedStream) -> int:
    return int(np.searchsorted(stream.cast_at, stream.cast_at[0] + HONEST_DAYS * 86_400 * 1e6))


@pytest.fixture(scope="module")
def run() -> detector_run.DetectorRun:
    return scenario_result.run_scenario(ABSTAINERS, VOTES, seed=3)


@pytest.fixture(scope="module")
def abstainers(run: detector_run.DetectorRun) -> ScenarioResult:
    return scenario_result.summarize_run(ABSTAINERS, run)


def test_every_scenario_is_listed_once() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert len(set(names)) == len(names)
    kinds = {name.rstrip("abcdefghij") for name in names} | set(sampling_scenarios.SAMPLING_SCENARIOS)
    assert kinds == {f"S{i}" for i in (0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 14, 16, 18)}
    # The votes before the snapshot are honest in every scenario.
    for scenario in SCENARIOS:
        for attack in scenario.plan(*target_and_rival_names()):
            assert attack.from_day >= HONEST_DAYS
    assert {s.must for s in SCENARIOS if not s.plan(*target_and_rival_names())} == {"no alert"}


@pytest.mark.long
def test_attackers_are_found_and_the_policy_restores_the_board(abstainers: ScenarioResult) -> None:
    row = abstainers
    assert (row.attack_votes, row.must, row.passed) == (2_000, "alert", True)
    assert row.found == 1.0
    assert row.excluded is not None and row.excluded >= 0.9
    assert row.admitted < 300
    raw, policy, person = row.places_lost
    assert raw >= 5
    assert policy <= 1
    assert person < raw
    assert row.honest_excluded[0] <= row.honest_excluded[1]
    assert row.false_voters[0] <= 0.01


@pytest.mark.long
def test_a_missing_alert_fails_the_scenario(run: detector_run.DetectorRun) -> None:
    silent = replace(run, alerts=[])
    row = scenario_result.summarize_run(ABSTAINERS, silent)
    assert (row.found, row.excluded, row.alerts, row.passed) == (0.0, 0.0, {}, False)
    assert row.admitted == row.attack_votes
    assert row.places_lost[0] == row.places_lost[1] == row.places_lost[2]
    assert scenario_result.summarize_run(replace(ABSTAINERS, must="report"), silent).passed


@pytest.mark.long
def test_an_alert_before_the_attack_does_not_count(run: detector_run.DetectorRun) -> None:
    target, _ = target_and_rival_names()
    early = detector_run.RaisedAlert("vote_burst", target, "more", "warning", int(run.stream.cast_at[0]), -1, {}, 0)
    row = scenario_result.summarize_run(ABSTAINERS, replace(run, alerts=[early]))
    assert (row.alerts, row.elsewhere, row.passed) == ({}, {"vote_burst": 1}, False)


@pytest.mark.long
def test_a_false_alert_fails_the_scenario(run: detector_run.DetectorRun) -> None:
    silent = replace(ABSTAINERS, must="no alert")
    assert not scenario_result.summarize_run(silent, run).passed
    assert scenario_result.summarize_run(silent, replace(run, alerts=[])).passed


def test_a_clean_month_is_thirty_evaluated_days_of_other_voters() -> None:
    months = [BY_NAME[name] for name in ("S0a", "S0b", "S0c")]
    specs = [honest_spec(month, VOTES, 7) for month in months]
    assert [s.days - HONEST_DAYS for s in specs] == [30.0] * 3
    assert [s.votes for s in specs] == [32_000] * 3
    assert len({s.seed for s in specs}) == 3


@pytest.mark.long
def test_two_identical_checkpoints_raise_no_alert() -> None:
    twins = replace(BY_NAME["S8"], days=21.0)
    run = scenario_result.run_scenario(twins, VOTES, seed=4)
    row = scenario_result.summarize_run(twins, run)
    assert (row.alerts, row.elsewhere, row.passed, row.attack_votes) == ({}, {}, True, 0)
    # The twin has battles, so there was something to evaluate.
    twin = len(run.stream.models) - 1
    assert ((run.stream.model_a == twin) | (run.stream.model_b == twin)).sum() > 50


@pytest.mark.long
@pytest.mark.parametrize(("voters", "each"), [(100, 5), (8, 100)])
def test_a_framed_model_loses_nothing_under_the_policy(voters: int, each: int) -> None:
    _, rival = target_and_rival_names()
    bought = Burst(target=rival, voters=voters, votes=voters * each, minutes=180, from_day=HONEST_DAYS + 1)
    framing = replace(BY_NAME["S18"], plan=lambda _, __: (bought,), days=20.5)
    run = scenario_result.run_scenario(framing, VOTES, seed=5)
    row = scenario_result.summarize_run(framing, run)
    assert row.passed
    assert row.alerts  # the operator gets an alert
    assert "critical" in row.alerts.values()
    honest, auto = ~run.stream.is_attack, np.isin(run.stream.voter, list(run.critical_voters))
    assert not (auto & honest).any()
    theta = {
        name: detector_run.fit_ratings(run.stream, kept)[run.stream.models.index(rival)]
        for name, kept in (("clean", honest), ("policy", ~auto))
    }
    # The policy excludes bought votes only: the framed model is rated no lower than without the attack.
    assert theta["policy"] >= theta["clean"] - 1e-9
    # Only a person would exclude honest votes.
    assert row.honest_excluded[0] == 0


# -- detector_run -----------------------------------------------------------------------------------


def test_twins_share_the_battles_of_a_model_and_change_nothing_else() -> None:
    stream = simulate_stream(HonestSpec(votes=20_000, seed=1, models=12))
    model = stream.models[3]
    split = detector_run.with_twin(stream, model)
    assert split.models == (*stream.models, f"{model} (twin)")
    for before, after in ((stream.model_a, split.model_a), (stream.model_b, split.model_b)):
        mine = before == 3
        assert np.array_equal(before[~mine], after[~mine])
        assert set(after[mine].tolist()) == {3, 12}
        assert (after[mine] == 12).mean() == pytest.approx(0.5, abs=0.03)
    assert np.array_equal(stream.outcome, split.outcome)


def test_the_snapshot_depends_on_the_honest_part_alone() -> None:
    target, _ = target_and_rival_names()
    attack = TargetOnly(target=target, voters=20, votes_each=50, otherwise="abstain", from_day=HONEST_DAYS)
    scenario = BY_NAME["S1a"]
    attacked = simulate_stream(honest_spec(scenario, VOTES, 5), [attack])
    honest = simulate_stream(honest_spec(scenario, VOTES, 5))
    first = detector_run.estimate_reference(attacked.take(slice(0, split_row(attacked))))
    second = detector_run.estimate_reference(honest.take(slice(0, split_row(honest))))
    assert np.array_equal(first.theta, second.theta)
    assert first.tie_share == second.tie_share


def test_the_rank_of_a_model_is_one_more_than_the_models_above_it() -> None:
    stream = simulate_stream(HonestSpec(votes=20_000, seed=1, models=8))
    theta = detector_run.fit_ratings(stream, np.ones(len(stream), dtype=bool))
    places = [detector_run.rank_of(theta, model) for model in range(8)]
    assert sorted(places) == list(range(1, 9))
    counts = PairCounts.from_codes(stream.models, stream.model_a, stream.model_b, stream.outcome)
    best = counts.models[int(np.argmax(theta))]
    assert places[stream.models.index(best)] == 1


@pytest.mark.long
def test_the_alerts_select_votes_on_the_model_since_the_alert_and_no_others(run: detector_run.DetectorRun) -> None:
    target, _ = target_and_rival_names()
    stream = run.stream
    chosen = detector_run.votes_under_alerts(stream, run.alerts, target)
    code = stream.models.index(target)
    assert chosen.any()
    assert ((stream.model_a[chosen] == code) | (stream.model_b[chosen] == code)).all()
    began = min(one.evidence["window"][0] for one in run.alerts if one.row < 0 and one.subject == target)  # type: ignore[index]
    assert stream.cast_at[chosen].min() >= began
    assert began >= stream.cast_at[split_row(stream)] - 3_600_000_000
    assert stream.is_attack[chosen].mean() > 0.7


# -- boards that are not sampled as declared ---------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("name", ["S9", "S10", "S11"])
def test_undeclared_sampling_raises_an_alert(name: str) -> None:
    found = sampling_scenarios.run_sampling_scenario(name, votes=360_000, seed=2, days=3)
    assert found.passed
    assert found.alerts
    assert found.false == {}
    assert found.battles is not None
    assert found.battles < 10_000


@pytest.mark.long
def test_declared_sampling_raises_no_alert() -> None:
    found = sampling_scenarios.run_sampling_scenario("S14", votes=360_000, seed=2, days=4.5)
    assert (found.passed, found.alerts, found.other, found.false) == (True, {}, {}, {})


@pytest.mark.long
def test_an_undeclared_release_raises_an_alert_and_fails_the_case(monkeypatch: pytest.MonkeyPatch) -> None:
    case = sampling_scenarios.sampling_cases()["S14"]
    hidden = replace(case, effect=lambda first, end: replace(case.effect(first, end), declared=False))
    monkeypatch.setattr(sampling_scenarios, "sampling_cases", lambda: {"S14": hidden})
    found = sampling_scenarios.run_sampling_scenario("S14", votes=360_000, seed=2, days=3)
    assert not found.passed
    assert found.other


# -- the command --------------------------------------------------------------------------------------


@pytest.mark.long
def test_the_command_prints_one_document_and_the_same_seed_gives_the_same_row(
    abstainers: ScenarioResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.cli.redteam_command.SCENARIOS", (ABSTAINERS,))
    result = CliRunner().invoke(app, ["redteam", "--scenario", "S1a", "--votes", str(VOTES), "--seed", "3", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["sampling"], document["peers"]) == ([], [])
    assert document["scenarios"] == [json.loads(json.dumps(document_of(abstainers)))]
    assert set(abstainers.baselines) == {"ours", "production rule", "Fisher", "likelihood ratio", "30 an hour"}
    assert abstainers.baselines["ours"][0] == abstainers.found


@pytest.mark.long
def test_the_command_exits_1_when_a_scenario_fails(abstainers: ScenarioResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.cli.redteam_command.evaluate_scenario", lambda *_: replace(abstainers, passed=False))
    result = CliRunner().invoke(app, ["redteam", "--scenario", "S1a,S1b"])
    assert result.exit_code == 1
    assert "NO" in result.stdout
    monkeypatch.setattr("pipeline.cli.redteam_command.evaluate_scenario", lambda *_: abstainers)
    assert CliRunner().invoke(app, ["redteam", "--scenario", "S1"]).exit_code == 0


def test_an_unknown_scenario_is_refused() -> None:
    result = CliRunner().invoke(app, ["redteam", "--scenario", "S99"])
    assert isinstance(result.exception, Usage)
    assert "got 'S99'" in str(result.exception)


def test_a_share_of_no_voters_is_none() -> None:
    assert scenario_result._share(np.array([], dtype=np.int64), {1}) is None
    assert scenario_result._share(np.array([1, 2, 3, 4]), {2, 9}) == 0.25
