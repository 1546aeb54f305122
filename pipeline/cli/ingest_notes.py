"""Builds sentences for people about records that were rejected or not read. Each sentence also states the next step."""

from collections.abc import Mapping, Sequence

from pipeline.formats.left_out import LeftOut, hint


def reject_notes(reasons: Mapping[str, int], first: Mapping[str, tuple[str | None, str]]) -> list[str]:
    """Return a sentence for each reason of rejects. The sentence describes the first record that was rejected.

    Args:
        reasons: reason → number of records.
        first: reason → (place, fault) of the first record that was rejected for this reason. The place is the file and
            the number of the record, None if not known. The fault says what is wrong.
    """
    notes = []
    for reason, count in sorted(reasons.items()):
        origin, detail = first.get(reason, (None, ""))
        place = f"the first is {origin}: " if origin else ""
        help_text = hint(reason, detail)
        advice = f"; {help_text}" if help_text else ""
        notes.append(f"{count:,} rejected as {reason}: {place}{detail}{advice}; `integrity rejects` lists all")
    return notes


def sent_notes(name: str, rejects: LeftOut) -> list[str]:
    """Return one sentence for each reason why published records are not valid votes.

    Args:
        name: name of the file.
        rejects: numbers of the records that are not valid votes by reason, and the first record of each reason.
    """
    then = "not sent" if rejects.skip_bad else "sent, and the worker will count them as rejected"
    return [
        f"{count:,} records of {name} are no votes ({reason}) and were {then}: the first is record "
        f"{rejects.first[reason][0]}: {rejects.first[reason][1]}"
        for reason, count in sorted(rejects.counts.items())
    ]


def waiting_notes(name: str, waits: Sequence[str]) -> list[str]:
    """Return sentences about records at the end of a file that were not read, because they are incomplete.

    Args:
        name: name of the file.
        waits: descriptions of the incomplete records. Empty strings are skipped.
    """
    return [
        f"{name}: {one} may be half written and was not read: give the file again when it is complete, or end it with "
        "a newline if it is"
        for one in waits
        if one
    ]


def changed_notes(name: str, records: int) -> list[str]:
    """Return a sentence in a list if a file no longer begins with the records that were read before, else [].

    Args:
        name: name of the file.
        records: number of records at the beginning of the file that differ from those read before; 0 if the file still
            begins with the same records. The list is empty for 0.
    """
    if not records:
        return []
    return [
        f"{name}: its first {records:,} records are not those that were read before: all of it was read, and votes "
        "that were stored already were found by their ids (duplicate)"
    ]
