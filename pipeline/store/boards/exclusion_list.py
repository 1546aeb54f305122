"""Keeps the dated list of exclusions: which votes do not count in the defended view, and why.

The defended view is the board without excluded votes; the raw view counts them. Every entry has a reason and an author.
No entry is removed. The last entry about a target decides whether the target is excluded.

The author may be a policy. A policy excludes the votes of a voter with an open critical alert. The policy for an alert
from a backfill is `backfill-voter/1`; the policy for any other alert is `auto-voter/1`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.events.pseudonym import format_pseudonym, parse_pseudonym
from pipeline.store.boards import voter_labels
from pipeline.store.db import schema
from pipeline.store.votes.dominant_voter import find_dominant_voter
from pipeline.store.votes.vote_selections import VoteSelection

AUTO_VOTER = "auto-voter/1"
BACKFILL_VOTER = "backfill-voter/1"
POLICIES = (AUTO_VOTER, BACKFILL_VOTER)
"""The policies that exclude voters. The setting `auto_voter` switches both on or off."""

BACKFILL_VOTER_DETECTOR = "backfill_voter"
"""The detector of alerts about voters that a backfill found in votes from before the first snapshot."""

KINDS = ("voter", "vote", "votes")


@dataclass(frozen=True, slots=True)
class ActiveExclusion:
    """An exclusion that is in force now.

    Attributes:
        kind: what is excluded: "voter", "vote", or "votes" for a selection of votes.
        target: a voter's pseudonym in hexadecimal digits, a vote id, or the text of a selection of votes.
        reason, name: reason and author of the entry.
        public: the target in the form for the public, with a voter's label instead of the pseudonym.
        alert_id: id of the alert that is the cause of the entry, None if there is none.
    """

    kind: str
    target: str
    reason: str
    name: str
    public: str = field(default="", compare=False)
    alert_id: str | None = field(default=None, compare=False)


def add_entry(
    connection: Connection,
    action: str,
    kind: str,
    target: str,
    reason: str,
    name: str,
    now: int,
    alert_id: str | None = None,
) -> None:
    """Add an entry to the list of exclusions.

    Args:
        connection: the transaction.
        action: exclude or restore.
        kind: what is excluded: "voter", "vote", or "votes" for a selection of votes.
        target: a voter's pseudonym in hexadecimal digits, a vote id, or the text of a selection of votes.
        reason, name: reason and author of the entry.
        now: present time in microseconds since 1970 UTC.
        alert_id: id of the alert that is the cause of the entry, None if there is none.

    Raises:
        Usage: reason or name is empty, or the target has the wrong form.
    """
    expect_kind(action, kind)
    if not reason.strip() or not name.strip():
        raise Usage("expected a reason and a name: nothing is excluded or restored without both")
    if kind == "voter":
        parse_voter(target)
    if kind == "votes":
        target = str(VoteSelection.parse(target))
    label = voter_labels.label_of(connection, target, alert_id) if kind == "voter" else None
    public = reason if label is None else reason.replace(target, label)
    connection.execute(
        schema.exclusion.insert(),
        {
            "action": action,
            "kind": kind,
            "target": target,
            "reason": voter_labels.without_voters(connection, public),
            "name": name,
            "at": now,
            "alert_id": alert_id,
            "label": label,
        },
    )


def expect_kind(action: str, kind: str) -> None:
    """Raise `Usage` unless the action is exclude or restore and the kind is one of KINDS."""
    if action not in {"exclude", "restore"} or kind not in KINDS:
        raise Usage(f"expected exclude or restore of a {' or '.join(KINDS)}, got {action} of a {kind}")


def parse_voter(target: str) -> int:
    """Return the pseudonym in the target of an exclusion of a voter.

    Raises:
        Usage: the target is not a pseudonym in hexadecimal digits.
    """
    try:
        return parse_pseudonym(target)
    except ValueError as error:
        raise Usage(f"voter: {error}; `integrity pseudonym VOTER_ID` gives it") from None


def read_active(connection: Connection) -> list[ActiveExclusion]:
    """Return the exclusions in force, sorted by kind and target.

    The last entry about a target decides whether the target is excluded. Exclusions of erased voters are left out: each
    of their votes has its own exclusion.
    """
    return [
        ActiveExclusion(kind, target, row["reason"], row["name"], row["label"] or target, row["alert_id"])
        for (kind, target), row in sorted(_last_entries(connection).items())
        if row["action"] == "exclude" and not (kind == "voter" and voter_labels.is_label(target))
    ]


def read_active_of_alert(connection: Connection, alert_id: str) -> list[ActiveExclusion]:
    """Return the exclusions in force that an alert caused, sorted by kind and target.

    An exclusion counts as caused by the alert if any entry that excluded its target names the alert.
    """
    e = schema.exclusion.c
    rows = connection.execute(sa.select(e.kind, e.target).where(e.alert_id == alert_id, e.action == "exclude"))
    named = {tuple(row) for row in rows}
    return [one for one in read_active(connection) if (one.kind, one.target) in named]


def read_targets_by_alert(connection: Connection) -> dict[str, set[str]]:
    """Return the targets that each alert caused to be excluded, now or in the past.

    Returns:
        Id of an alert → targets of all entries that name the alert as their cause.
    """
    e = schema.exclusion.c
    found: dict[str, set[str]] = {}
    for alert_id, target in connection.execute(sa.select(e.alert_id, e.target).where(e.alert_id.is_not(None))):
        found.setdefault(alert_id, set()).add(target)
    return found


def apply_auto_voter(connection: Connection, now: int) -> int:
    """Apply the policies `auto-voter/1` and `backfill-voter/1` to the list of exclusions.

    A policy excludes a voter while a critical alert about the voter is not resolved, and restores the voter afterwards.
    Acknowledging, snoozing or appealing an alert changes no exclusion. A policy never overrides an entry of a person,
    and never excludes a voter with more than a fifth of all votes.

    Returns:
        The number of new entries.
    """
    changes = policy_changes(connection)
    for action, subject, reason, alert_id, policy in changes:
        add_entry(connection, action, "voter", subject, reason, policy, now, alert_id)
    return len(changes)


def policy_changes(connection: Connection, resolved: Collection[str] = ()) -> list[tuple[str, str, str, str, str]]:
    """Return the entries that the policies would add to the list now, without adding them.

    Args:
        connection: reads the store.
        resolved: ids of alerts that count as resolved, whatever their state.

    Returns:
        Tuples (action, voter's pseudonym, reason, id of the alert, name of the policy).
    """
    a = schema.alert.c
    critical = {
        row.subject: (row.alert_id, BACKFILL_VOTER if row.detector == BACKFILL_VOTER_DETECTOR else AUTO_VOTER)
        for row in connection.execute(
            sa.select(a.subject, a.alert_id, a.detector)
            .where(
                a.subject_kind == "voter",
                a.severity == "critical",
                a.state != "resolved",
                a.subject.is_distinct_from(a.label),  # of an erased voter, whose votes are excluded by their ids
            )
            .order_by(a.detector != BACKFILL_VOTER_DETECTOR, a.alert_id)  # of two alerts, the streamed one
        )
        if row.alert_id not in resolved
    }
    # Most likely many people under one id (`alerting.voter_share`): a person decides.
    dominant = find_dominant_voter(connection)
    shared = None if dominant is None else format_pseudonym(dominant.voter)
    critical.pop(shared, None)
    listed = _last_entries(connection).items()
    # A label instead of a pseudonym: the voter was erased, and the votes are excluded by their ids.
    last = {at: row for (kind, at), row in listed if kind == "voter" and not voter_labels.is_label(at)}
    found = []
    for subject, (alert_id, policy) in sorted(critical.items()):
        before = last.get(subject)
        if before is None or (before["name"] in POLICIES and before["action"] == "restore"):
            found.append(("exclude", subject, f"critical alert {alert_id} is open", alert_id, policy))
    for subject, row in sorted(last.items()):
        if row["name"] in POLICIES and row["action"] == "exclude" and subject not in critical:
            reason = f"alert {row['alert_id']} is no longer open"
            if subject == shared:
                reason = "one voter id has more than a fifth of all votes: a fault of the configuration"
            found.append(("restore", subject, reason, row["alert_id"], row["name"]))
    return found


def has_entry(connection: Connection, kind: str, target: str) -> bool:
    """Return whether the list of exclusions has any entry about this target, in force or not."""
    e = schema.exclusion.c
    found = connection.scalar(sa.select(e.exclusion_no).where(e.kind == kind, e.target == target).limit(1))
    return found is not None


def flagged_voters(connection: Connection, besides: Collection[str] = ()) -> list[int]:
    """Return the sorted pseudonyms of the voters with an unresolved alert. References are fitted without these voters.

    Args:
        connection: reads the store.
        besides: names of detectors whose alerts are ignored.
    """
    a = schema.alert.c
    named = (a.subject_kind == "voter", a.state != "resolved", a.subject.is_distinct_from(a.label))
    others = (a.detector.notin_(sorted(besides)),) if besides else ()
    rows = connection.scalars(sa.select(a.subject).where(*named, *others).distinct())
    return sorted(parse_pseudonym(subject) for subject in rows)


def _last_entries(connection: Connection) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return (kind, target) → the last entry about this target."""
    c = schema.exclusion.c
    rows = connection.execute(sa.select(schema.exclusion).order_by(c.exclusion_no)).mappings()
    return {(row["kind"], row["target"]): dict(row) for row in rows}
