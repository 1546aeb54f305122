"""Runs the audit `score_retraction`: finds published scores that were withdrawn.

Every finding states an observed fact, without a p-value:

- A model was retracted after it was scored.
- A model was deprecated or renamed after it was scored, without a public notice.
- A private variant was tested, and retracted or deprecated before any release: its score was never published. Its
  deprecation is no finding if it has a public notice.
- A vote count of the raw view fell between two snapshots of a board.

Source: Singh et al. 2025, "The Leaderboard Illusion", section 3 (private scores withdrawn) and section 5 (205 models
silently deprecated, 47 listed as deprecated).

Blind spot: a vote count also falls if votes are removed for a published reason.
"""

from collections.abc import Mapping, Sequence

from pipeline.audits.finding import Finding
from pipeline.audits.variants import release_times
from pipeline.events.registry_events import Deprecated, RegistryEvent, Renamed, Retracted
from pipeline.registry import RegisteredModel, Registry, RegistryState
from pipeline.vocabulary.time import format_rfc3339, to_microseconds

AUDIT = "score_retraction"


def withdrawn_scores(
    events: Sequence[RegistryEvent], scored_at: Mapping[str, int], tested_at: Mapping[str, int] | None = None
) -> tuple[Finding, ...]:
    """Return the findings about scores that registry events withdrew.

    There are three kinds of findings: a model was retracted after it was scored; a model was deprecated or renamed
    after it was scored, without a public notice; a private variant was withdrawn after it was tested.

    Args:
        events: all events of the registry.
        scored_at: model → time of its first public rating, in microseconds since 1970 UTC.
        tested_at: model → time of its first vote, in the same unit. A private variant with a vote has a score,
            published or not. None leaves out the findings about private variants.
    """
    registry, tested = Registry(events), tested_at or {}
    # Also later releases: the score of a variant that was released in the end is published.
    released = release_times(registry.as_of(max((to_microseconds(event.at) for event in events), default=0)))
    findings: list[Finding] = []
    for event in sorted(events, key=lambda e: e.at):
        if not isinstance(event, Retracted | Deprecated | Renamed):
            continue
        at = to_microseconds(event.at)
        state = registry.as_of(at)
        key = state.first_name(event.model)
        if scored_at.get(key, at + 1) <= at:
            finding = _withdrawal(event, key, scored_at[key])
        elif not isinstance(event, Renamed) and tested.get(key, at + 1) <= at and _is_private(state, key):
            finding = None if key in released else _unpublished(event, key, tested[key])
        else:
            finding = None
        findings += [finding] if finding else []
    return tuple(findings)


def _is_private(state: RegistryState, name: str) -> bool:
    model = state.models.get(name)
    return model is not None and model.visibility == "private"


def _unpublished(event: Retracted | Deprecated, key: str, tested: int) -> Finding | None:
    how = "retracted" if isinstance(event, Retracted) else "deprecated"
    if isinstance(event, Deprecated) and event.notice_url is not None:
        return None
    figures = {
        "event": event.event_id, "at": format_rfc3339(event.at), "tested_at": format_rfc3339(tested),
        "reason": event.reason,
    }  # fmt: skip
    what = f"the private variant {key} was tested and then {how}; its score was never published: {event.reason}"
    return Finding(AUDIT, "model", key, "private score withdrawn", "warning", what, None, figures)


def _withdrawal(event: Retracted | Deprecated | Renamed, key: str, scored: int) -> Finding | None:
    figures = {"event": event.event_id, "at": format_rfc3339(event.at), "scored_at": scored, "reason": event.reason}
    if isinstance(event, Retracted):
        what = f"{key} was scored and then retracted: {event.reason}"
        return Finding(AUDIT, "model", key, "retracted after it was scored", "critical", what, None, figures)
    if event.notice_url is not None:
        return None
    if isinstance(event, Renamed):
        what = f"{key} was scored and then renamed to {event.to} without a public notice"
        return Finding(AUDIT, "model", key, "renamed in silence", "warning", what, None, {**figures, "to": event.to})
    what = f"{key} was scored and then deprecated without a public notice"
    return Finding(AUDIT, "model", key, "deprecated in silence", "warning", what, None, figures)


def unannounced_removals(
    state: RegistryState, scored_at: Mapping[str, int], recent: Mapping[str, int], votes: float, days: float
) -> dict[str, str]:
    """Find the models that were removed without a public notice: by a registry event, or by no longer being sampled.

    Args:
        state: the registry as of now.
        scored_at: model → time of its first public rating, in microseconds since 1970 UTC.
        recent: model → number of its votes in the last `days` days; empty if the board is younger than `days` days.
        votes: a model with at most this many recent votes counts as removed (published rule: 10 votes in 52 days).
        days: length of the recent period in days.

    Returns:
        Model → description of the removal.
    """
    result = {}
    for name, model in sorted(state.models.items()):
        if model.retracted_at is not None and name in scored_at:
            result[name] = "retracted after it was scored"
        elif model.deprecated_at is not None and not model.notice_given:
            result[name] = "deprecated without a notice"
        elif _over(model):
            continue
        elif recent.get(name, votes + 1) <= votes:
            result[name] = f"{recent[name]} votes in {days:g} days and never deprecated"
    return result


def _over(model: RegisteredModel) -> bool:
    """Return whether the model was deprecated, retracted, or released as another model."""
    other = model.released_as not in (None, model.name)
    return model.deprecated_at is not None or model.retracted_at is not None or other


def fall_finding(model: str, earlier: str, later: str, before: int, after: int | None) -> Finding:
    """Return the finding about a vote count that fell between two snapshots, or a model that the later snapshot lacks.

    Args:
        model: name of the model.
        earlier: the earlier snapshot, as text for people.
        later: the later snapshot, as text for people.
        before: number of votes in the earlier snapshot.
        after: number of votes in the later snapshot; None if it lacks the model.
    """
    left = "is gone from" if after is None else f"{after:,} in"
    what = f"{model} had {before:,} votes in {earlier} and {left} {later}"
    figures = {"from": earlier, "to": later, "before": before, "after": after}
    direction = "name gone" if after is None else "votes fell"
    return Finding(AUDIT, "model", model, direction, "warning", what, None, figures)
