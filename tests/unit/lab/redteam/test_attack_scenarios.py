"""The red team's own laws: what it plants, what it counts, and when it says that something fails."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.cli.commands import app
from pipeline.errors import Usage
from pipeline.lab.redteam import detector_run, sampling_scenarios, scenario_result
from pipeline.lab.redteam.attack_scenarios import HONEST_DAYS, SCENARIOS, honest_spec, target_and_rival_names
from pipeline.lab.redteam.scenario_result import ScenarioResult
from pipeline.lab.simulate import Burst, HonestSpec, TargetOnly, simulate_stream
from pipeline.lab.simulate.simulated_stream import SimulatedStream
from pipeline.ratings import PairCounts

VOTES = 20_000
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
# Six days are attacked instead of twelve: half of the windows, half of the time.
ABSTAINERS = replace(BY_NAME["S1a"], days=24.0)


def parting(stream: SimulatedStream) -> int:
    return int(np.searchsorted(stream.cast_at, stream.cast_at[0] + HONEST_DAYS * 86_400 * 1e6))


@pytest.fixture(scope="module")
def held() -> detector_run.DetectorRun:
    return scenario_result.run_scenario(ABSTAINERS, VOTES, seed=3)


@pytest.fixture(scope="module")
def abstainers(held: detector_run.DetectorRun) -> ScenarioResult:
    return scenario_result.summarize_run(ABSTAINERS, held)


def test_every_scenario_that_is_asked_for_is_there_once() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert len(set(names)) == len(names)
    kinds = {name.rstrip("abcdefghij") for name in names} | set(sampling_scenarios.SAMPLING_SCENARIOS)
    assert kinds == {f"S{i}" for i in (0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 14, 16, 18)}
    # Honest until the snapshot is made, whatever is planted later.
    for scenario in SCENARIOS:
        for attack in scenario.plan(*target_and_rival_names()):
            assert attack.from_day >= HONEST_DAYS
    assert {s.must for s in SCENARIOS if not s.plan(*target_and_rival_names())} == {"be silent"}


def test_attackers_are_found_and_the_board_is_put_right(abstainers: ScenarioResult) -> None:
    row = abstainers
    assert (row.attack_votes, row.must, row.passed) == (2_000, "be told", True)
    assert row.found == 1.0
    assert row.excluded is not None and row.excluded >= 0.9
    assert row.admitted < 300
    raw, policy, person = row.places_lost
    assert raw >= 5
    assert policy <= 1
    assert person < raw
    assert row.honest_excluded[0] <= row.honest_excluded[1]
    assert row.false_voters[0] <= 0.01


def test_where_something_must_be_told_and_nothing_is_the_scenario_fails(held: detector_run.DetectorRun) -> None:
    deaf = replace(held, told=[])
    row = scenario_result.summarize_run(ABSTAINERS, deaf)
    assert (row.found, row.excluded, row.told, row.passed) == (0.0, 0.0, {}, False)
    assert row.admitted == row.attack_votes
    assert row.places_lost[0] == row.places_lost[1] == row.places_lost[2]
    assert scenario_result.summarize_run(replace(ABSTAINERS, must="be shown"), deaf).passed


def test_what_was_said_before_the_attack_is_no_answer_to_it(held: detector_run.DetectorRun) -> None:
    target, _ = target_and_rival_names()
    early = detector_run.RaisedAlert("vote_burst", target, "more", "warning", int(held.stream.cast_at[0]), -1, {}, 0)
    row = scenario_result.summarize_run(ABSTAINERS, replace(held, told=[early]))
    assert (row.told, row.elsewhere, row.passed) == ({}, {"vote_burst": 1}, False)


def test_where_nothing_may_be_said_and_something_is_the_scenario_fails(held: detector_run.DetectorRun) -> None:
    silent = replace(ABSTAINERS, must="be silent")
    assert not scenario_result.summarize_run(silent, held).passed
    assert scenario_result.summarize_run(silent, replace(held, told=[])).passed


def test_a_clean_month_is_thirty_judged_days_of_other_people_each() -> None:
    months = [BY_NAME[name] for name in ("S0a", "S0b", "S0c")]
    specs = [honest_spec(month, VOTES, 7) for month in months]
    assert [s.days - HONEST_DAYS for s in specs] == [30.0] * 3
    assert [s.votes for s in specs] == [32_000] * 3
    assert len({s.seed for s in specs}) == 3


def test_two_identical_checkpoints_under_two_names_are_no_news() -> None:
    twins = replace(BY_NAME["S8"], days=21.0)
    held = scenario_result.run_scenario(twins, VOTES, seed=4)
    row = scenario_result.summarize_run(twins, held)
    assert (row.told, row.elsewhere, row.passed, row.attack_votes) == ({}, {}, True, 0)
    # They were shown, and are as good as each other, so there was something to say something about.
    twin = len(held.stream.models) - 1
    assert ((held.stream.model_a == twin) | (held.stream.model_b == twin)).sum() > 50


@pytest.mark.parametrize(("voters", "each"), [(100, 5), (8, 100)])
def test_whoever_is_framed_loses_nothing_until_a_person_decides(voters: int, each: int) -> None:
    _, rival = target_and_rival_names()
    bought = Burst(target=rival, voters=voters, votes=voters * each, minutes=180, from_day=HONEST_DAYS + 1)
    framing = replace(BY_NAME["S18"], plan=lambda _, __: (bought,), days=20.5)
    held = scenario_result.run_scenario(framing, VOTES, seed=5)
    row = scenario_result.summarize_run(framing, held)
    assert row.passed
    assert row.told  # the operator hears of it, as loudly as may be
    assert "critical" in row.told.values()
    honest, auto = ~held.stream.is_attack, np.isin(held.stream.voter, list(held.critical_voters))
    assert not (auto & honest).any()
    theta = {
        name: detector_run.fit_ratings(held.stream, kept)[held.stream.models.index(rival)]
        for name, kept in (("clean", honest), ("policy", ~auto))
    }
    # Whatever the policy leaves out was bought for it: the framed model stands no lower than without the attack.
    assert theta["policy"] >= theta["clean"] - 1e-9
    # Only a person takes honest votes of its; that is counted, and not done.
    assert row.honest_excluded[0] == 0


# -- the trial -----------------------------------------------------------------------------------


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


def test_the_snapshot_of_the_trial_knows_only_the_honest_part() -> None:
    target, _ = target_and_rival_names()
    attack = TargetOnly(target=target, voters=20, votes_each=50, otherwise="abstain", from_day=HONEST_DAYS)
    scenario = BY_NAME["S1a"]
    attacked = simulate_stream(honest_spec(scenario, VOTES, 5), [attack])
    honest = simulate_stream(honest_spec(scenario, VOTES, 5))
    first = detector_run.estimate_reference(attacked.take(slice(0, parting(attacked))))
    second = detector_run.estimate_reference(honest.take(slice(0, parting(honest))))
    assert np.array_equal(first.theta, second.theta)
    assert first.tie_share == second.tie_share


def test_the_place_of_a_model_is_one_more_than_the_models_above_it() -> None:
    stream = simulate_stream(HonestSpec(votes=20_000, seed=1, models=8))
    theta = detector_run.fit_ratings(stream, np.ones(len(stream), dtype=bool))
    places = [detector_run.rank_of(theta, model) for model in range(8)]
    assert sorted(places) == list(range(1, 9))
    counts = PairCounts.from_codes(stream.models, stream.model_a, stream.model_b, stream.outcome)
    best = counts.models[int(np.argmax(theta))]
    assert places[stream.models.index(best)] == 1


def test_a_person_leaves_out_votes_on_the_model_since_the_alert_and_no_other(held: detector_run.DetectorRun) -> None:
    target, _ = target_and_rival_names()
    stream = held.stream
    chosen = detector_run.votes_under_alerts(stream, held.told, target)
    code = stream.models.index(target)
    assert chosen.any()
    assert ((stream.model_a[chosen] == code) | (stream.model_b[chosen] == code)).all()
    began = min(one.evidence["window"][0] for one in held.told if one.row < 0 and one.subject == target)  # type: ignore[index]
    assert stream.cast_at[chosen].min() >= began
    assert began >= stream.cast_at[parting(stream)] - 3_600_000_000
    assert stream.is_attack[chosen].mean() > 0.7


# -- boards that are not sampled as declared ---------------------------------------------------------


@pytest.mark.parametrize("name", ["S9", "S10", "S11"])
def test_a_board_that_is_not_sampled_as_declared_is_told_of(name: str) -> None:
    found = sampling_scenarios.run_sampling_scenario(name, votes=360_000, seed=2, days=3)
    assert found.passed
    assert found.told
    assert found.false == {}
    assert found.battles is not None
    assert found.battles < 10_000


def test_a_policy_that_says_what_is_done_is_silent() -> None:
    found = sampling_scenarios.run_sampling_scenario("S14", votes=360_000, seed=2, days=4.5)
    assert (found.passed, found.told, found.other, found.false) == (True, {}, {}, {})


def test_a_release_that_nobody_declares_is_told_of_and_then_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    case = sampling_scenarios.sampling_cases()["S14"]()
    hidden = replace(case, effect=lambda first, end: replace(case.effect(first, end), declared=False))
    monkeypatch.setattr(sampling_scenarios, "sampling_cases", lambda: {"S14": lambda: hidden})
    found = sampling_scenarios.run_sampling_scenario("S14", votes=360_000, seed=2, days=3)
    assert not found.passed
    assert found.other


# -- the verb --------------------------------------------------------------------------------------


def test_the_verb_prints_one_document_and_the_same_seed_gives_the_same_row(
    abstainers: ScenarioResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.cli.redteam_command.SCENARIOS", (ABSTAINERS,))
    told = CliRunner().invoke(app, ["redteam", "--scenario", "S1a", "--votes", str(VOTES), "--seed", "3", "--json"])
    assert told.exit_code == 0, told.output
    document = json.loads(told.stdout)
    assert (document["sampling"], document["peers"]) == ([], [])
    assert document["scenarios"] == [json.loads(json.dumps(abstainers.shown()))]
    assert set(abstainers.baselines) == {"ours", "production rule", "Fisher", "likelihood ratio", "30 an hour"}
    assert abstainers.baselines["ours"][0] == abstainers.found


def test_the_verb_exits_1_where_something_did_not(abstainers: ScenarioResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.cli.redteam_command.judge", lambda *_: replace(abstainers, passed=False))
    told = CliRunner().invoke(app, ["redteam", "--scenario", "S1a,S1b"])
    assert told.exit_code == 1
    assert "NO" in told.stdout
    monkeypatch.setattr("pipeline.cli.redteam_command.judge", lambda *_: abstainers)
    assert CliRunner().invoke(app, ["redteam", "--scenario", "S1"]).exit_code == 0


def test_a_scenario_that_there_is_not_is_refused() -> None:
    told = CliRunner().invoke(app, ["redteam", "--scenario", "S99"])
    assert isinstance(told.exception, Usage)
    assert "got 'S99'" in str(told.exception)


def test_the_row_counts_places_from_where_the_model_belongs() -> None:
    assert scenario_result._share(np.array([], dtype=np.int64), {1}) is None
    assert scenario_result._share(np.array([1, 2, 3, 4]), {2, 9}) == 0.25
