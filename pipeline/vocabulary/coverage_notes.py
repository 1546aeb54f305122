"""Builds sentences about the late votes of a board, and about the votes that no detector checked."""

from collections.abc import Mapping
from typing import Any

LATE_SHARE = 0.01
"""Share of late votes above which `late_notes` mentions them."""


def late_notes(late: int, counted: int) -> list[str]:
    """Return a list with one sentence about late votes; an empty list if at most the share LATE_SHARE of votes is late.

    Args:
        late: number of late votes.
        counted: number of all counted votes, late ones included.
    """
    if not counted or late <= LATE_SHARE * counted:
        return []
    return [
        f"{late:,} of {counted:,} votes ({late / counted:.1%}) came late: they count, and detectors of sampling skip "
        "them"
    ]


def unchecked_notes(unchecked: int) -> list[str]:
    """Return a list with one sentence about the number of votes that no detector evaluated; empty if there are none."""
    if not unchecked:
        return []
    return [
        f"{unchecked:,} vote{' was' if unchecked == 1 else 's were'} never checked for manipulation: no snapshot was "
        "in force when they were read"
    ]


def coverage_notes(coverage: Mapping[str, Any] | None, raw_votes: int) -> list[str]:
    """Return up to two sentences about a snapshot: one about its late votes, one about its unchecked votes.

    Args:
        coverage: from the snapshot's body: `late` and `unchecked`, the number of late votes and of votes that no
            detector evaluated. None, which older snapshots have, gives no sentence.
        raw_votes: number of votes in the raw view.
    """
    if coverage is None:
        return []
    return [*late_notes(coverage["late"], raw_votes), *unchecked_notes(coverage["unchecked"])]
