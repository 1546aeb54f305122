"""The dated list of what does not count in the defended view.

Law 7: every entry has a reason and a name; nothing is removed; an entry is undone by another one. The
policy `auto-voter/1` is such a name: it excludes the votes of a voter whose critical alert is open.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.events.pseudonym import format_pseudonym, parse_pseudonym
from pipeline.store.db import schema
from pipeline.store.log import retractions
from pipeline.store.votes import ingest
from pipeline.store.votes.vote_selections import VoteSelection
from pipeline.vocabulary.fates import ACCEPTED

AUTO_VOTER = "auto-voter/1"
KINDS = ("voter", "vote", "votes")


@dataclass(frozen=True, slots=True)
class Exclusion:
    """What is excluded now: a voter's pseudonym as shown, a vote id, or a selection of votes as its text."""

    kind: str
    target: str
    reason: str
    name: str


def add(
    connection: Connection,
    action: str,
    kind: str,
    target: str,
    reason: str,
    name: str,
    now: int,
    alert_id: str | None = None,
) -> None:
    """One entry: `exclude` or `restore`.

    Raises:
        Usage: an entry without a reason or a name, or a target that cannot be.
    """
    if action not in {"exclude", "restore"} or kind not in KINDS:
        raise Usage(f"expected exclude or restore of a {' or '.join(KINDS)}, got {action} of a {kind}")
    if not reason.strip() or not name.strip():
        raise Usage("expected a reason and a name: nothing is excluded or restored without both")
    if kind == "voter":
        try:
            parse_pseudonym(target)
        except ValueError as error:
            raise Usage(f"voter: {error}; `integrity pseudonym VOTER_ID` gives it") from None
    if kind == "votes":
        target = str(VoteSelection.parse(target))
    connection.execute(
        schema.exclusion.insert(),
        {
            "action": action,
            "kind": kind,
            "target": target,
            "reason": reason,
            "name": name,
            "at": now,
            "alert_id": alert_id,
        },
    )


def current(connection: Connection) -> list[Exclusion]:
    """What is excluded now, sorted: the last entry about a target decides."""
    c = schema.exclusion.c
    last: dict[tuple[str, str], Any] = {}
    for row in connection.execute(sa.select(schema.exclusion).order_by(c.exclusion_no)).mappings():
        last[row["kind"], row["target"]] = row
    return [
        Exclusion(kind, target, row["reason"], row["name"])
        for (kind, target), row in sorted(last.items())
        if row["action"] == "exclude"
    ]


def of_alert(connection: Connection, alert_id: str) -> list[Exclusion]:
    """What is excluded now by an entry that names this alert."""
    e = schema.exclusion.c
    rows = connection.execute(sa.select(e.kind, e.target).where(e.alert_id == alert_id, e.action == "exclude"))
    named = {tuple(row) for row in rows}
    return [one for one in current(connection) if (one.kind, one.target) in named]


def apply_auto_voter(connection: Connection, now: int) -> int:
    """Bring the list in line with the policy `auto-voter/1`.

    A voter is excluded while a critical alert about the voter is open or acknowledged, and restored
    when none is; an entry by a person's hand is never touched.

    Returns:
        The number of new entries.
    """
    a = schema.alert.c
    critical = {
        row.subject: row.alert_id
        for row in connection.execute(
            sa.select(a.subject, a.alert_id)
            .where(a.subject_kind == "voter", a.severity == "critical", a.state.in_(["open", "acknowledged"]))
            .order_by(a.alert_id)
        )
    }
    decided = _last_by_target(connection)
    entries = 0
    for subject, alert_id in sorted(critical.items()):
        before = decided.get(subject)
        if before is None or (before["name"] == AUTO_VOTER and before["action"] == "restore"):
            reason = f"critical alert {alert_id} is open"
            add(connection, "exclude", "voter", subject, reason, AUTO_VOTER, now, alert_id)
            entries += 1
    for subject, row in sorted(decided.items()):
        if row["name"] == AUTO_VOTER and row["action"] == "exclude" and subject not in critical:
            reason = f"alert {row['alert_id']} is no longer open"
            add(connection, "restore", "voter", subject, reason, AUTO_VOTER, now, row["alert_id"])
            entries += 1
    return entries


def flagged_voters(connection: Connection) -> list[int]:
    """Voters with an alert that is not resolved: their votes train nothing."""
    a = schema.alert.c
    rows = connection.scalars(sa.select(a.subject).where(a.subject_kind == "voter", a.state != "resolved").distinct())
    return sorted(parse_pseudonym(subject) for subject in rows)


def pair_counts(
    connection: Connection,
    log_size: int,
    voters: Collection[int],
    vote_ids: Collection[str],
    selections: Collection[VoteSelection] = (),
    *,
    but: Collection[str] = (),
    but_selections: Collection[VoteSelection] = (),
) -> list[tuple[int, int, int, int]]:
    """Accepted votes in the log at a size, of these voters, with these ids, or of these selections; each once.

    Args:
        log_size: votes sealed later do not count.
        voters: pseudonyms.
        vote_ids: single votes.
        selections: votes that have something in common.
        but, but_selections: votes that do not count here.

    Returns:
        (model_a, model_b, outcome, votes)
    """
    return summed(excluded(connection, log_size, voters, vote_ids, selections, but=but, but_selections=but_selections))


