"""Groups the stored alerts into incidents. An incident has the alerts that one claim explains.

Incidents are derived data: grouping the same alerts, votes, exclusions and decisions again gives the same rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.events.pseudonym import format_pseudonym
from pipeline.incidents.carriers import NONE, union
from pipeline.incidents.claims import BOARD, FACT
from pipeline.incidents.grouping import Incident, group_alerts
from pipeline.store.alerting import incident_table, public_incidents
from pipeline.store.alerting.carried_alerts import read_carried
from pipeline.store.alerting.incident_table import StoredIncident
from pipeline.store.alerting.snapshot_ranks import SnapshotRanks
from pipeline.store.boards import exclusion_list
from pipeline.store.boards.exclusion_list import ActiveExclusion
from pipeline.store.cold import vote_table
from pipeline.store.db import dialect, schema
from pipeline.store.votes.packed_positions import pack_positions
from pipeline.store.votes.vote_selections import VoteSelection
from pipeline.vocabulary.alert_states import ALERT_STATES
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.fates import COUNTED
from pipeline.vocabulary.time import HOUR, format_rfc3339

if TYPE_CHECKING:
    from pipeline.store.alerting.suspected_accounts import SuspectedAccounts

_BLOCK = 200_000
_NAMED_FACTS = 5
_OF_EXCLUSIONS = ("accounts_left_out", "votes_left_out", "excluded_by", "rank", "awaits_refresh")


@dataclass(frozen=True, slots=True)
class _Figures:
    """What the store says about exclusions, ranks and decisions.

    Attributes:
        active: the exclusions in force.
        by_alert: id of an alert → the targets that were excluded because of it.
        ranks: the ranks of models; None if the database role may not read exclusions.
        acted: the ids of incidents under which people decided something.
    """

    active: Sequence[ActiveExclusion]
    by_alert: Mapping[str, set[str]]
    ranks: SnapshotRanks | None
    acted: Set[str]


def regroup(connection: Connection) -> int:
    """Group all alerts into incidents and replace the stored incidents.

    Nothing is written if no alert, decision, exclusion or snapshot has changed since the last grouping. If the database
    role, such as that of the monitor, may not read exclusions, the figures about exclusions are copied from the last
    grouping.

    Returns:
        The number of incidents.
    """
    if incident_table.is_current(connection):
        return len(incident_table.read_public(connection))
    carried = read_carried(connection)
    shown = {alert["id"]: alert for _, alert in carried}
    incidents = group_alerts((one for one, _ in carried), incident_table.read_decisions(connection))
    acted = incident_table.ids_with_events(connection)
    # SciPy is slow to import, and a list of incidents that are up to date does not need it.
    from pipeline.store.alerting.suspected_accounts import find_suspected  # noqa: PLC0415

    suspected = find_suspected(connection, incidents, shown, incident_table.read_all(connection))
    if dialect.may_read(connection, "exclusion", "target"):
        active, ranks = exclusion_list.read_active(connection), SnapshotRanks(connection)
        by_alert = exclusion_list.read_targets_by_alert(connection)
        figures = _Figures(active, by_alert, ranks, acted)
        rows = [_stored(connection, one, shown, suspected[one.incident_id], figures) for one in incidents]
    else:
        before = {one["id"]: one for one in incident_table.read_public(connection)}
        figures = _Figures((), {}, None, acted)
        made = (_stored(connection, one, shown, suspected[one.incident_id], figures) for one in incidents)
        rows = [_with_figures_of(before, one) for one in made]
    incident_table.replace_all(connection, rows)
    return len(rows)


def _with_figures_of(before: Mapping[str, Mapping[str, Any]], row: StoredIncident) -> StoredIncident:
    """Return a copy of an incident's row with the figures about exclusions from the last grouping.

    `before` has the bodies that the last grouping stored, by id of the incident.
    """
    known = before.get(row.incident_id, {})
    left_out = {name: one for name, one in known.get("suspected", {}).items() if name in _OF_EXCLUSIONS}
    suspected = {**row.body["suspected"], **left_out}
    figures = {name: known[name] for name in _OF_EXCLUSIONS if name in known}
    return replace(row, body={**row.body, **figures, "suspected": suspected})


def _stored(
    connection: Connection,
    incident: Incident,
    shown: Mapping[str, Mapping[str, Any]],
    suspected: SuspectedAccounts,
    figures: _Figures,
) -> StoredIncident:
    alerts = [shown[one.alert_id] for one in incident.alerts]
    voters = sorted(_pseudonyms(incident, shown))
    ranks, every = figures.ranks, {*voters, *suspected.e_values}
    mine = [one for one in figures.active if _is_of(one, every, incident, figures.by_alert)]
    left_out_voters = {one.target for one in mine if one.kind == "voter"}.intersection(voters)
    about = incident.claims[0]
    e_values = [one["e_value"] for one in alerts if one["e_value"] is not None]
    body = {
        "id": incident.incident_id,
        "opened_at": _hour(incident.opened_at),
        "begun_at": _hour(incident.begun_at),
        "last_at": _hour(incident.last_at),
        "severity": _severity(incident),
        "state": _state(one["state"] for one in alerts),
        "about": [{"kind": one.kind, "name": one.name, "effect": one.effect} for one in incident.claims],
        "what": _what(incident, alerts),
        "e_value": max(e_values, default=None),
        "alerts": len(alerts),
        "alert_ids": [one.alert_id for one in incident.alerts],
        "detectors": dict(sorted(Counter(one["detector"] for one in alerts).items())),
        "accounts": len(voters),
        "accounts_left_out": len(left_out_voters),
        "votes": _count_votes(incident),
        "votes_left_out": _count_left_out(connection, incident, mine),
        "suspected": suspected.counts(mine),
        "excluded_by": sorted({one.name for one in mine}),
        "rank": None
        if ranks is None or about.kind != "model"
        else ranks.of_model(about.name, incident.begun_at // HOUR * HOUR, (incident.last_at // HOUR + 1) * HOUR),
        "awaits_refresh": ranks is not None and ranks.await_refresh(mine),
        "former_ids": sorted(incident.former_ids),
        "named": public_incidents.models_named(incident, alerts),
        "public": public_incidents.public_part(incident, figures.acted),
    }
    private = {
        "first": format_rfc3339(incident.begun_at),
        "last": format_rfc3339(incident.last_at),
        "voters": voters,
        "suspects": suspected.document(),
        "networks": _networks(connection, incident),
    }
    return StoredIncident(incident.incident_id, incident.opened_at, body, private)


def _what(incident: Incident, alerts: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of an incident about a fact; "" for any other incident.

    A fact is an observation without an error rate, such as a removed name. The text says what was observed. If the
    incident has facts about other subjects, the text also names these subjects.
    """
    about = incident.claims[0]
    if about.kind != FACT:
        return ""
    facts = [(one.claim, alert) for one, alert in zip(incident.alerts, alerts, strict=True) if one.claim.kind == FACT]
    what, subject = next(
        (str(alert["evidence"].get("what", "")), alert["subject"]["id"]) for claim, alert in facts if claim == about
    )
    others = sorted({alert["subject"]["id"] for _, alert in facts} - {subject, BOARD})
    if not what or not others:
        return what
    more = len(others) - _NAMED_FACTS
    return f"{what}; also about {', '.join(others[:_NAMED_FACTS])}{f' and {more} more' if more > 0 else ''}"


