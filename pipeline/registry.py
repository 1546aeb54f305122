"""The registry as of a time: a pure fold of its events.

Laws: the same events in any order of arrival give the same state, but for events of one microsecond, where the
one that came first goes first; an event changes nothing before its `at`; the first name of a model stays its key;
an event that contradicts the state before it changes nothing, and is listed with the reason.

Contradictions (`REASONS`): the release of a variant that nobody submitted, or as a model that nobody submitted; a
retraction after the release; a model submitted by a second owner; a new name that is another model's. Because events
are judged in the order of their own time, one that arrives before the event that it rests on is no contradiction.

Not handled: what is claimed about a model (`benchmark.*`): the audits read those events themselves.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

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
    """What is known of a model. Times are microseconds since 1970 UTC, None before it happened.

    Attributes:
        name: its first name, the key.
        provider, family, visibility, license, checkpoint_digest: as submitted; None where no submission was seen.
        submitted_at: when it came under test.
        released_at: when it went public.
        released_as: the registered model that is now public, if that is another one.
        released_digest: of the checkpoint that went public, as the release says.
        variants_tested: the disclosed number of variants.
        deprecated_at: when it left the sampling.
        retracted_at: when it was withdrawn.
        noticed: whether a public notice was given of its deprecation.
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
    noticed: bool = False


@dataclass(frozen=True)
class PolicyInForce:
    """How models are drawn: the first in proportion to weight, the second likewise among the others.

    Attributes:
        since: in force from here on, microseconds since 1970 UTC.
        weights: by the model's key, none negative.
    """

    since: int
    weights: Mapping[str, float]

    @cached_property
    def appearance(self) -> Mapping[str, float]:
        """π of each model: the probability that a battle holds it. Their sum is 2.

        With p = w/W and S = Σ p/(1−p): π = p(1 + S − p/(1−p)). Empty where fewer than two models have weight:
        no battle can be drawn by such a policy.
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
    """The registry as of a time.

    Attributes:
        models: by key.
        aliases: a later name → the key.
        policy: in force, None before the first.
    """

    models: Mapping[str, RegisteredModel] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    policy: PolicyInForce | None = None

    def key(self, name: str) -> str:
        """The model that votes for a name are votes for."""
        return self.aliases.get(name, name)

    def provider(self, name: str) -> str | None:
        """Who made a model, None where nobody said."""
        model = self.models.get(self.key(name))
        return model.provider if model else None

    @property
    def last_release(self) -> int | None:
        """When a model last went public."""
        return max((m.released_at for m in self.models.values() if m.released_at is not None), default=None)


REASONS = ("unknown_variant", "retracted_after_release", "two_owners", "name_taken")


@dataclass(frozen=True, slots=True)
class Contradiction:
    """An event that changed nothing because it contradicts what was known before it.

    Attributes:
        event: as it came.
        reason: one of REASONS.
        detail: a sentence with what was expected and what was found.
    """

    event: RegistryEvent
    reason: str
    detail: str


class Registry:
    """Events, and the state that they give as of any time."""

    def __init__(self, events: Iterable[RegistryEvent] = ()) -> None:
        """Sort the events by time; of one moment the one given first goes first."""
        self._events = sorted(events, key=lambda event: event.at)
        self._times = [to_microseconds(event.at) for event in self._events]
        self._states: list[RegistryState] = [RegistryState()]
        self._rejected: list[Contradiction] = []

    def as_of(self, time: int) -> RegistryState:
        """The state that every event up to and including a time gives."""
        count = bisect_right(self._times, time)
        while len(self._states) <= count:
            done = len(self._states) - 1
            before, event = self._states[-1], self._events[done]
            wrong = contradiction(before, event)
            if wrong:
                self._rejected.append(wrong)
            self._states.append(before if wrong else _after(before, event, self._times[done]))
        return self._states[count]

    @property
    def rejected(self) -> tuple[Contradiction, ...]:
        """Every event that contradicts what was known before it, in the order of time."""
        if self._times:
            self.as_of(self._times[-1])
        return tuple(self._rejected)

    def policy_changes(self, start: int, end: int) -> bool:
        """Whether another policy comes into force within [start, end)."""
        first, last = (bisect_right(self._times, time - 1) for time in (start, end))
        return any(isinstance(event, SamplingPolicy) for event in self._events[first:last])


def contradiction(state: RegistryState, event: RegistryEvent) -> Contradiction | None:
    """Why an event cannot follow on a state; None if it can."""
    match event:
        case Submitted():
            owner = state.provider(event.model)
            if owner is not None and owner != event.provider:
                detail = f"expected {event.model} of {owner}, got a submission by {event.provider}"
                return Contradiction(event, "two_owners", detail)
        case Released():
            for name in filter(None, (event.model, event.as_)):
                model = state.models.get(state.key(name))
                if model is None or model.submitted_at is None:
                    detail = f"expected the release of a submitted model, got {name}"
                    return Contradiction(event, "unknown_variant", detail)
        case Renamed():
            taken = state.key(event.to)
            if taken != state.key(event.model) and (taken in state.models or event.to in state.aliases):
                detail = f"expected a new name for {event.model}, got {event.to}, a name of {taken}"
                return Contradiction(event, "name_taken", detail)
        case Retracted():
            model = state.models.get(state.key(event.model))
            if model is not None and model.released_at is not None:
                detail = f"expected a model under test, got {event.model}, which is released"
                return Contradiction(event, "retracted_after_release", detail)
    return None


def _after(state: RegistryState, event: RegistryEvent, at: int) -> RegistryState:
    match event:
        case Submitted():
            said = ("provider", "family", "visibility", "license", "checkpoint_digest")
            state = _changed(state, event.model, submitted_at=at, **{name: getattr(event, name) for name in said})
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
            state = replace(state, aliases={**state.aliases, event.to: state.key(event.model)})
        case Deprecated():
            state = _changed(state, event.model, deprecated_at=at, noticed=event.notice_url is not None)
        case Retracted():
            state = _changed(state, event.model, retracted_at=at)
        case SamplingPolicy():
            weights: dict[str, float] = {}
            for name, weight in event.weights.items():
                weights[state.key(name)] = weights.get(state.key(name), 0.0) + weight
            state = replace(state, policy=PolicyInForce(at, weights))
    return state


def _changed(state: RegistryState, name: str, **changes: object) -> RegistryState:
    key = state.key(name)
    model = replace(state.models.get(key, RegisteredModel(key)), **changes)  # type: ignore[arg-type]  # field names, above
    return replace(state, models={**state.models, key: model})