def summed(votes: Mapping[tuple[int, int], Any]) -> list[tuple[int, int, int, int]]:
    """(model_a, model_b, outcome, votes) of `excluded`."""
    counts = Counter((one.model_a, one.model_b, one.outcome) for one in votes.values())
    return [(*cell, number) for cell, number in sorted(counts.items())]


def excluded(
    connection: Connection,
    log_size: int,
    voters: Collection[int],
    vote_ids: Collection[str],
    selections: Collection[VoteSelection] = (),
    *,
    but: Collection[str] = (),
    but_selections: Collection[VoteSelection] = (),
) -> dict[tuple[int, int], Any]:
    """The votes of `pair_counts`, by (partition, offset)."""
    v, r, s = schema.vote.c, schema.segment_range.c, schema.segment.c
    ends = dict(
        connection.execute(
            sa.select(r.partition_no, sa.func.max(r.next_offset))
            .join(schema.segment, s.segment_no == r.segment_no)
            .where(s.log_size <= log_size)
            .group_by(r.partition_no)
        ).all()
    )
    singles = _places(connection, vote_ids)
    # What was taken back is in no count already.
    omitted = _places(connection, but) | retractions.retracted_positions(connection, log_size)
    omitted |= {(row.partition_no, row.offset) for chosen in but_selections for row in chosen.read_votes(connection)}
    found: list[Any] = [row for chosen in selections for row in chosen.read_votes(connection)]
    columns = (v.partition_no, v.offset, v.voter, v.model_a, v.model_b, v.outcome)
    for chunk in _chunks(sorted(voters)):
        found += connection.execute(sa.select(*columns).where(v.voter.in_(chunk), v.fate == ACCEPTED))
    for part, offset in singles:
        row = connection.execute(
            sa.select(*columns).where(v.partition_no == part, v.offset == offset, v.fate == ACCEPTED)
        )
        found += row
    by_place = {(one.partition_no, one.offset): one for one in found}
    return {
        place: one
        for place, one in by_place.items()
        if one.offset < ends.get(one.partition_no, 0) and place not in omitted
    }


def of_list(connection: Connection, log_size: int, listed: Iterable[Mapping[str, str]]) -> dict[tuple[int, int], Any]:
    """The accepted votes in the log at a size that a list of exclusions takes out, by (partition, offset)."""
    by_kind: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for entry in listed:
        by_kind[entry["kind"]].append(entry["target"])
    voters = [parse_pseudonym(target) for target in by_kind["voter"]]
    selections = [VoteSelection.parse(text) for text in by_kind["votes"]]
    return excluded(connection, log_size, voters, by_kind["vote"], selections)


def at_places(connection: Connection, places: Iterable[tuple[int, int]]) -> dict[tuple[int, int], Any]:
    """The votes at some places, as `excluded` gives them."""
    v = schema.vote.c
    columns = (v.partition_no, v.offset, v.voter, v.model_a, v.model_b, v.outcome)
    by_part: dict[int, list[int]] = {}
    for part, offset in places:
        by_part.setdefault(part, []).append(offset)
    rows: list[Any] = []
    for part, offsets in by_part.items():
        for chunk in _chunks(sorted(offsets)):
            rows += connection.execute(sa.select(*columns).where(v.partition_no == part, v.offset.in_(chunk)))
    return {(one.partition_no, one.offset): one for one in rows}


def attributed(
    connection: Connection, votes: Mapping[tuple[int, int], Any], listed: Sequence[Mapping[str, str]]
) -> dict[tuple[int, int], int]:
    """Which entry of the list takes each vote out: the first one that names it.

    Args:
        connection: reads.
        votes: of `excluded`.
        listed: entries with kind and target.

    Returns:
        (partition, offset) → position in the list.
    """
    first: dict[tuple[str, str], int] = {}
    by_place: dict[tuple[int, int], int] = {}
    for at, entry in enumerate(listed):
        first.setdefault((entry["kind"], entry["target"]), at)
        if entry["kind"] == "vote":
            named = _places(connection, [entry["target"]])
        elif entry["kind"] == "votes":
            named = {
                (row.partition_no, row.offset) for row in VoteSelection.parse(entry["target"]).read_votes(connection)
            }
        else:
            continue
        for place in named:
            by_place.setdefault(place, at)
    last = len(listed)
    return {
        place: min(by_place.get(place, last), first.get(("voter", format_pseudonym(one.voter)), last))
        for place, one in votes.items()
    }


def _places(connection: Connection, vote_ids: Iterable[str]) -> set[tuple[int, int]]:
    keys = b"".join(hashlib.sha256(vote_id.encode()).digest()[:16] for vote_id in vote_ids)
    return set(ingest.find_by_key(connection, np.frombuffer(keys, dtype="V16")).values())


def _chunks(values: Sequence[Any], size: int = 5_000) -> list[list[Any]]:
    return [list(values[start : start + size]) for start in range(0, len(values), size)]


def _last_by_target(connection: Connection) -> dict[str, Any]:
    c = schema.exclusion.c
    rows = connection.execute(sa.select(schema.exclusion).where(c.kind == "voter").order_by(c.exclusion_no)).mappings()
    return {row["target"]: row for row in rows}
