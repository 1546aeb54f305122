"""The sentences about withdrawn scores and removals, for registries in which more happens than one deprecation."""

from __future__ import annotations

import json
from typing import Any

from pipeline.audits import retraction
from pipeline.audits.removal_story import silent_removals, withdrawn_scores
from pipeline.audits.story_sentences import StoryCheck, StoryInput
from pipeline.events.registry_events import RegistryEvent, decode_event
from pipeline.registry import Registry
from pipeline.vocabulary.time import DAY, to_microseconds


def event(day: int, kind: str, model: str, **more: Any) -> RegistryEvent:
    at = f"2026-{1 + day // 28:02}-{1 + day % 28:02}T00:00:00Z"
    fields = {"schema": 1, "event_id": f"{kind} {model} {day}", "at": at, "type": f"model.{kind}", "model": model}
    return decode_event(json.dumps(fields | more).encode())


def submitted(model: str, provider: str, visibility: str = "public") -> RegistryEvent:
    return event(0, "submitted", model, provider=provider, visibility=visibility, license="open")


def story_input(*events: RegistryEvent) -> StoryInput:
    """Every model was rated on the day after its submission."""
    end = max(to_microseconds(one.at) for one in events)
    state = Registry(events).as_of(end)
    rated = {name: (one.submitted_at or 0) + DAY for name, one in state.models.items()}
    found = retraction.withdrawn_scores(events, rated, rated)
    removed = retraction.unannounced_removals(state, rated, {}, 10, 52)
    return StoryInput(events, state, (), (), found, removed, len(rated), 1)


def texts(check: StoryCheck) -> list[str]:
    return [one.text for one in check.sentences]


def test_a_private_variant_that_was_only_renamed_is_not_withdrawn() -> None:
    given = story_input(submitted("v", "Acme", "private"), event(5, "renamed", "v", to="w"))
    assert [one.direction for one in given.findings] == ["renamed in silence"]
    assert texts(withdrawn_scores(given)) == []


def test_a_public_model_that_was_retracted_has_a_registry_event() -> None:
    given = story_input(submitted("a", "Acme"), submitted("b", "Acme"), event(5, "retracted", "a", reason="over"))
    assert texts(silent_removals(given)) == [
        "Of 2 public models, 1 was removed: 0 with a public notice, 1 in silence.",
        "1 of the 2 public models of Acme was removed in silence on 2026-01-06 UTC: a.",
    ]


def test_a_model_that_was_deprecated_with_a_notice_and_retracted_is_removed_once() -> None:
    notice = {"reason": "old", "notice_url": "https://e.org/n"}
    given = story_input(
        submitted("a", "Acme"), event(5, "deprecated", "a", **notice), event(6, "retracted", "a", reason="over")
    )
    assert texts(silent_removals(given))[0] == (
        "Of 1 public model, 1 was removed: 0 with a public notice, 1 in silence."
    )
