"""Builds messages for the topics of alerts and rejects. A message is (topic, key, value), and its value is JSON."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from pipeline.events import Reject
from pipeline.scoring.signals import NO_PARTITION, AlertSignal

Message = tuple[str, bytes, bytes]


def alert_message(topic: str, alert_id: str, subject: str, raised: AlertSignal, partition: int) -> Message:
    """Build the message that announces an alert.

    Args:
        topic: the topic of alerts.
        alert_id: id of the alert.
        subject: subject of the alert. A voter is given by the label of this alert, not by the pseudonym.
        raised: the signal that opened or escalated the alert.
        partition: source's number of the alert's partition, NO_PARTITION for an alert about a window.
    """
    value = {
        "schema": 1, "id": alert_id, "detector": raised.detector, "severity": raised.severity,
        "subject": {"kind": raised.subject_kind, "id": subject}, "direction": raised.direction,
        "e_value": raised.e_value, "partition": None if partition == NO_PARTITION else partition,
        "offset": raised.offset,
    }  # fmt: skip
    return topic, alert_id.encode(), _json(value)


def rejected_vote_message(topic: str, reject: Reject, partition: int, offset: int, origin: str | None) -> Message:
    """Build the message about a rejected record of the votes topic.

    Args:
        topic: the topic of rejects.
        reject: the rejected record, with the reason and a sample of its bytes.
        partition: source's number of the record's partition.
        offset: offset of the record.
        origin: file and record number from which the record was published, None if unknown.
    """
    value = {
        "schema": 1, "partition": partition, "offset": offset, "reason": reject.reason, "detail": reject.detail,
        "origin": origin, "sha256": reject.sha256.hex(), "sample": base64.b64encode(reject.sample).decode(),
    }  # fmt: skip
    return topic, reject.sha256[:16], _json(value)


def rejected_event_message(topic: str, reject: Mapping[str, Any]) -> Message:
    """Build the message about a rejected record of the registry topic or of the topic of issued battles.

    Args:
        topic: the topic of rejects.
        reject: the reject, as `registry_events.list_rejects` returns it. It may be an event that contradicts earlier
            events.
    """
    return topic, str(reject["origin"] or reject["offset"]).encode(), _json({"schema": 1, **reject})


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
