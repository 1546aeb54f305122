"""Registry events: decoder and JSON Schema agree."""

import json

import msgspec
import pytest

from pipeline.events import (
    encode_event,
    registry_events,
)
from tests.unit.events.sample_events import validator

AT = {"schema": 1, "event_id": "e", "at": "2024-07-01T12:00:00Z"}
REGISTRY = [
    {"type": "model.submitted", "model": "m", "provider": "p", "visibility": "private", "license": "open"},
    {"type": "model.released", "model": "m", "as": "m-1", "variants_tested": 27},
    {"type": "model.renamed", "model": "m", "to": "n", "notice_url": "https://example.org"},
    {"type": "model.deprecated", "model": "m", "reason": "old"},
    {"type": "model.retracted", "model": "m", "reason": "broken"},
    {"type": "sampling.policy", "weights": {"m": 1, "n": 0.5, "o": 0}},
    {"type": "benchmark.claim", "model": "m", "benchmark": "b", "score": 0.9, "source": "s"},
    {"type": "benchmark.result", "model": "m", "benchmark": "b", "score": 1, "n": 3, "evaluator": "e"},
]


@pytest.mark.parametrize("record", REGISTRY, ids=lambda r: r["type"])
def test_every_kind_of_registry_event_is_decoded_and_in_the_schema(record: dict[str, object]) -> None:
    whole = {**AT, **record, "new": 1}
    decoded = registry_events.decode_event(json.dumps(whole).encode())
    assert json.loads(encode_event(decoded)) == {**AT, **record}
    assert not list(validator("registry.schema.json").iter_errors(whole))


@pytest.mark.parametrize("record", REGISTRY, ids=lambda r: r["type"])
def test_a_registry_event_that_lacks_a_required_field_is_refused_by_decoder_and_schema(
    record: dict[str, object],
) -> None:
    optional = {"as", "variants_tested", "notice_url"}
    for name in ({*AT, *record} - optional) - {"type"}:
        broken = {k: v for k, v in {**AT, **record}.items() if k != name}
        with pytest.raises(msgspec.ValidationError, match=name):
            registry_events.decode_event(json.dumps(broken).encode())
        assert list(validator("registry.schema.json").iter_errors(broken))


@pytest.mark.parametrize(
    "change",
    [
        {"type": "model.sold"},
        {"type": "sampling.policy", "weights": {"m": -1}},
        {"visibility": "secret"},
        {"license": "mine"},
        {"model": ""},
        {"provider": 5},
    ],
)
def test_a_registry_event_with_a_wrong_value_is_refused_by_decoder_and_schema(change: dict[str, object]) -> None:
    broken = {**AT, **REGISTRY[0], **change}
    with pytest.raises(msgspec.ValidationError):
        registry_events.decode_event(json.dumps(broken).encode())
    assert list(validator("registry.schema.json").iter_errors(broken))


def test_a_negative_sampling_weight_names_its_place() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"weights"):
        registry_events.decode_event(json.dumps({**AT, "type": "sampling.policy", "weights": {"m": -0.1}}).encode())
