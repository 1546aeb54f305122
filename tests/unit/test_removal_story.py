"""The sentences about withdrawn scores and removals, for registries in which more happens than one deprecation."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from pipeline.audits import retraction
from pipeline.audits.removal_story import silent_removals, withdrawn_scores
from pipeline.audits.sampling_pauses import SamplingPause
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


def test_a_pause_in_sampling_is_a_sentence_although_it_is_over() -> None:
    pauses = {
        "a": SamplingPause("a", "2026-03-02", "2026-05-20", 80, 0, shown_again=True),
        "b": SamplingPause("b", "2026-03-01", "2026-05-20", 81, 1, shown_again=False),
    }
    notice = {"reason": "old", "notice_url": "https://e.org/n"}
    before = story_input(submitted("a", "Acme"), submitted("b", "Acme"), event(55, "deprecated", "b", **notice))
    later, earlier = silent_removals(replace(before, pauses=pauses)).sentences[::-1]
    assert (later.text, later.figure, later.unit) == (
        "Voters were not shown a of Acme from 2026-03-02 to 2026-05-20 UTC, without a notice: it had no vote in 80 days"
        " on which others had votes, then they were shown it again.",
        80,
        "days",
    )
    assert earlier.text == (
        "Voters were not shown b of Acme from 2026-03-01 to 2026-05-20 UTC, without a notice: it had 1 vote in 81 days "
        "on which others had votes, only then was its removal announced."
    )
    assert earlier.events == ("deprecated b 55",)
