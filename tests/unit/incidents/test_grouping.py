"""Laws of the grouping: order changes nothing, each alert is in one incident, split and merge undo each other."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.incidents.campaigns import GAP
from pipeline.incidents.carriers import CarriedAlert, ResultChange, common, incident_id
from pipeline.incidents.claims import BOARD, FACT, HABIT, LIFTED, LOWERED, MODEL, MORE, PROVIDER, Claim
from pipeline.incidents.grouping import Incident, Merge, Split, group_alerts
from pipeline.vocabulary.time import DAY, HOUR


def numbers(*ranges: tuple[int, int]) -> np.ndarray:
    return np.unique(np.concatenate([np.zeros(0, np.int64), *(np.arange(*one) for one in ranges)])).astype(np.int64)


def voter_alert(name: str, voter: int, claim: Claim, at: int = 0, strength: float = 10.0) -> CarriedAlert:
    votes = numbers((1000 * voter, 1000 * voter + 60))
    mine = np.array([voter], dtype=np.int64)
    return CarriedAlert(name, claim, voter, strength, strength > 9.2, at, at, at + HOUR, votes, votes, mine)


def window_alert(name: str, claim: Claim, votes: np.ndarray, at: int = 0, strength: float = 10.0, excess=None):
    voters = np.unique(votes // 1000)
    return CarriedAlert(name, claim, 0, strength, True, at, at, at + HOUR, votes, votes, voters[voters > 0], excess)


CLAIMS = [
    Claim(MODEL, "a", LIFTED), Claim(MODEL, "a", LOWERED), Claim(MODEL, "b", LIFTED), Claim(MODEL, "a", MORE),
    Claim(HABIT, "clicks at random"), Claim(BOARD, "board", MORE), Claim(FACT, "audit_ledger b", "broken"),
    Claim(FACT, "sampling_skew a", "more often than declared"), Claim(FACT, "sampling_skew board", "not as declared"),
    Claim(FACT, "silent_deprecation b", "no longer sampled"),
]  # fmt: skip


@st.composite
def some_alerts(draw: st.DrawFn) -> list[CarriedAlert]:
    alerts = []
    for number in range(draw(st.integers(0, 14))):
        claim, at = draw(st.sampled_from(CLAIMS)), draw(st.integers(0, 12)) * DAY
        strength = draw(st.sampled_from([4.7, 9.3, 14.0]))
        if draw(st.booleans()):
            alerts.append(voter_alert(f"v{number}", draw(st.integers(1, 6)), claim, at, strength))
        else:
            first = draw(st.integers(1, 6)) * 1000 + draw(st.integers(0, 50))
            alerts.append(window_alert(f"w{number}", claim, numbers((first, first + 40)), at, strength, excess=30.0))
    return alerts


def shape(incidents: list[Incident]) -> list[tuple]:
    return [(one.incident_id, one.claims, [alert.alert_id for alert in one.alerts]) for one in incidents]


@settings(deadline=None)
@given(some_alerts(), st.randoms(use_true_random=False))
def test_the_order_of_alerts_changes_nothing(alerts: list[CarriedAlert], shuffle: random.Random) -> None:
    shuffled = list(alerts)
    shuffle.shuffle(shuffled)
    assert shape(group_alerts(shuffled)) == shape(group_alerts(alerts))


@settings(deadline=None)
@given(some_alerts())
def test_each_alert_is_in_one_incident_which_is_found_by_every_former_id(alerts: list[CarriedAlert]) -> None:
    incidents = group_alerts(alerts)
    assert sorted(alert.alert_id for one in incidents for alert in one.alerts) == sorted(a.alert_id for a in alerts)
    for one in incidents:
        assert {one.incident_id, *one.former_ids} == {incident_id(alert) for alert in one.alerts}
        assert one.opened_at == min(alert.opened_at for alert in one.alerts)


@pytest.mark.long
@settings(deadline=None)
@given(some_alerts(), st.data())
def test_split_and_merge_undo_each_other(alerts: list[CarriedAlert], data: st.DataObject) -> None:
    before = group_alerts(alerts)
    large = [one for one in before if len(one.alerts) > 1]
    if large:
        one = data.draw(st.sampled_from(large))
        ids = [alert.alert_id for alert in one.alerts]
        out = data.draw(st.lists(st.sampled_from(ids), min_size=1, max_size=len(ids) - 1, unique=True))
        rest = next(name for name in ids if name not in out)
        split = group_alerts(alerts, [Split(frozenset(out))])
        assert len(split) == len(before) + 1
        assert any({alert.alert_id for alert in part.alerts} == set(out) for part in split)
        assert shape(group_alerts(alerts, [Split(frozenset(out)), Merge(rest, out[0])])) == shape(before)
    if len(before) > 1:
        one, other = data.draw(st.permutations(before))[:2]
        merge = Merge(one.alerts[0].alert_id, other.alerts[-1].alert_id)
        merged = group_alerts(alerts, [merge])
        assert len(merged) == len(before) - 1
        back = group_alerts(alerts, [merge, Split(frozenset(alert.alert_id for alert in other.alerts))])
        assert shape(back) == shape(before)


def test_two_targets_at_once_are_two_incidents_and_side_effects_join_their_cause() -> None:
    cedar = [voter_alert(f"c{i}", i, CLAIMS[0], at=i * HOUR) for i in range(1, 6)]
    birch = [voter_alert(f"b{i}", i, CLAIMS[2], at=i * HOUR) for i in range(11, 16)]
    shadow = window_alert("shadow", Claim(MODEL, "oak", LOWERED), numbers((1000, 1050)), at=3 * HOUR)
    crowd = window_alert("crowd", CLAIMS[5], numbers((1000, 1060), (2000, 2060), (90_000, 90_030)), 4 * HOUR, excess=90)
    found = group_alerts([*birch, crowd, *cedar, shadow])
    assert [(one.claims[0], len(one.alerts)) for one in found] == [(CLAIMS[0], 7), (CLAIMS[2], 5)]
    assert found[0].voters == frozenset(range(1, 6))


def test_voters_without_an_aim_join_the_campaign_that_they_lean_to_or_each_other() -> None:
    random, against = Claim(HABIT, "votes at random"), Claim(HABIT, "votes against the rating")
    oak = [voter_alert(f"o{i}", i, CLAIMS[2], at=i * HOUR) for i in range(1, 5)]
    foes = [voter_alert(f"f{i}", i, against, at=i * HOUR) for i in range(11, 15)]
    leaning = replace(voter_alert("l", 5, random, at=HOUR), leanings={CLAIMS[2]: 0.2})
    other = replace(voter_alert("m", 15, random, at=HOUR), leanings={CLAIMS[0]: 0.2})
    found = {one.claims[0]: one.voters for one in group_alerts([other, *foes, leaning, *oak])}
    assert found == {CLAIMS[2]: frozenset(range(1, 6)), against: frozenset(range(11, 16))}


def test_a_voter_with_a_habit_joins_the_campaign_that_most_of_its_votes_are_for() -> None:
    """Five votes for one model may all be for the left side; a habit over many votes spreads them over the models."""
    left = Claim(HABIT, "always votes for the left side")
    oak = [voter_alert(f"o{i}", i, CLAIMS[2], at=i * HOUR) for i in range(1, 5)]
    lefts = [voter_alert(f"f{i}", i, left, at=i * HOUR) for i in range(11, 15)]
    five = replace(voter_alert("l", 5, left, at=HOUR, strength=5.0), leanings={CLAIMS[2]: 1.0})
    some = replace(voter_alert("m", 15, left, at=HOUR), leanings={CLAIMS[2]: 0.2})
    later = replace(voter_alert("n", 16, left, at=20 * DAY), leanings={CLAIMS[2]: 1.0})
    found = {(one.claims[0], one.begun_at < DAY): one.voters for one in group_alerts([five, *lefts, some, later, *oak])}
    assert found == {
        (CLAIMS[2], True): frozenset(range(1, 6)), (left, True): frozenset(range(11, 16)), (left, False): {16},
    }  # fmt: skip


def test_followers_are_accounts_of_the_incident_whose_claim_they_follow_and_not_of_its_side_effects() -> None:
    own = {7: numbers((7000, 7005)), 8: numbers((8000, 8005))}
    burst = replace(window_alert("burst", CLAIMS[0], numbers((6000, 6090), (7000, 7005), (8000, 8005))), followers=own)
    shadow = replace(
        window_alert("shadow", Claim(MODEL, "oak", LOWERED), numbers((6000, 6050)), strength=5.0),
        followers={9: numbers((9000, 9005))},
    )
    (found,) = group_alerts([burst, shadow, voter_alert("v", 7, CLAIMS[0])])
    assert found.voters == {7, 8}
    assert {voter: len(votes) for voter, votes in found.votes_by_voter().items()} == {7: 60, 8: 5}
    alone, rest = group_alerts([burst, shadow], [Split(frozenset(["shadow"]))])
    assert sorted([alone.voters, rest.voters], key=len) == [frozenset(), {7, 8}]


def test_a_voter_is_not_of_a_campaign_because_it_voted_in_the_same_hour() -> None:
    """The votes of a window are those of everybody: an honest voter with a habit is not of the attack."""
    attack = [voter_alert(f"c{i}", i, CLAIMS[0], at=i * HOUR) for i in range(1, 6)]
    window = window_alert("window", CLAIMS[0], numbers((1000, 1050), (9000, 9004)), at=HOUR)
    found = group_alerts([*attack, window, voter_alert("n", 9, CLAIMS[4], at=HOUR)])
    assert [sorted(one.voters) for one in found] == [[1, 2, 3, 4, 5], [9]]


def fact(name: str, detector: str, subject: str, effect: str, at: int = 0, strength: float = 10.0) -> CarriedAlert:
    claim = Claim(FACT, f"{detector} {subject}", effect)
    return CarriedAlert(name, claim, 0, strength, True, at, at, at)


def test_facts_about_sampling_are_one_incident_which_names_a_model_and_explains_more_votes_on_it() -> None:
    more, less = "more often than declared", "less often than declared"
    facts = [
        fact("board", "sampling_skew", "board", "not as declared", strength=90.0),
        fact("m1", "sampling_skew", "m1", more, at=HOUR),
        fact("m2", "sampling_skew", "m2", less, at=9 * DAY, strength=12.0),
        fact("m3", "silent_deprecation", "m3", "no longer sampled", at=30 * DAY),
        fact("daily", "sampling_fairness", "p2", "more than declared", at=2 * DAY),
    ]
    other = fact("audit", "audit_ledger", "b", "broken")
    crowds = [window_alert(f"{n}", Claim(MODEL, f"m{n}", MORE), numbers((n * 900, n * 900 + 90))) for n in (1, 2)]
    found = group_alerts([*facts, other, *crowds])
    assert {one.claims[0].name: {alert.alert_id for alert in one.alerts} for one in found} == {
        "sampling_skew m2": {"board", "m1", "m2", "m3", "daily", "1"},
        "audit_ledger b": {"audit"},
        "m2": {"2"},
    }


def test_an_attack_explains_that_its_target_seems_to_be_drawn_more_often() -> None:
    attack = [voter_alert(f"c{i}", i, CLAIMS[0], at=i * HOUR) for i in range(1, 6)]
    seen = [
        fact("board", "sampling_skew", "board", "not as declared"),
        fact("a", "sampling_skew", "a", "more often than declared", at=HOUR),
    ]
    assert [len(one.alerts) for one in group_alerts([*attack, *seen])] == [7]
    other = fact("b", "sampling_skew", "b", "less often than declared", at=HOUR)
    assert sorted(len(one.alerts) for one in group_alerts([*attack, *seen, other])) == [3, 5]


def test_more_votes_on_a_provider_are_those_on_its_models() -> None:
    def burst(kind: str, name: str, place: int) -> CarriedAlert:
        return window_alert(name, Claim(kind, name, MORE), numbers((place, place + 90)), strength=10.0 + place % 7)

    maker = CarriedAlert("maker", Claim(PROVIDER, "maker", MORE), 0, 9.0, True, 0, 0, HOUR, members=frozenset("abc"))
    a, b, other = (burst(MODEL, name, 900 * n) for n, name in enumerate("abz", 1))
    attack = [voter_alert(f"c{i}", 100 + i, CLAIMS[0], at=i * HOUR) for i in range(1, 6)]

    def found(*alerts: CarriedAlert) -> list[tuple[Claim, int]]:
        return sorted((one.claims[0], len(one.alerts)) for one in group_alerts(alerts))

    assert found(maker, a, b, other) == [(other.claim, 1), (maker.claim, 3)]
    assert found(maker, a, other) == [(a.claim, 2), (other.claim, 1)]
    assert found(maker, a, b, *attack) == [(CLAIMS[0], 7), (b.claim, 1)]


def test_results_that_change_during_an_attack_are_part_of_it() -> None:
    attack = [voter_alert(f"c{i}", i, CLAIMS[0], at=i * HOUR) for i in range(1, 6)]
    better = fact("better", "model_shift", "a", "performs better than in its snapshots", at=HOUR)
    assert [len(one.alerts) for one in group_alerts([*attack, better])] == [6]
    worse = fact("worse", "model_shift", "a", "performs worse than in its snapshots", at=HOUR)
    other = fact("other", "model_shift", "b", "performs better than in its snapshots", at=HOUR)
    assert sorted(len(one.alerts) for one in group_alerts([*attack, worse, other])) == [1, 1, 5]


def test_a_change_of_a_model_that_windows_alone_see_is_no_attack() -> None:
    better = fact("better", "model_shift", "a", "performs better than in its snapshots", at=HOUR)
    weeks = window_alert("weeks", CLAIMS[0], numbers((1000, 1090)), at=HOUR)
    assert [len(one.alerts) for one in group_alerts([weeks, better])] == [1, 1]


def test_a_change_of_results_is_part_of_a_burst_whose_votes_are_mostly_those_of_followers() -> None:
    better = fact("better", "model_shift", "a", "performs better than in its snapshots", at=HOUR)
    burst = window_alert("burst", CLAIMS[0], numbers((1000, 1060)), at=HOUR, excess=40.0)
    few, most = ({7: numbers((1000, end))} for end in (1019, 1020))
    assert [len(one.alerts) for one in group_alerts([replace(burst, followers=few), better])] == [1, 1]
    assert [len(one.alerts) for one in group_alerts([replace(burst, followers=most), better])] == [2]


def test_changed_results_of_an_opponent_are_part_of_the_attack_whose_votes_changed_them() -> None:
    attack = [voter_alert(f"c{i}", i, CLAIMS[0], at=i * HOUR) for i in range(1, 6)]
    mine = numbers(*((1000 * i, 1000 * i + 20) for i in range(1, 6)))  # 100 of the attack's 300 votes

    def grouped(change: ResultChange | None) -> list[int]:
        claim = Claim(MODEL, "b", LOWERED)
        shift = CarriedAlert("b", claim, 0, 6.0, False, 2 * HOUR, HOUR, 2 * HOUR, change=change)
        return sorted(len(one.alerts) for one in group_alerts([*attack, shift]))

    # 260 losses where 190 are expected of 380: 50 of the 70 are beyond what is expected of the attack's hundred votes.
    others, won = numbers((50_000, 50_160)), numbers((60_000, 60_120))
    assert grouped(ResultChange(np.union1d(mine, others), won, 190.0)) == [6]
    # The attackers vote on a model that changed as others do: of their hundred votes it loses two in three too.
    usual = ResultChange(np.union1d(mine[:68], others), np.union1d(mine[68:], won[:60]), 160.0)
    assert usual.share_by(mine) < 0.5
    assert grouped(usual) == [1, 5]
    assert grouped(ResultChange(others, won, 90.0)) == [1, 5]
    assert grouped(None) == [1, 5]


def test_a_change_counts_losses_if_results_became_worse_and_wins_if_they_became_better() -> None:
    won, lost = numbers((0, 40)), numbers((100, 160))
    worse = ResultChange.of({"decided": 100, "won": 40, "expected": 70.0}, won, lost)
    assert (worse.share_by(lost[:20]), worse.share_by(won)) == (pytest.approx(14 / 30), 0.0)
    better = ResultChange.of({"decided": 100, "won": 40, "expected": 10.0}, won, lost)
    assert (better.share_by(won), better.share_by(lost)) == (1.0, 0.0)


def test_an_attack_after_a_long_pause_is_another_incident() -> None:
    first, second = voter_alert("x", 1, CLAIMS[0]), voter_alert("y", 2, CLAIMS[0], at=HOUR + GAP)
    later = voter_alert("z", 3, CLAIMS[0], at=2 * HOUR + 2 * GAP + 1)
    assert [len(one.alerts) for one in group_alerts([first, later, second])] == [2, 1]


def test_one_voters_unproved_habit_is_a_note() -> None:
    (note,) = group_alerts([voter_alert("n", 1, CLAIMS[4], strength=5.0)])
    (incident,) = group_alerts([voter_alert(f"n{i}", i, CLAIMS[4], strength=5.0) for i in (1, 2)])
    assert (note.is_note, incident.is_note) == (True, False)


def test_common_numbers() -> None:
    assert common(numbers((0, 10), (20, 30)), numbers((5, 25))) == 10
    assert common(numbers(), numbers((5, 25))) == 0
