"""`model_shift`: the reading by kinds of voters, models that are no longer offered, and the slow loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.detectors import ModelShift
from pipeline.detectors.window.model_shift_reading import read_strata
from pipeline.lab.simulate.simulated_board import SimulatedBoard, WindowEffect
from pipeline.scoring.signals import AlertSignal, ClearedSignal
from tests.unit.detectors import slow_model_shift as slow
from tests.unit.detectors.test_slow_windows import board_stream, check

BEFORE = (0.0, 200.0)


def reading(
    *shifts: float, votes: tuple[float, ...] = (20, 100, 40, 30, 40, 35, 35), before: tuple[float, float] = BEFORE
):
    information = np.array(votes)
    return read_strata(np.array(shifts) * information, information, before, 1.1)


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
