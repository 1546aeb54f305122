"""Canonical votes and derived ids."""

import hashlib
import json

import msgspec

from pipeline.events import (
    Vote,
    canonical_record,
    derive_vote_id,
    encode_event,
)
from tests.unit.events.sample_events import (
    EVENT,
    FULL,
)

LATER = ("anonymous", "refusal", "deduplicated", "identity_leak", "turn", "session", "categories")


def test_the_canonical_bytes_and_the_derived_id_are_golden() -> None:
    golden = (
        b'{"cast_at":"2024-07-01T12:00:00Z","model_a":"ant","model_b":"bee",'
        b'"schema":1,"vote_id":"v-1","winner":"model_a"}'
    )
    assert encode_event(msgspec.convert(EVENT, Vote)) == encode_event(dict(EVENT)) == golden
    assert canonical_record(dict(EVENT)) == golden.replace(b'"vote_id":"v-1",', b"")
    assert derive_vote_id(dict(EVENT), 0) == "5a4b0e973a00960e4cd0fa09e71f95f3b437135e3aabc964933c6807f4951463"
    assert derive_vote_id(dict(EVENT), 1) == "32af2b48496f37b18ca221a2e4dee29de806de2eb2caf47eabe8be75e291169d"


def test_a_derived_id_is_the_sha_256_of_the_canonical_record_and_its_occurrence() -> None:
    record = {**FULL, "language": None, "model_a": "模型"}
    kept = {k: v for k, v in record.items() if v is not None and k not in {"vote_id", *LATER}}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for n in (0, 1, 12):
        assert derive_vote_id(record, n) == hashlib.sha256(f"{text}#{n}".encode()).hexdigest()
    assert derive_vote_id(dict(reversed(record.items())), 0) == derive_vote_id(record, 0)


def test_ids_do_not_depend_on_fields_that_earlier_versions_did_not_read() -> None:
    earlier = {k: v for k, v in FULL.items() if k not in LATER}
    assert len(FULL) - len(earlier) == len(LATER)
    assert derive_vote_id(dict(FULL), 2) == derive_vote_id(earlier, 2)
