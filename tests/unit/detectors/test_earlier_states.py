"""Window detectors read on from states that an earlier version stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.detectors import SamplingSkew, VoteBurst
from pipeline.evidence.keyed_state import KEY
from pipeline.lab.simulate.simulated_board import SimulatedBoard, WindowEffect
from pipeline.scoring.signals import AlertSignal, ClearedSignal

BOARD = SimulatedBoard(days=0.2, votes=200, seed=4, models=12, providers=4)


@pytest.mark.parametrize("stored", ["no column", "zeros"])
def test_sampling_skew_has_its_lower_bounds_again_within_the_policy(stored: str) -> None:
    windows = [(window, BOARD.context(i)) for i, window in enumerate(BOARD.windows())]
    state: Any = {}
    for window, context in windows[:-1]:
        state, _ = SamplingSkew().observe(window, state, context)
    whole, signals = SamplingSkew().observe(*windows[-1][:1], state, windows[-1][1])
    earlier = {name: column for name, column in state.items() if name != "other"}
    if stored == "zeros":
        earlier["other"] = np.zeros_like(state["other"])
    after, found = SamplingSkew().observe(*windows[-1][:1], earlier, windows[-1][1])
    assert (whole["other"][whole["theta"] > 0] > 0).all()
    assert after.keys() == whole.keys()
    for name, column in whole.items():
        assert np.array_equal(after[name], column), name
    assert found == signals


@pytest.mark.parametrize("stored", ["no column", "zeros"])
def test_sampling_skew_closes_a_policy_of_an_earlier_version(stored: str) -> None:
    # A model that is drawn too rarely: evidence by the lower bound, which the shares by the other rule limit.
    rare = replace(BOARD, effects=[WindowEffect(first=0, end=58, sampling={"m003": 0.7})])
    windows = [(window, rare.context(i)) for i, window in enumerate(rare.windows())]
    state: Any = {}
    for window, context in windows[:-1]:
        state, _ = SamplingSkew().observe(window, state, context)
    # Within one provider's pairs and others alike: as an earlier version counted, by the declared shares alone.
    alike = {**state, "other": state["theta"]}
    earlier = {name: column for name, column in state.items() if name != "other"}
    if stored == "zeros":
        earlier["other"] = np.zeros_like(state["other"])
    window, context = windows[-1]
    assert context.registry.policy is not None
    changed = replace(context.registry, policy=replace(context.registry.policy, since=window.start))
    after, _ = SamplingSkew().observe(window, earlier, replace(context, registry=changed))
    whole, _ = SamplingSkew().observe(window, alike, replace(context, registry=changed))
    assert (after["other"][after["theta"] > 0] > 0).all()
    assert np.array_equal(after["closed"], whole["closed"])
    assert whole["closed"].any()


def test_vote_burst_ends_alerts_about_networks_whose_votes_it_forgets() -> None:
    state: Any = {}
    windows = list(BOARD.windows())
    for number, window in enumerate(windows[:-1]):
        state, _ = VoteBurst().observe(window, state, BOARD.context(number))
    networks = np.flatnonzero(state["kind"] == 2)
    assert len(networks) > 3
    names = {str(state[KEY][row]).partition(":")[2] for row in networks[:2].tolist()}
    level = state["level"].copy()
    level[networks[:2]] = 1
    earlier = {name: column for name, column in state.items() if name != "sittings"} | {"level": level}
    after, signals = VoteBurst().observe(windows[-1], earlier, BOARD.context(len(windows) - 1))
    ended = [one for one in signals if isinstance(one, ClearedSignal)]
    assert {one.subject for one in ended} == names
    assert {(one.detector, one.direction, one.at) for one in ended} == {
        ("vote_burst", "more than its share", windows[-1].start)
    }
    assert not [one for one in signals if isinstance(one, AlertSignal)]
    _, later = VoteBurst().observe(windows[-1], after, BOARD.context(len(windows) - 1))
    assert not later
