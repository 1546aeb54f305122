"""Computes what the registry states as of a given time. The input is the list of its events.

The registry says who made which model, and when the model was submitted for testing, released, renamed, deprecated or
retracted. Events are applied in the order of `at`. Events with the same microsecond are applied in the order of
arrival. The first name of a model stays its key. An event that contradicts the state before it is not applied, and is
listed with the reason.

Contradictions: a release whose model, or whose public model (`as`), was never submitted; a retraction after the
release; a submission of a model that another provider owns; a new name that another model has. An event that depends on
an earlier event may arrive before the earlier event.

Not handled: claims about models (`benchmark.*`); the audits read those events.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from pipeline.events.registry_events import (
    Deprecated,
    RegistryEvent,
    Released,
    Renamed,
    Retracted,
    SamplingPolicy,
    Submitted,
)
from pipeline.vocabulary.time import to_microseconds


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A model of the registry. Times are microseconds since 1970 UTC, None for what has not happened.

    Attributes:
        name: the first name of the model, which identifies it.
        provider, family, visibility, license, checkpoint_digest: as submitted; None without a submission.
        submitted_at: when the model was submitted, which is when its test began.
        released_at: when the model was released to the public.
        released_as: name of the public model, if the model under test was released as another registered model.
        released_digest: digest of the released checkpoint, as the release states it.
        variants_tested: number of variants that the provider says it tested before the release; None if not stated.
        deprecated_at: when the model was deprecated, so that it is no longer sampled.
        retracted_at: when the model was withdrawn before its release.
        notice_given: whether the deprecation has a public notice.
    """

    name: str
    provider: str | None = None
    family: str | None = None
    visibility: str | None = None
    license: str | None = None
    checkpoint_digest: str | None = None
    submitted_at: int | None = None
    released_at: int | None = None
    released_as: str | None = None
    released_digest: str | None = None
    variants_tested: int | None = None
    deprecated_at: int | None = None
    retracted_at: int | None = None
    notice_given: bool = False


@dataclass(frozen=True)
class PolicyInForce:
    """A sampling policy: weights for drawing the two models of a battle.

    The first model is drawn with a probability in proportion to its weight, the second in the same way among the other
    models.

    Attributes:
        since: start of the policy, microseconds since 1970 UTC.
        weights: model → weight, at least 0. A renamed model has its first name here.
    """

    since: int
    weights: Mapping[str, float]

    @cached_property
    def appearance(self) -> Mapping[str, float]:
        """The probability π that a battle includes a model, for each model; the probabilities sum to 2.

        The key of a renamed model is its first name.

        A model of weight w has π = p(1 + S − p/(1−p)), where p = w/W, W is the sum of all weights, and S = Σ p/(1−p)
        over all models. The mapping is empty if fewer than two models have a weight above 0: no battle can be drawn.
        """
        drawn = {model: weight for model, weight in self.weights.items() if weight > 0}
        if len(drawn) < 2:
            return {}
        total = sum(drawn.values())
        odds = {model: weight / (total - weight) for model, weight in drawn.items()}
        whole = sum(odds.values())
        return {model: weight / total * (1 + whole - odds[model]) for model, weight in drawn.items()} | {
            model: 0.0 for model, weight in self.weights.items() if weight == 0
        }


@dataclass(frozen=True, slots=True)
class RegistryState:
    """The state of the registry as of a time.

    Attributes:
        models: first name → model.
        aliases: a later name → the first name.
        policy: the sampling policy in force, None before the first policy.
    """

    models: Mapping[str, RegisteredModel] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    policy: PolicyInForce | None = None

    def first_name(self, name: str) -> str:
        """Return the first name of the model that has this name; an unknown name is returned unchanged."""
        return self.aliases.get(name, name)

    def provider_of(self, name: str) -> str | None:
        """Return the provider of a model, given any of its names; None if the model or its provider is unknown."""
        model = self.models.get(self.first_name(name))
        return model.provider if model else None

    @property
    def last_release(self) -> int | None:
        """Return the time of the newest release, microseconds since 1970 UTC; None before the first release."""
        return max((m.released_at for m in self.models.values() if m.released_at is not None), default=None)


