"""The registry as of a time is a fold of its events."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.events.registry_events import (
    Deprecated,
    RegistryEvent,
    Released,
    Renamed,
    Retracted,
    SamplingPolicy,
    Submitted,
)
from pipeline.registry import PolicyInForce, Registry, RegistryState
from pipeline.vocabulary.time import to_microseconds

START = datetime(2024, 7, 1, tzinfo=UTC)


def day(number: float) -> int:
    return to_microseconds(START + timedelta(days=number))


def common(number: float) -> dict[str, object]:
    return {"schema": 1, "event_id": f"e{number}", "at": START + timedelta(days=number)}


def submitted(at: float, model: str, provider: str = "acme", visibility: str = "private") -> Submitted:
    return Submitted(**common(at), model=model, provider=provider, visibility=visibility, license="open")  # type: ignore[arg-type]


def policy(at: float, **weights: float) -> SamplingPolicy:
    return SamplingPolicy(**common(at), weights=weights)  # type: ignore[arg-type]


EVENTS: list[RegistryEvent] = [
    submitted(1, "tested"),
    submitted(2, "public", visibility="public"),
    policy(3, tested=1.0, public=3.0),
    Released(**common(4), model="tested", as_="public", variants_tested=7),  # type: ignore[arg-type]
    Renamed(**common(5), model="public", to="shiny"),  # type: ignore[arg-type]
    policy(6, shiny=2.0, other=1.0, public=1.0),
    Deprecated(**common(7), model="shiny", reason="old", notice_url="https://example.org/notice"),  # type: ignore[arg-type]
    submitted(7.5, "failed"),
    Retracted(**common(8), model="failed", reason="withdrawn"),  # type: ignore[arg-type]
]


def test_before_the_first_event_nothing_is_known() -> None:
    assert Registry(EVENTS).as_of(day(0.5)) == RegistryState()
    assert Registry().as_of(day(99)) == RegistryState()
    assert RegistryState().provider_of("nobody") is None
    assert RegistryState().last_release is None


def test_an_event_applies_from_its_own_microsecond_on() -> None:
    registry = Registry(EVENTS)
    assert "tested" not in registry.as_of(day(1) - 1).models
    assert registry.as_of(day(1)).models["tested"].submitted_at == day(1)
    assert registry.as_of(day(7) - 1).models["public"].deprecated_at is None


def test_the_end_of_a_model_s_life_as_a_fold_tells_it() -> None:
    state = Registry(EVENTS).as_of(day(10))
    tested, public = state.models["tested"], state.models["public"]
    assert (tested.released_at, tested.released_as, tested.variants_tested) == (day(4), "public", 7)
    assert (tested.retracted_at, tested.provider, tested.license) == (None, "acme", "open")
    assert state.models["failed"].retracted_at == day(8)
    assert (public.deprecated_at, public.notice_given, public.visibility) == (day(7), True, "public")
    assert state.last_release == day(4)


def test_votes_for_the_new_name_are_votes_for_the_model_from_the_renaming_on() -> None:
    registry = Registry(EVENTS)
    assert registry.as_of(day(5) - 1).first_name("shiny") == "shiny"
    assert registry.as_of(day(5)).first_name("shiny") == "public"
    assert registry.as_of(day(5)).provider_of("shiny") == "acme"
    # Weights of both names are the weight of one model.
    assert registry.as_of(day(6)).policy == PolicyInForce(day(6), {"public": 3.0, "other": 1.0})


def test_a_model_renamed_twice_keeps_its_first_name() -> None:
    twice = [*EVENTS[:5], Renamed(**common(5.5), model="shiny", to="shinier")]  # type: ignore[arg-type]
    assert Registry(twice).as_of(day(9)).first_name("shinier") == "public"


@pytest.mark.parametrize("order", list(permutations(range(4)))[::5])
def test_the_order_of_arrival_does_not_matter(order: tuple[int, ...]) -> None:
    shuffled = [EVENTS[i] for i in order] + EVENTS[4:]
    for at in (0, 3.5, 4, 6, 9):
        assert Registry(shuffled).as_of(day(at)) == Registry(EVENTS).as_of(day(at))


@given(st.lists(st.floats(0, 10), max_size=8))
def test_the_state_as_of_a_time_does_not_depend_on_earlier_calls(times: list[float]) -> None:
    registry = Registry(EVENTS)
    for at in times:
        upto = [event for event in EVENTS if to_microseconds(event.at) <= day(at)]
        assert registry.as_of(day(at)) == Registry(upto).as_of(day(10))


def test_a_change_of_policy_within_a_window_is_found() -> None:
    registry = Registry(EVENTS)
    assert not registry.has_policy_change(day(0), day(3))
    assert registry.has_policy_change(day(3), day(3) + 1)
    assert registry.has_policy_change(day(2.9), day(6.1))
    assert not registry.has_policy_change(day(3) + 1, day(6))


@given(st.lists(st.floats(0.01, 10), min_size=2, max_size=6), st.integers(0, 99))
def test_appearances_are_those_of_drawing_pairs(weights: list[float], zero: int) -> None:
    names = [f"m{i}" for i in range(len(weights))]
    given_weights = dict(zip(names, weights, strict=True)) | ({"silent": 0.0} if zero % 2 else {})
    pi = PolicyInForce(0, given_weights).appearance
    p = np.array(weights) / sum(weights)
    slow = np.zeros(len(weights))
    for i in range(len(weights)):
        for j in range(len(weights)):
            if i != j:
                slow[[i, j]] += p[i] * p[j] / (1 - p[i])
    assert [pi[name] for name in names] == pytest.approx(slow.tolist())
    assert sum(pi.values()) == pytest.approx(2)
    assert pi.get("silent", 0.0) == 0.0


@pytest.mark.parametrize("weights", [{}, {"a": 1.0}, {"a": 0.0, "b": 0.0}, {"a": 1.0, "b": 0.0}])
def test_a_policy_that_can_draw_no_battle_expects_nothing(weights: dict[str, float]) -> None:
    assert PolicyInForce(0, weights).appearance == {}


def released(at: float, model: str, as_: str | None = None) -> Released:
    return Released(**common(at), model=model, as_=as_)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "reason", "detail"),
    [
        (released(9, "nobody"), "unknown_variant", "got nobody"),
        (released(9, "failed", "ghost"), "unknown_variant", "got ghost"),
        (Retracted(**common(9), model="tested", reason="late"), "retracted_after_release", "got tested"),  # type: ignore[arg-type]
        (submitted(9, "tested", provider="other"), "two_owners", "tested of acme, got a submission by other"),
        (submitted(9, "shiny", provider="other"), "two_owners", "of acme"),
        (Renamed(**common(9), model="failed", to="public"), "name_taken", "a name of public"),  # type: ignore[arg-type]
        (Renamed(**common(9), model="failed", to="shiny"), "name_taken", "a name of public"),  # type: ignore[arg-type]
    ],
)
def test_a_contradiction_changes_nothing_and_is_listed_with_its_reason(
    event: RegistryEvent, reason: str, detail: str
) -> None:
    registry = Registry([*EVENTS, event])
    (found,) = registry.contradictions
    assert (found.event, found.reason) == (event, reason)
    assert detail in found.detail
    assert registry.as_of(day(10)) == Registry(EVENTS).as_of(day(10))


def test_events_without_a_contradiction_are_not_listed() -> None:
    again = [
        submitted(9, "tested"),
        Renamed(**common(9.5), model="public", to="shiny"),
        released(10, "tested", "public"),
    ]  # type: ignore[arg-type]
    assert Registry([*EVENTS, *again]).contradictions == ()
    assert Registry().contradictions == ()


def test_a_release_that_arrives_before_its_submission_is_no_contradiction() -> None:
    assert Registry([released(2, "early"), submitted(1, "early")]).contradictions == ()
    assert [c.reason for c in Registry([released(1, "early"), submitted(2, "early")]).contradictions] == [
        "unknown_variant"
    ]


def test_contradictions_do_not_depend_on_earlier_calls() -> None:
    events = [*EVENTS, released(3, "nobody"), submitted(9, "tested", provider="other")]
    asked = Registry(events)
    asked.as_of(day(5))
    assert asked.contradictions == Registry(events).contradictions
    assert [c.reason for c in asked.contradictions] == ["unknown_variant", "two_owners"]
    assert asked.contradictions == asked.contradictions