def _pseudonyms(incident: Incident, shown: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Return the pseudonyms of an incident's voters. An erased voter has the label from the voter's alert instead."""
    named = {one.voter: shown[one.alert_id]["subject"]["id"] for one in incident.alerts if one.voter}
    return {named.get(voter) or format_pseudonym(voter) for voter in incident.voters}


def _is_of(exclusion: ActiveExclusion, voters: set[str], incident: Incident, by_alert: Mapping[str, set[str]]) -> bool:
    """Return whether an exclusion is about a voter of the incident, or was caused by an alert of the incident."""
    if exclusion.kind == "voter":
        return exclusion.target in voters
    return any(exclusion.target in by_alert.get(one.alert_id, ()) for one in incident.alerts)


def _severity(incident: Incident) -> str:
    return "note" if incident.is_note else "critical" if incident.is_critical else "warning"


def _state(states: Iterable[str]) -> str:
    """Return the state of an incident: the first of ALERT_STATES that one of its alerts has."""
    return min(states, key=ALERT_STATES.index)


def _hour(at: int) -> str:
    return format_rfc3339(at // HOUR * HOUR)


def _count_votes(incident: Incident) -> int:
    """Return the number of votes of the incident's accounts.

    An incident may have no accounts. Then each of its alerts has a number of votes beyond expectation, or a number of
    votes that it is about. The largest of these numbers is returned.
    """
    own = incident.votes_by_voter()
    if own:
        return len(union([*own.values()]))
    beyond = [len(one.core) if one.excess is None else one.excess for one in incident.alerts]
    return round(max(beyond, default=0))


def _count_left_out(connection: Connection, incident: Incident, mine: Sequence[ActiveExclusion]) -> int:
    """Return the number of votes that the exclusions of an incident leave out.

    A vote under two exclusions counts once.
    """
    voters = {one.target for one in mine if one.kind == "voter"}
    own = [votes for voter, votes in incident.votes_by_voter().items() if format_pseudonym(voter) in voters]
    selections = sorted({one.target for one in mine if one.kind == "votes"})
    # Joined, because a selection may have votes of an account that is left out too.
    return len(union([*own, *(_selected(connection, VoteSelection.parse(one)) for one in selections)]))


def _selected(connection: Connection, selection: VoteSelection) -> Int64:
    """Return the positions of the counted votes of a selection, each packed into one int64."""
    table = selection.table(connection)
    v = table.c
    query = sa.select(v.partition_no, v.offset).where(v.fate.in_(COUNTED), *selection.conditions(table))
    blocks = dialect.read_integers(connection, query, _BLOCK)
    return np.concatenate([NONE, *(pack_positions(*block) for block in blocks)])


def _networks(connection: Connection, incident: Incident) -> list[str]:
    """Return the networks from which the accounts of an incident voted."""
    voters = sorted(incident.voters)
    if not voters or not dialect.may_read(connection, "vote", "voter"):
        return []
    table = vote_table.votes_of(connection, voters)
    v, t = table.c, schema.term.c
    found: set[str] = set()
    for start in range(0, len(voters), dialect.CHUNK):
        chosen = v.voter.in_(voters[start : start + dialect.CHUNK])
        query = sa.select(t.text).distinct().join(table, v.network == t.term_no).where(chosen, v.network != 0)
        found |= set(connection.scalars(query))
    return sorted(found)
