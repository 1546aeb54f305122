"""Finds the suspected accounts of an incident: accounts that vote on its target as the accounts of a campaign do.

`pipeline.incidents.suspects` decides who is suspected. This module reads the votes on the target in a period around the
incident. Reading these votes takes time, so the result is kept with the incident and is used again while claims, period
and accounts of the incident are the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.events.pseudonym import format_pseudonym, parse_pseudonym
from pipeline.evidence import Reference
from pipeline.incidents.claims import Claim
from pipeline.incidents.grouping import Incident
from pipeline.incidents.suspects import LEAST_VOTES, TargetVotes, find_suspects, is_established, period_of
from pipeline.store.alerting.incident_table import StoredIncident
from pipeline.store.boards.exclusion_list import ActiveExclusion
from pipeline.store.boards.reference_codec import read_reference
from pipeline.store.cold import vote_table
from pipeline.store.cold.cold_votes import VoteFilter
from pipeline.store.db import dialect, schema
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.fates import COUNTED
from pipeline.vocabulary.outcomes import OUTCOME_CODES

_BLOCK = 200_000
_LEAST_TIE = min(OUTCOME_CODES["tie"], OUTCOME_CODES["both_bad"])


@dataclass(frozen=True, slots=True)
class SuspectedAccounts:
    """The suspected accounts of one incident.

    Attributes:
        of: a hash of the inputs of the search except the votes. "" if there was no search.
        e_values: pseudonym, 16 hexadecimal digits → e-value, with four significant digits.
        votes: pseudonym → number of counted votes.
    """

    of: str
    e_values: Mapping[str, float]
    votes: Mapping[str, int]

    def counts(self, exclusions: Iterable[ActiveExclusion]) -> dict[str, int]:
        """Return the numbers that a stored incident has of its suspected accounts.

        Args:
            exclusions: the exclusions in force.

        Returns:
            {"accounts", "votes", "accounts_left_out", "votes_left_out"}; the last two are about excluded accounts.
        """
        left_out = {one.target for one in exclusions if one.kind == "voter"}.intersection(self.e_values)
        return {
            "accounts": len(self.e_values),
            "votes": sum(self.votes.get(one, 0) for one in self.e_values),
            "accounts_left_out": len(left_out),
            "votes_left_out": sum(self.votes.get(one, 0) for one in left_out),
        }

    def document(self) -> dict[str, Any]:
        """Return the part of this object that operators may read: {"of", "e_values"}."""
        return {"of": self.of, "e_values": dict(self.e_values)}


def find_suspected(
    connection: Connection,
    incidents: Iterable[Incident],
    shown: Mapping[str, Mapping[str, Any]],
    stored: Iterable[StoredIncident],
) -> dict[str, SuspectedAccounts]:
    """Find the suspected accounts of every incident in which votes lift or lower a model (`is_established`).

    An account of an incident is suspected in no other.

    Args:
        connection: reads the store.
        incidents: all incidents.
        shown: id of an alert → the alert, as `alert_queries.format_alert` returns it.
        stored: the incidents of the last grouping.

    Returns:
        Id of an incident → its suspected accounts. All are empty if the database role may not read voters.
    """
    all_incidents = list(incidents)
    known = {one.private["suspects"]["of"]: one.private["suspects"]["e_values"] for one in stored}
    can_see = dialect.may_read(connection, "vote", "voter") and dialect.may_read(connection, "snapshot", "reference")
    accounts = {format_pseudonym(voter) for one in all_incidents for voter in one.voters}
    found: dict[str, tuple[str, dict[str, float]]] = {}
    for one in all_incidents:
        targets = [claim for claim in one.claims if is_established(one, claim)]
        sequence = _sequence(connection, one, shown) if can_see and targets else None
        if sequence is not None:
            of = _hash(one, targets, sequence)
            e_values = known[of] if of in known else _search(connection, one, targets, sequence)
            found[one.incident_id] = of, {who: e for who, e in e_values.items() if who not in accounts}
    votes = _count_votes(connection, {who for _, e_values in found.values() for who in e_values})
    nobody: tuple[str, dict[str, float]] = ("", {})
    return {one.incident_id: SuspectedAccounts(*found.get(one.incident_id, nobody), votes) for one in all_incidents}


def _hash(incident: Incident, targets: Iterable[Claim], sequence: int) -> str:
    parts = (sequence, sorted(targets), incident.begun_at, incident.last_at, sorted(incident.voters))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _sequence(connection: Connection, incident: Incident, shown: Mapping[str, Mapping[str, Any]]) -> int | None:
    """Return the sequence number of the snapshot that evaluates the accounts; None if no snapshot is published.

    The first of these snapshots that exists is taken: the earliest snapshot by which a detector evaluated an account of
    the incident, the last snapshot published before the incident began, the first published snapshot.
    """
    c = schema.snapshot.c
    stated = {shown[one.alert_id]["evidence"].get("snapshot") for one in incident.alerts}
    numbers = sorted(one for one in stated if isinstance(one, int) and one > 0)
    if numbers:
        return numbers[0]
    before = connection.scalar(sa.select(sa.func.max(c.sequence)).where(c.published_at <= incident.begun_at))
    first = before if before is not None else connection.scalar(sa.select(sa.func.min(c.sequence)))
    return None if first is None else int(first)


def _search(connection: Connection, incident: Incident, targets: Iterable[Claim], sequence: int) -> dict[str, float]:
    reference = read_reference(connection, sequence)
    if reference is None:
        return {}
    numbers = {str(row.name): int(row.model_no) for row in connection.execute(sa.select(schema.model))}
    found: dict[int, float] = {}
    for claim in targets:
        number = numbers.get(claim.name)
        if number is None:
            continue
        votes = _read_votes(connection, number, *period_of(incident), reference)
        suspects = find_suspects(votes, number, claim.effect, incident.voters, reference)
        found = {**suspects, **{who: max(log_e, suspects.get(who, log_e)) for who, log_e in found.items()}}
    return {format_pseudonym(who): float(f"{np.exp(log_e):.4g}") for who, log_e in sorted(found.items())}


def _read_votes(connection: Connection, model: int, first: int, last: int, reference: Reference) -> TargetVotes:
    """Read the counted votes on a model in the period [first, last], by voters with at least LEAST_VOTES such votes.

    All votes of these voters in the period are counted too.
    """
    wanted = VoteFilter(first_at=first, end_at=last + 1, model=model)
    v = vote_table.votes_where(connection, wanted).c
    query = sa.select(v.voter, v.model_a, v.model_b, v.outcome).where(
        *_in_period(v, first, last, reference), v.voter != 0, sa.or_(v.model_a == model, v.model_b == model)
    )
    blocks = list(dialect.read_integers(connection, query, _BLOCK))
    voter, a, b, outcome = np.concatenate([np.zeros((4, 0), dtype=np.int64), *blocks], axis=1)
    who, number = np.unique(voter, return_counts=True)
    often = who[number >= LEAST_VOTES]
    kept = np.isin(voter, often)
    votes, ties = _count_period(connection, often, first, last, reference)
    return TargetVotes(voter[kept], a[kept], b[kept], outcome[kept].astype(np.int8), often, votes, ties)


def _count_period(
    connection: Connection, voters: Int64, first: int, last: int, reference: Reference
) -> tuple[Int64, Int64]:
    """Return the numbers of votes and of ties that each voter cast in a period. `voters` must be ascending."""
    v, values = vote_table.votes_of(connection, voters.tolist()).c, voters.tolist()
    tie = sa.func.sum(sa.case((v.outcome >= _LEAST_TIE, 1), else_=0))
    blocks = [np.zeros((3, 0), dtype=np.int64)]
    for start in range(0, len(values), dialect.CHUNK):
        chosen = v.voter.in_(values[start : start + dialect.CHUNK])
        query = sa.select(v.voter, sa.func.count(), tie).where(chosen, *_in_period(v, first, last, reference))
        rows = [[int(value) for value in row] for row in connection.execute(query.group_by(v.voter))]
        blocks.append(np.array(rows, dtype=np.int64).reshape(-1, 3).T)
    who, votes, ties = np.concatenate(blocks, axis=1)
    order = np.argsort(who)
    return votes[order], ties[order]


def _in_period(v: Any, first: int, last: int, reference: Reference) -> list[sa.ColumnElement[bool]]:
    found = [v.fate.in_(COUNTED), v.cast_at >= first, v.cast_at <= last]
    return [*found, v.flags.op("&")(reference.left_out) == 0] if reference.left_out else found


def _count_votes(connection: Connection, voters: Iterable[str]) -> dict[str, int]:
    """Return pseudonym → number of counted votes."""
    values = sorted(parse_pseudonym(one) for one in voters)
    v = vote_table.votes_of(connection, values).c
    found: dict[str, int] = {}
    for start in range(0, len(values), dialect.CHUNK):
        query = sa.select(v.voter, sa.func.count()).where(v.voter.in_(values[start : start + dialect.CHUNK]))
        rows = connection.execute(query.where(v.fate.in_(COUNTED)).group_by(v.voter))
        found |= {format_pseudonym(int(voter)): int(number) for voter, number in rows}
    return found
