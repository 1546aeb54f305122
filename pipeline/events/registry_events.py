"""Defines the registry events: submission, release and withdrawal of models, sampling policy, benchmark results.

The state as of a time is computed by `pipeline.registry`.
"""

from typing import Annotated, Literal, get_args

import msgspec

from pipeline.events.vote import SCHEMA, Name, Time

Weight = Annotated[float, msgspec.Meta(ge=0)]


class Event(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag_field="type"):
    """The base class of registry events, with the fields that every event has."""

    schema: int
    event_id: Name
    at: Time


class Submitted(Event, frozen=True, tag="model.submitted", kw_only=True):
    """A provider submits a model for testing."""

    model: Name
    provider: Name
    visibility: Literal["private", "public"]
    license: Literal["open", "proprietary"]
    family: Name | None = None
    checkpoint_digest: Name | None = None


class Released(Event, frozen=True, tag="model.released", kw_only=True):
    """A model is released to the public. `as_` names the public model, if that is another registered model."""

    model: Name
    as_: Name | None = msgspec.field(default=None, name="as")
    variants_tested: int | None = None
    checkpoint_digest: Name | None = None


class Renamed(Event, frozen=True, tag="model.renamed", kw_only=True):
    """A model gets a new name, `to`. From the time `at` on, votes on `to` count for `model`.

    The store and the boards go on using the model's first name as its key.
    """

    model: Name
    to: Name
    reason: str | None = None
    notice_url: str | None = None


class Deprecated(Event, frozen=True, tag="model.deprecated", kw_only=True):
    """A model is no longer sampled."""

    model: Name
    reason: str
    notice_url: str | None = None


class Retracted(Event, frozen=True, tag="model.retracted", kw_only=True):
    """A model is withdrawn before its release."""

    model: Name
    reason: str


class SamplingPolicy(Event, frozen=True, tag="sampling.policy", kw_only=True):
    """A sampling policy: a weight for each model.

    The first model of a battle is drawn in proportion to weight, the second in the same way among the other models.
    """

    weights: dict[Name, Weight]


class BenchmarkClaim(Event, frozen=True, tag="benchmark.claim", kw_only=True):
    """A benchmark score that a provider claims."""

    model: Name
    benchmark: Name
    score: float
    source: str
    n: int | None = None


class BenchmarkResult(Event, frozen=True, tag="benchmark.result", kw_only=True):
    """A benchmark score measured by a third party. `arena_like` means that the prompts resemble the board's prompts."""

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

REGISTRY_FIELDS = frozenset({"type"}.union(*(kind.__struct_encode_fields__ for kind in get_args(RegistryEvent))))
"""The keys that registry events may have. Other keys of an event are ignored."""

_decoder = msgspec.json.Decoder(RegistryEvent)


def decode_event(raw: bytes) -> RegistryEvent:
    """Decode one registry event.

    Raises:
        msgspec.ValidationError: a field is wrong, or the schema has another major version. The message names the field.
        msgspec.DecodeError: the bytes are not JSON.
    """
    event: RegistryEvent = _decoder.decode(raw)
    if event.schema != SCHEMA:
        raise msgspec.ValidationError(f"expected schema {SCHEMA}, got {event.schema}")
    return event