ContradictionReason = Literal["unknown_variant", "retracted_after_release", "two_owners", "name_taken"]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """An event that was not applied, because it contradicts the state before it.

    Attributes:
        event: the event.
        reason: the kind of contradiction.
        detail: a sentence with what was expected and what was found.
    """

    event: RegistryEvent
    reason: ContradictionReason
    detail: str


class Registry:
    """The events of a registry, sorted by time, from which the state as of any time is computed.

    States are computed when they are first asked for, and kept.
    """

    def __init__(self, events: Iterable[RegistryEvent] = ()) -> None:
        """Sort the events by time. Events of the same time keep their order."""
        self._events = sorted(events, key=lambda event: event.at)
        self._times = [to_microseconds(event.at) for event in self._events]
        self._states: list[RegistryState] = [RegistryState()]
        self._contradictions: list[Contradiction] = []

    def as_of(self, time: int) -> RegistryState:
        """Return the state after all events up to and including a time, in microseconds since 1970 UTC."""
        count = bisect_right(self._times, time)
        while len(self._states) <= count:
            done = len(self._states) - 1
            before, event = self._states[-1], self._events[done]
            wrong = find_contradiction(before, event)
            if wrong:
                self._contradictions.append(wrong)
            self._states.append(before if wrong else _after(before, event, self._times[done]))
        return self._states[count]

    @property
    def contradictions(self) -> tuple[Contradiction, ...]:
        """Return the events that were not applied, because they contradict the state before them, in order of time."""
        if self._times:
            self.as_of(self._times[-1])
        return tuple(self._contradictions)

    def has_policy_change(self, start: int, end: int) -> bool:
        """Return whether a sampling policy begins within [start, end), both in microseconds since 1970 UTC."""
        first, last = (bisect_right(self._times, time - 1) for time in (start, end))
        return any(isinstance(event, SamplingPolicy) for event in self._events[first:last])


def find_contradiction(state: RegistryState, event: RegistryEvent) -> Contradiction | None:
    """Return how a registry event contradicts the state; None for an event without a contradiction.

    Deprecations and policies are not checked.
    """
    match event:
        case Submitted():
            owner = state.provider_of(event.model)
            if owner is not None and owner != event.provider:
                detail = f"expected {event.model} of {owner}, got a submission by {event.provider}"
                return Contradiction(event, "two_owners", detail)
        case Released():
            for name in filter(None, (event.model, event.as_)):
                model = state.models.get(state.first_name(name))
                if model is None or model.submitted_at is None:
                    detail = f"expected the release of a submitted model, got {name}"
                    return Contradiction(event, "unknown_variant", detail)
        case Renamed():
            taken = state.first_name(event.to)
            if taken != state.first_name(event.model) and (taken in state.models or event.to in state.aliases):
                detail = f"expected a new name for {event.model}, got {event.to}, a name of {taken}"
                return Contradiction(event, "name_taken", detail)
        case Retracted():
            model = state.models.get(state.first_name(event.model))
            if model is not None and model.released_at is not None:
                detail = f"expected a model under test, got {event.model}, which is released"
                return Contradiction(event, "retracted_after_release", detail)
    return None


def _after(state: RegistryState, event: RegistryEvent, at: int) -> RegistryState:
    match event:
        case Submitted():
            fields = ("provider", "family", "visibility", "license", "checkpoint_digest")
            state = _changed(state, event.model, submitted_at=at, **{name: getattr(event, name) for name in fields})
        case Released():
            state = _changed(
                state,
                event.model,
                released_at=at,
                released_as=event.as_,
                released_digest=event.checkpoint_digest,
                variants_tested=event.variants_tested,
            )
        case Renamed():
            state = replace(state, aliases={**state.aliases, event.to: state.first_name(event.model)})
        case Deprecated():
            state = _changed(state, event.model, deprecated_at=at, notice_given=event.notice_url is not None)
        case Retracted():
            state = _changed(state, event.model, retracted_at=at)
        case SamplingPolicy():
            weights: dict[str, float] = {}
            for name, weight in event.weights.items():
                weights[state.first_name(name)] = weights.get(state.first_name(name), 0.0) + weight
            state = replace(state, policy=PolicyInForce(at, weights))
    return state


def _changed(state: RegistryState, name: str, **changes: object) -> RegistryState:
    key = state.first_name(name)
    model = replace(state.models.get(key, RegisteredModel(key)), **changes)  # type: ignore[arg-type]  # field names, above
    return replace(state, models={**state.models, key: model})
