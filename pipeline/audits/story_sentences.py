"""Defines the sentences about private variants, claims and removals, and the data from which they are written.

Each sentence states one figure, the time that it is about, and the registry events and snapshots from which a reader
can count the figure again. The sentences cover the whole registry, so that what ended long ago is still stated.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pipeline.audits.claims import ClaimCheck
from pipeline.audits.finding import Finding
from pipeline.audits.model_releases import ModelRelease
from pipeline.audits.sampling_pauses import SamplingPause
from pipeline.audits.variants import release_times
from pipeline.events.registry_events import RegistryEvent
from pipeline.registry import RegistryState
from pipeline.vocabulary.time import format_rfc3339, to_microseconds

# Names in one sentence; more are only counted.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class StorySentence:
    """A sentence with its figure and its proof.

    Attributes:
        text: the sentence, which contains the figure.
        figure: the figure.
        unit: what the figure counts or measures.
        since, until: start and end of the period that the sentence is about, in microseconds since 1970 UTC; equal for
            a single time. None if the sentence is about no registry event.
        provider: the provider that the sentence is about; None for the whole board.
        model: the model that the sentence is about; None for several models.
        events: ids of the registry events from which the figure follows.
        snapshots: sequence numbers of the snapshots from which the figure follows.
        p_value: p-value of the test that the sentence reports; None for a count.
        finding: audit, subject and direction of the finding that the sentence reports. The alert of the finding has the
            same audit, subject and direction. None if the sentence reports several findings or none.
    """

    text: str
    figure: float
    unit: str
    since: int | None = None
    until: int | None = None
    provider: str | None = None
    model: str | None = None
    events: tuple[str, ...] = ()
    snapshots: tuple[int, ...] = ()
    p_value: float | None = None
    finding: tuple[str, str, str] | None = None


@dataclass(frozen=True, slots=True)
class StoryCheck:
    """One question about the board, with the sentences that answer it.

    Attributes:
        check: short name of the check.
        question: the question.
        examined: number of things that were examined.
        unit: what was examined.
        sentences: what was found; empty if nothing was found.
    """

    check: str
    question: str
    examined: int
    unit: str
    sentences: tuple[StorySentence, ...]


@dataclass(frozen=True)
class StoryInput:
    """The data from which the sentences about providers and models are written.

    Attributes:
        events: all registry events.
        state: the registry after these events.
        releases: all releases. A release has scores if its variant is rated.
        claims: claimed scores with the measured scores.
        findings: the findings of the audits about providers and models.
        removals: model → how it was removed, for each model that was removed without a public notice.
        scored: number of models that any published snapshot rated.
        snapshot: sequence number of the newest snapshot.
        ratings: model → rating in the defended view of the newest snapshot.
        pauses: model → the period in which voters were not shown it before any notice, for models that are not in
            `removals`.
    """

    events: Sequence[RegistryEvent]
    state: RegistryState
    releases: Sequence[ModelRelease]
    claims: Sequence[ClaimCheck]
    findings: Sequence[Finding]
    removals: Mapping[str, str]
    scored: int
    snapshot: int
    ratings: Mapping[str, float] = field(default_factory=dict)
    pauses: Mapping[str, SamplingPause] = field(default_factory=dict)

    @cached_property
    def _by_model(self) -> dict[tuple[type, str], list[RegistryEvent]]:
        found: dict[tuple[type, str], list[RegistryEvent]] = {}
        for event in self.events:
            model = getattr(event, "model", None)
            if model is not None:
                found.setdefault((type(event), self.state.first_name(model)), []).append(event)
        return found

    @cached_property
    def public(self) -> frozenset[str]:
        """The models that are public or were released, each by the first name that the registry has for it."""
        released = release_times(self.state)
        return frozenset(n for n, one in self.state.models.items() if one.visibility != "private" or n in released)

    @cached_property
    def time_of(self) -> Mapping[str, int]:
        """Id of a registry event → the time at which it takes effect, in microseconds since 1970 UTC."""
        return {event.event_id: to_microseconds(event.at) for event in self.events}

    def is_private(self, model: str) -> bool:
        """Return whether the registry has this model as a private variant that was never released."""
        return model in self.state.models and model not in self.public

    def events_of(self, models: Iterable[str], *kinds: type) -> list[RegistryEvent]:
        """Return the events of these kinds about these models, oldest first."""
        found = [one for model in models for kind in kinds for one in self._by_model.get((kind, model), ())]
        return sorted(found, key=lambda one: (one.at, one.event_id))

    def findings_of(self, *audits: str) -> Iterator[Finding]:
        """Yield the findings of these audits."""
        return (one for one in self.findings if one.audit in audits)


def ids_of(events: Iterable[RegistryEvent]) -> tuple[str, ...]:
    """Return the ids of events."""
    return tuple(one.event_id for one in events)


def period_of(events: Sequence[RegistryEvent]) -> tuple[int | None, int | None]:
    """Return the times of the first and the last of these events; None for both without events."""
    times = [to_microseconds(one.at) for one in events]
    return (min(times), max(times)) if times else (None, None)


def day(at: int | None) -> str:
    """Return the day of a time for a sentence.

    >>> day(1_775_552_400_000_000), day(None)
    ('2026-04-07 UTC', 'an unknown day')
    """
    return "an unknown day" if at is None else f"{format_rfc3339(at)[:10]} UTC"


def between(since: int | None, until: int | None) -> str:
    """Return the days of a period for a sentence.

    >>> between(1_775_552_400_000_000, 1_775_552_400_000_000), between(1_775_552_400_000_000, 1_775_652_400_000_000)
    ('on 2026-04-07 UTC', 'between 2026-04-07 and 2026-04-08 UTC')
    """
    first, last = day(since), day(until)
    return f"on {first}" if first == last else f"between {first.removesuffix(' UTC')} and {last}"


def many(number: int, one: str, more: str = "") -> str:
    """Return a number with its noun.

    >>> many(1, "model"), many(1234, "model"), many(2, "entry", "entries")
    ('1 model', '1,234 models', '2 entries')
    """
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def named(models: Sequence[str]) -> str:
    """Return names for a sentence; names after the fifth are only counted.

    >>> named(["a", "b"]), named(list("abcdefg"))
    ('a, b', 'a, b, c, d, e and 2 more')
    """
    more = f" and {len(models) - _NAMED} more" if len(models) > _NAMED else ""
    return ", ".join(models[:_NAMED]) + more
