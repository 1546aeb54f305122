"""The dated list of what does not count in the defended view.

Law 7: every entry has a reason and a name; nothing is removed; an entry is undone by another one. The
policy `auto-voter/1` is such a name: it excludes the votes of a voter whose critical alert is open.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.alerts import voter_number
from pipeline.errors import Usage
from pipeline.store import schema

AUTO_VOTER = "auto-voter/1"
KINDS = ("voter", "vote")


@dataclass(frozen=True, slots=True)
class Exclusion:
    """What is excluded now: a voter's pseudonym as shown, or a vote id."""

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
            voter_number(target)
        except ValueError as error:
            raise Usage(f"voter: {error}; `integrity pseudonym VOTER_ID` gives it") from None
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
    rows = connection.scalars(
        sa.select(a.subject).where(a.subject_kind == "voter", a.state != "resolved").distinct()
    )
    return sorted(voter_number(subject) for subject in rows)


def pair_counts(
    connection: Connection, voters: Collection[int], vote_ids: Iterable[str]
) -> list[tuple[int, int, int, int]]:
    """Sealed accepted votes of these voters or with these ids, as (model_a, model_b, outcome, count)."""
    v, p = schema.vote.c, schema.partition.c
    sealed = (
        sa.select(v.model_a, v.model_b, v.outcome, sa.func.count())
        .join(schema.partition, p.partition_no == v.partition_no)
        .where(v.fate == 0, v.offset < p.sealed_offset)
        .group_by(v.model_a, v.model_b, v.outcome)
    )
    wanted = [v.voter.in_(chunk) for chunk in _chunks(sorted(voters))]
    keys = [hashlib.sha256(vote_id.encode()).digest()[:16] for vote_id in vote_ids]
    k = schema.vote_key.c
    for chunk in _chunks(keys):
        places = sa.select(k.partition_no, k.offset).where(k.key.in_(chunk))
        wanted += [
            sa.and_(v.partition_no == part, v.offset == offset, v.voter.not_in(list(voters)))
            for part, offset in connection.execute(places)
        ]
    return [
        (int(a), int(b), int(o), int(n))
        for where in wanted
        for a, b, o, n in connection.execute(sealed.where(where))
    ]


def _chunks(values: Sequence[Any], size: int = 5_000) -> list[list[Any]]:
    return [list(values[start : start + size]) for start in range(0, len(values), size)]


def _last_by_target(connection: Connection) -> dict[str, Any]:
    c = schema.exclusion.c
    rows = connection.execute(
        sa.select(schema.exclusion).where(c.kind == "voter").order_by(c.exclusion_no)
    ).mappings()
    return {row["target"]: row for row in rows}
