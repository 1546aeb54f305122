"""Opening, escalating, clearing: against a slow loop, and the hysteresis in numbers."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evidence import LOG_UNIT, alert_policy
from pipeline.evidence.alert_policy import AlertDecision


def units(nats: float) -> int:
    return math.floor(nats / LOG_UNIT)


def blank(m: int) -> dict[str, np.ndarray]:
    return {name: np.full(m, value, dtype=np.int64) for name, value in alert_policy.NO_ALERT.items()}


def follow(path: list[list[float]], alarms: float = 1.0, quiet_for: int = 3, share: float = 0.4) -> list[AlertDecision]:
    columns, decisions = blank(len(path[0])), []
    for nats in path:
        decision = alert_policy.decide_alerts(
            np.array([units(x) for x in nats]), columns, alarms=alarms, share=share, quiet_for=quiet_for
        )
        columns = decision.columns
        decisions.append(decision)
    return decisions


def test_an_alert_opens_once_and_escalates_at_a_hundred_times_the_evidence() -> None:
    raised = [
        bool(len(d.raised)) for d in follow([[4.0], [4.7], [5.0], [9.0], [9.4], [9.5], [14.1]], alarms=0.01, share=0.01)
    ]
    # ln 100 = 4.605: opens at 4.7, again at 9.4 (a hundred times as much), again at 14.1
    assert raised == [False, True, False, False, True, False, True]


def test_an_alert_is_cleared_after_enough_quiet_steps_in_a_row_and_may_open_again() -> None:
    path = [[5.0], [-1.0], [-1.0], [0.5], [-1.0], [-1.0], [-1.0], [5.0]]
    decisions = follow(path, alarms=0.01, share=0.01, quiet_for=3)
    assert [d.cleared.tolist() for d in decisions] == [[], [], [], [], [], [], [0], []]
    assert [d.raised.tolist() for d in decisions] == [[0], [], [], [], [], [], [], [0]]


def test_a_jump_over_several_levels_escalates_once_to_the_highest() -> None:
    (_, second) = follow([[5.0], [5.0 + 3 * math.log(100) + 0.01]], alarms=0.01, share=0.01)
    assert second.columns["level"].tolist() == [4]


def test_many_keys_at_once_need_more_evidence_each_and_help_each_other() -> None:
    # m = 4: one alone needs e ≥ 4; at α = .5 four together need e ≥ 2 each.
    (alone,) = follow([[math.log(3), math.log(4.01), 0, 0]], share=0.5)
    (together,) = follow([[math.log(3)] * 4], share=0.5)
    assert alone.raised.tolist() == [1]
    assert together.raised.tolist() == [0, 1, 2, 3]


def test_a_key_without_new_evidence_neither_escalates_nor_clears() -> None:
    columns = blank(2)
    decision = alert_policy.decide_alerts(
        np.array([units(9), units(9)]), columns, alarms=0.1, share=0.1, quiet_for=1, stepped=np.array([False, True])
    )
    assert decision.raised.tolist() == [1]
    assert decision.columns["level"].tolist() == [0, 1]


def test_the_value_over_a_horizon_is_never_rounded_up() -> None:
    log_m = np.array([units(math.log(8640 * 7))])
    assert math.exp(int(alert_policy.log_e_over_horizon(log_m, alert_policy.WINDOWS_PER_MONTH)[0]) * LOG_UNIT) <= 7


@given(st.lists(st.lists(st.floats(-3, 20), min_size=3, max_size=3), min_size=1, max_size=25))
@settings(deadline=None)
def test_decisions_are_those_of_a_slow_loop(path: list[list[float]]) -> None:
    reported, level, quiet = [0] * 3, [0] * 3, [0] * 3
    hundred = math.ceil(math.log(100.0) / LOG_UNIT)
    for nats, decision in zip(path, follow(path), strict=True):
        now = [units(x) for x in nats]
        order = sorted(now, reverse=True)
        enough = [k for k in range(1, 4) if order[k - 1] * LOG_UNIT >= math.log(3 / (0.4 * k))]
        bar = min(order[enough[-1] - 1] if enough else math.inf, math.ceil(math.log(3) / LOG_UNIT))
        raised, cleared = [], []
        for i in range(3):
            if level[i] == 0 and now[i] >= bar:
                level[i], reported[i] = 1, now[i]
                raised.append(i)
            elif 0 < level[i] < 8 and now[i] >= reported[i] + hundred:
                steps = (now[i] - reported[i]) // hundred
                level[i], reported[i] = min(level[i] + steps, 8), reported[i] + steps * hundred
                raised.append(i)
            quiet[i] = quiet[i] + 1 if level[i] and now[i] < 0 else 0
            if quiet[i] >= 3:
                level[i], reported[i], quiet[i] = 0, 0, 0
                cleared.append(i)
        assert (decision.raised.tolist(), decision.cleared.tolist()) == (raised, cleared)
        assert decision.columns["level"].tolist() == level


def test_each_key_reaches_a_level_once_and_only_above_the_emitted_one() -> None:
    level = np.array([1, 1, 3, 2, 1, 2, 4])
    key = np.array([0, 0, 0, 0, 1, 2, 2])
    reported = np.array([0, 1, 2])
    assert alert_policy.new_levels(level, key, reported) == [0, 2, 6]
    assert reported.tolist() == [3, 1, 4]
    assert alert_policy.new_levels(level, key, reported) == []
