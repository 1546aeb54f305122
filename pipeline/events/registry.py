"""Registry events: who made which variant, what became of it, how it is to be sampled.

The fold "state as of t" is `pipeline.registry`; here is only what one event looks like.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from pipeline.events.vote import SCHEMA, Name, Time

Weight = Annotated[float, msgspec.Meta(ge=0)]


class Event(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag_field="type"):
    """What every registry event has."""

    schema: int
    event_id: Name
    at: Time


class Submitted(Event, frozen=True, tag="model.submitted", kw_only=True):
    """A provider brings a model under test."""

    model: Name
    provider: Name
    visibility: Literal["private", "public"]
    license: Literal["open", "proprietary"]
    family: Name | None = None
    checkpoint_digest: Name | None = None


class Released(Event, frozen=True, tag="model.released", kw_only=True):
    """A model goes public; `as_` names the registered model that is now public."""

    model: Name
    as_: Name | None = msgspec.field(default=None, name="as")
    variants_tested: int | None = None
    checkpoint_digest: Name | None = None


class Renamed(Event, frozen=True, tag="model.renamed", kw_only=True):
    """Votes for `to` from `at` on are votes for `model`, whose first name stays the key."""

    model: Name
    to: Name
    reason: str | None = None
    notice_url: str | None = None


class Deprecated(Event, frozen=True, tag="model.deprecated", kw_only=True):
    """A model leaves the sampling."""

    model: Name
    reason: str
    notice_url: str | None = None


class Retracted(Event, frozen=True, tag="model.retracted", kw_only=True):
    """A model under test is withdrawn."""

    model: Name
    reason: str


class SamplingPolicy(Event, frozen=True, tag="sampling.policy", kw_only=True):
    """The first model of a battle is drawn in proportion to weight, the second likewise among the others."""

    weights: dict[Name, Weight]


class BenchmarkClaim(Event, frozen=True, tag="benchmark.claim", kw_only=True):
    """A score that a provider states."""

    model: Name
    benchmark: Name
    score: float
    source: str
    n: int | None = None


class BenchmarkResult(Event, frozen=True, tag="benchmark.result", kw_only=True):
    """A score that somebody else measured; `arena_like` if its prompts are like a board's."""

    model: Name
    benchmark: Name
    score: float
    n: int
    evaluator: Name
    perturbed: bool | None = None
    paired_with: Name | None = None
    arena_like: bool | None = None


RegistryEvent = (
    Submitted | Released | Renamed | Deprecated | Retracted | SamplingPolicy | BenchmarkClaim | BenchmarkResult
)

_decoder = msgspec.json.Decoder(RegistryEvent)


def decode(raw: bytes) -> RegistryEvent:
    """One registry event.

    Raises:
        msgspec.ValidationError: the field and what was expected of it, or another major schema.
        msgspec.DecodeError: not JSON.
    """
    event: RegistryEvent = _decoder.decode(raw)
    if event.schema != SCHEMA:
        raise msgspec.ValidationError(f"expected schema {SCHEMA}, got {event.schema}")
    return event
