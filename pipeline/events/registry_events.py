"""Defines the registry events: submission, release and withdrawal of models, sampling policy, benchmark results.

From these events, `pipeline.registry` computes the state of the registry at any time.
"""

from typing import Annotated, Literal, get_args

import msgspec

from pipeline.events.vote import SCHEMA, Name, Time

Weight = Annotated[float, msgspec.Meta(ge=0)]


class Event(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag_field="type"):
    """The base class of registry events.

    Attributes:
        schema: major version of the event's format, SCHEMA.
        event_id: unique name of the event. If an event with the same id is stored, an identical event is ignored and
            a different event is rejected.
        at: when the event takes effect, with an offset from UTC.
    """

    schema: int
    event_id: Name
    at: Time


class Submitted(Event, frozen=True, tag="model.submitted", kw_only=True):
    """A provider submits a model for testing.

    Attributes:
        model: name of the model.
        provider: name of the provider, who owns the model from now on.
        visibility: whether the model is tested in private or is public.
        license: whether the license of the model is open or proprietary.
        family: name of the model's family; None if not stated.
        checkpoint_digest: digest of the weights of the model; None if not stated.
    """

    model: Name
    provider: Name
    visibility: Literal["private", "public"]
    license: Literal["open", "proprietary"]
    family: Name | None = None
    checkpoint_digest: Name | None = None


class Released(Event, frozen=True, tag="model.released", kw_only=True):
    """A model is released to the public.

    Attributes:
        model: name of the model that was tested.
        as_: name of the public model, if that is another registered model; else None. In JSON the key is `as`.
        variants_tested: number of variants that the provider says it tested before the release; None if not stated.
        checkpoint_digest: digest of the released weights; None if not stated.
    """

    model: Name
    as_: Name | None = msgspec.field(default=None, name="as")
    variants_tested: int | None = None
    checkpoint_digest: Name | None = None


class Renamed(Event, frozen=True, tag="model.renamed", kw_only=True):
    """A model gets a new name. From the time `at` on, votes on the new name count for the model.

    The store and the boards go on using the model's first name as its key.

    Attributes:
        model: a name that the model has had so far.
        to: the new name.
        reason: why the model is renamed; None if not stated.
        notice_url: address of a public notice; None if there is none.
    """

    model: Name
    to: Name
    reason: str | None = None
    notice_url: str | None = None


class Deprecated(Event, frozen=True, tag="model.deprecated", kw_only=True):
    """A model is no longer sampled.

    Attributes:
        model: name of the model.
        reason: why the model is no longer sampled.
        notice_url: address of a public notice; None if there is none.
    """

    model: Name
    reason: str
    notice_url: str | None = None


class Retracted(Event, frozen=True, tag="model.retracted", kw_only=True):
    """A model is withdrawn before its release.

    Attributes:
        model: name of the model.
        reason: why the model is withdrawn.
    """

    model: Name
    reason: str


class SamplingPolicy(Event, frozen=True, tag="sampling.policy", kw_only=True):
    """A sampling policy, which says how the two models of a battle are drawn.

    The first model is drawn in proportion to weight, the second in the same way among the other models.

    Attributes:
        weights: name of a model → its weight. The policy is in force from `at` until the next policy.
    """

    weights: dict[Name, Weight]


class BenchmarkClaim(Event, frozen=True, tag="benchmark.claim", kw_only=True):
    """A benchmark score that a provider claims.

    Attributes:
        model: name of the model.
        benchmark: name of the benchmark.
        score: the claimed score.
        source: where the claim was published.
        n: number of questions in the benchmark; None if not stated.
    """

    model: Name
    benchmark: Name
    score: float
    source: str
    n: int | None = None


class BenchmarkResult(Event, frozen=True, tag="benchmark.result", kw_only=True):
    """A benchmark score measured by a third party.

    Attributes:
        model: name of the model.
        benchmark: name of the benchmark.
        score: the measured score.
        n: number of questions in the benchmark.
        evaluator: name of the third party.
        perturbed: whether the questions are reworded; None counts as false.
        paired_with: for a reworded benchmark, name of the original; None if it has the same name.
        arena_like: whether the questions resemble the board's prompts; None if not stated.
    """

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
    """Decode one registry event from JSON bytes.

    Raises:
        msgspec.ValidationError: a field is wrong, or the schema has another major version. The message names the field.
        msgspec.DecodeError: the bytes are not JSON.
    """
    event: RegistryEvent = _decoder.decode(raw)
    if event.schema != SCHEMA:
        raise msgspec.ValidationError(f"expected schema {SCHEMA}, got {event.schema}")
    return event
