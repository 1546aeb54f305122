"""Converts alerts to the form for the public, which describes the votes and never identifies the voter.

A public alert about a voter shows a label in place of the voter. The label belongs to this alert alone. The alert has
no vote, offset or exact time of the voter. Somebody who votes under another voter's id therefore learns nothing about
that voter's votes. Evidence about a voter is published only in fields that are listed as harmless.

In every public alert, times of votes are rounded down to the hour, as in the public log, and no model under test is
named.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.store.boards.hidden_models import ALL_SHOWN, HiddenModels

_HOUR = len("2026-01-02T03")
# Evidence about a voter that names neither the voter nor other votes.
_PUBLIC_EVIDENCE = frozenset(
    {
        "votes",
        "ties",
        "likeliest",
        "proved",
        "snapshot",
        "what",
        "vote_id",
        "number",
        "cells",
        "density",
        "tests",
        "e_band",
        "e_cells",
        "taste",
        "afterwards",
    }
)
_PRIVATE_EVIDENCE = frozenset({"voter", "voters"})


def publish_alert(shown: Mapping[str, Any], hidden: HiddenModels = ALL_SHOWN) -> dict[str, Any]:
    """Return an alert in the form for the public. The given alert is not changed.

    Args:
        shown: the alert, as `alert_queries` returns it.
        hidden: the models under test, whose names the public does not see.
    """
    about_voter = shown["subject"]["kind"] == "voter"
    found = _voter_alert(shown) if about_voter else dict(shown)
    found.pop("label", None)
    evidence = found["evidence"]
    found["evidence"] = {name: value for name, value in evidence.items() if name not in _PRIVATE_EVIDENCE}
    if "votes" in found:
        found["votes"] = [{**vote, "cast_at": hour_of(vote["cast_at"])} for vote in found["votes"]]
    published: dict[str, Any] = hidden.document(found)
    return published


def hour_of(time: str) -> str:
    """Return a time in RFC 3339 rounded down to the hour.

    >>> hour_of("2026-01-02T03:04:05.678Z")
    '2026-01-02T03:00:00Z'
    """
    return f"{time[:_HOUR]}:00:00Z"


def _voter_alert(shown: Mapping[str, Any]) -> dict[str, Any]:
    label = shown.get("label") or "voter"
    evidence = {name: value for name, value in shown["evidence"].items() if name in _PUBLIC_EVIDENCE}
    found = {**shown, "subject": {"kind": "voter", "id": label}, "evidence": evidence}
    found["opened_at"] = hour_of(shown["opened_at"])
    found |= {name: None for name in ("partition", "offset") if name in shown}
    found.pop("record", None)
    if "votes" in shown:
        found["votes"] = []
    if "history" in shown:
        found["history"] = [_entry(one, shown["subject"]["id"], label) for one in shown["history"]]
    return found


def _entry(entry: Mapping[str, Any], voter: str, label: str) -> dict[str, Any]:
    """Return an entry of the history without the exact time at which a vote arrived, and without the voter."""
    return {**entry, "at": hour_of(entry["at"]), "reason": entry["reason"].replace(voter, label)}
