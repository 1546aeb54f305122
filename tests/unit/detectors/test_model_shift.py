"""`model_shift`: the reading by kinds of voters, models that are no longer offered, and the slow loop."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.detectors import ModelShift
from pipeline.detectors.window.model_shift_ratios import shift_ratios
from pipeline.detectors.window.model_shift_reading import ShiftReading, read_strata
from pipeline.detectors.window.model_shift_sums import NETWORK_GROUPS, SLOTS
from pipeline.evidence.fixed_point import LOG_UNIT
from pipeline.lab.simulate.simulated_board import SimulatedBoard, WindowEffect
from pipeline.registry import RegistryState
from pipeline.scoring.detector_contracts import WindowContext, WindowState
from pipeline.scoring.signals import AlertSignal, ClearedSignal, Signal
from pipeline.scoring.window import GroupedModelCounts, Window
from pipeline.vocabulary.time import HOUR
from tests.unit.detectors import slow_model_shift as slow
from tests.unit.detectors.test_slow_windows import board_stream, check

BEFORE = (0.0, 200.0)


def reading(
    *shifts: float, votes: tuple[float, ...] = (20, 100, 40, 30, 40, 35, 35), before: tuple[float, float] = BEFORE
) -> ShiftReading:
    """Three ages, and four quarters of the sixteen groups of networks, each quarter with equal groups."""
    quarter = NETWORK_GROUPS // 4
    information = np.concatenate([votes[:3], np.repeat(np.array(votes[3:]) / quarter, quarter)])
    shift = np.concatenate([shifts[:3], np.repeat(shifts[3:], quarter)])
    return read_strata(shift * information, information, before, 1.1)


def test_a_change_that_all_kinds_see_is_a_change_of_the_model() -> None:
    found = reading(0.5, 0.6, 0.55, 0.6, 0.5, 0.6, 0.6)
    assert found.by_all
    assert found.text == "all kinds of voters see it: the model itself changed"


def test_kinds_that_do_not_see_it_are_named() -> None:
    found = reading(0.0, 0.0, 2.0, 0.5, 0.5, 0.5, 0.5)
    assert (found.by_all, found.is_open) == (False, False)
    assert found.text == "attack or change: cannot be told (not seen by votes of established accounts)"
    found = reading(0.5, 0.5, 0.5, 2.0, 0.1, 0.0, 0.0)
    assert found.unseen == ["most networks"]


def test_kinds_with_too_few_votes_keep_it_open() -> None:
    found = reading(0.0, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, votes=(0, 60, 15, 10, 20, 20, 20))
    assert (found.by_all, found.is_open) == (False, True)
    assert "too few votes of new accounts" in found.text


def test_one_kind_of_voters_alone_cannot_tell() -> None:
    found = reading(0.6, 0, 0, 0, 0, 0, 0, votes=(200, 0, 0, 0, 0, 0, 0))
    assert found.text == "attack or change: cannot be told (the votes are of one kind of voters)"


@pytest.mark.parametrize(
    ("before", "why"),
    [
        ((-60.0, 100.0), "shortly before, its results were off in the opposite direction"),
        ((0.0, 5.0), "too few earlier votes to compare with"),
    ],
)
def test_the_end_of_an_attack_on_the_snapshots_is_no_change_of_the_model(before: tuple[float, float], why: str) -> None:
    found = reading(0.5, 0.6, 0.55, 0.6, 0.5, 0.6, 0.6, before=before)
    assert (found.by_all, found.is_open) == (False, False)
    assert why in found.text


SWAPS = (
    WindowEffect(first=864, end=1440, shift={"m003": 1.0}),
    WindowEffect(first=1008, end=1200, target="m007", votes=4.0, wins=False),
)
SWAPPED = SimulatedBoard(days=5, votes=30, seed=2, models=12, providers=4, effects=SWAPS)


@pytest.mark.long
def test_model_shift_is_that_of_a_slow_loop() -> None:
    found = check(ModelShift(), slow.ModelShift(), board_stream(SWAPPED))
    assert {(one.subject, one.direction) for one in found if one.level} >= {
        ("m003", "performs better than in its snapshots"),
        ("m007", "performs worse than in its snapshots"),
    }


def test_a_deprecated_model_is_not_tested_and_its_alert_ends() -> None:
    stream = board_stream(SWAPPED)
    known = stream[0][1].registry
    gone = replace(known.models["m003"], deprecated_at=stream[1300][0].start)
    later = replace(known, models={**known.models, "m003": gone})
    state, found = {}, []
    for i, (window, context) in enumerate(stream):
        state, signals = ModelShift().observe(window, state, context if i < 1300 else replace(context, registry=later))
        found += [one for one in signals if one.subject == "m003"]
    assert isinstance(found[0], AlertSignal)
    assert isinstance(found[-1], ClearedSignal)
    assert found[-1].reason == "it is no longer offered, or has no votes"
    assert found[-1].at <= stream[1313][0].end


def test_the_later_names_of_a_renamed_model_are_told() -> None:
    state, found = {}, []
    for window, context in board_stream(SWAPPED):
        renamed = replace(context.registry, aliases={"m003-new": "m003"})
        state, signals = ModelShift().observe(window, state, replace(context, registry=renamed))
        found += [one for one in signals if isinstance(one, AlertSignal) and one.subject == "m003"]
    assert "(also called m003-new)" in found[0].evidence["what"]
    assert found[0].evidence["reading"] == "change"


MODELS = tuple(f"m{i:03d}" for i in range(10))
NETWORKS = tuple(f"AS{i}" for i in range(60))
Cells = dict[tuple[str, str], tuple[int, int]]
"""(group, model) -> number of decided votes and of wins; the snapshots expect half of them."""


def counted(cells: Cells) -> GroupedModelCounts:
    rows = [(2 * n, n, won, n - won, 2 * n, won, n - won, 1024 * n, 1024 * n) for n, won in cells.values()]
    keys = list(cells)
    counts = np.array(rows, dtype=np.int64).reshape(-1, 9)
    return GroupedModelCounts(tuple(group for group, _ in keys), tuple(model for _, model in keys), counts)


def six_hours(number: int, ages: Cells, networks: Cells) -> Window:
    """A window that ends a slot: the votes of six hours."""
    cohorts = counted(ages)
    totals = np.array([cohorts.counts[[one == m for one in cohorts.model]].sum(axis=0) for m in MODELS])
    begin = 6 * HOUR * number
    none = counted({})
    return Window(begin, begin + 6 * HOUR, 2_000, 0, MODELS, totals, cohorts, counted(networks), none, {})


def observed(windows: list[Window]) -> tuple[WindowState, list[list[Signal]]]:
    context = WindowContext(RegistryState({}, {}, None))
    state, found = {}, []
    for window in windows:
        state, signals = ModelShift().observe(window, state, context)
        found.append(signals)
    return state, found


def alerts(signals: list[Signal]) -> list[AlertSignal]:
    return [one for one in signals if isinstance(one, AlertSignal)]


USUAL: Cells = {("established", m): (400, 200) for m in MODELS} | {("new", m): (100, 50) for m in MODELS}


def test_an_alert_that_was_held_escalates_by_its_votes_alone() -> None:
    """New accounts have too few votes at first. Some more of theirs decide it, and are hardly any evidence."""
    swapped = {("established", "m000"): (600, 425), ("new", "m000"): (144, 85)}
    windows = [six_hours(i, USUAL, {}) for i in range(6)] + [six_hours(6, USUAL | swapped, {})]
    more = {("established", "m000"): (2, 1), ("new", "m000"): (40, 29)}
    state, found = observed([*windows, six_hours(7, USUAL | more, {})])
    (opened,) = alerts(found[6])
    assert "too few votes of new accounts" in opened.evidence["what"]
    assert (opened.level, opened.severity) == (1, "warning")
    assert alerts(found[7]) == []
    assert state["level"][0].tolist() == [1, 0]
    # The evidence that the alert opened with is the whole one, and its e-value a millionth of this.
    assert math.exp(state["told"][0, 0] * LOG_UNIT) == pytest.approx(1e6 * opened.e_value, rel=1e-5)


def test_a_held_alert_escalates_when_its_evidence_has_grown_by_a_hundred() -> None:
    swapped = {("established", "m000"): (600, 425), ("new", "m000"): (144, 85)}
    windows = [six_hours(i, USUAL, {}) for i in range(6)] + [six_hours(6, USUAL | swapped, {})]
    _, found = observed([*windows, six_hours(7, USUAL | {("established", "m000"): (200, 145)}, {})])
    assert [one.level for one in alerts(found[6])] == [1]
    assert [(one.level, one.severity) for one in alerts(found[7])] == [(2, "critical")]


def test_the_votes_of_three_networks_are_no_change_of_the_model() -> None:
    """Accounts of all ages vote on three networks, in three of four quarters of all groups of networks."""
    quarters = {hashlib.blake2b(name.encode(), digest_size=1).digest()[0] % 4: name for name in NETWORKS}
    attacking = [quarters[i] for i in range(3)]
    usual: Cells = {(network, m): (8, 4) for m in MODELS for network in NETWORKS}
    windows = [six_hours(i, USUAL, usual) for i in range(6)]
    ages = {("established", "m000"): (700, 440), ("new", "m000"): (250, 165)}
    networks = {(network, "m000"): (158, 109) for network in attacking}
    _, found = observed([*windows, six_hours(6, USUAL | ages, usual | networks)])
    (alert,) = alerts(found[6])
    assert alert.evidence["reading"] == "attack or change"
    assert "not seen by votes of most networks" in alert.evidence["what"]


@pytest.mark.parametrize("models", [8, 12, 20, 39])
def test_the_spread_of_few_models_is_not_underestimated(models: int) -> None:
    """Honest votes that scatter twice as much as independent ones, since votes of one voter hang together."""
    rng = np.random.default_rng(4)
    spreads, alarms = [], 0
    for _ in range(60):
        information = np.full((models, SLOTS + 1), 25.0)
        excess = rng.normal(0, np.sqrt(2 * information))
        earlier = np.zeros(models), np.full(models, 2_000.0)
        ratios = shift_ratios(excess, information, np.ones(SLOTS + 1, dtype=np.bool_), *earlier)
        spreads.append(float(ratios.spread.mean()))
        alarms += int(ratios.log_sum().max() >= math.log(120 * 2 * models))
    assert np.mean(spreads) >= 1.95
    assert alarms == 0


def test_sums_of_an_earlier_version_with_four_groups_of_networks_are_read_on() -> None:
    usual: Cells = {(network, m): (8, 4 + (i % 3 == 0)) for m in MODELS for i, network in enumerate(NETWORKS)}
    state, _ = observed([six_hours(i, USUAL, usual) for i in range(4)])
    earlier: dict[str, Any] = dict(state)
    for name in ("excess", "excess_now", "information", "information_now"):
        ages, groups = state[name][..., :3], state[name][..., 3:]
        four = groups.reshape(*groups.shape[:-1], 4, 4).sum(axis=-2, dtype=groups.dtype)
        earlier[name] = np.concatenate([ages, four], axis=-1)
    last = six_hours(4, USUAL, usual)
    context = WindowContext(RegistryState({}, {}, None))
    whole, _ = ModelShift().observe(last, state, context)
    after, _ = ModelShift().observe(last, earlier, context)
    for name, column in whole.items():
        assert (after[name].shape, after[name].dtype) == (column.shape, column.dtype), name
    for name in ("excess", "information"):
        assert np.array_equal(after[name][..., :3], whole[name][..., :3])
        four = (sums[name][..., 3:].reshape(len(MODELS), SLOTS, 4, 4).sum(axis=-2) for sums in (after, whole))
        assert np.array_equal(*four)
        assert (whole[name][..., 3:] != 0).any()
