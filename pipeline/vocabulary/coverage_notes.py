"""Sentences about the late votes of a board, and about the votes that no detector checked."""

from collections.abc import Mapping
from typing import Any

LATE_SHARE = 0.01
"""Share of late votes above which a sentence mentions them."""


def late_notes(late: int, counted: int) -> list[str]:
    """Return a sentence about late votes if they are more than one in a hundred of the counted votes."""
    if not counted or late <= LATE_SHARE * counted:
        return []
    return [
        f"{late:,} of {counted:,} votes ({late / counted:.1%}) came late: they count, and detectors of sampling skip "
        "them"
    ]


def unchecked_notes(unchecked: int) -> list[str]:
    """Return a sentence about votes that no detector evaluated."""
    if not unchecked:
        return []
    return [
        f"{unchecked:,} vote{' was' if unchecked == 1 else 's were'} never checked for manipulation: no snapshot was "
        "in force when they were read"
    ]


def coverage_notes(coverage: Mapping[str, Any] | None, raw_votes: int) -> list[str]:
    """Return sentences about the late and unchecked votes of a snapshot."""
    if coverage is None:
        return []
    return [*late_notes(coverage["late"], raw_votes), *unchecked_notes(coverage["unchecked"])]
