"""Removes what links erased votes to their voter: pseudonyms in alerts and exclusions, and ids of votes in evidence.

An alert about an erased voter keeps its label, figures and history, so that the published reason of an exclusion still
leads to the alert. Nobody can find the voter from the remaining data, even with the voter key.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.cold.vote_positions import read_at
from pipeline.store.db import dialect, schema
from pipeline.store.votes.ingest import VotePosition

ERASED_OFFSET = -1
"""Replaces the offset of an alert whose vote was erased."""

_NAMES_A_VOTE = ("vote_id", "counted", "ignored")
_ERASED = "(erased)"


def forget_voter(connection: Connection, voter: str, now: int) -> None:
    """Remove the pseudonym of a voter from the store's alerts, exclusions, verdicts and incidents.

    In alerts and exclusions about the voter, the stored label replaces the pseudonym. These alerts are resolved and
    lose their offset and all evidence that names a vote. In texts, such as reasons, "(erased)" replaces the pseudonym.
    All incidents are deleted, and the next grouping creates them anew.

    Args:
        connection: the transaction.
        voter: the pseudonym, 16 hexadecimal digits.
        now: present time in microseconds since 1970 UTC.
    """
    overwrite_deleted(connection)
    a, e, x = schema.alert.c, schema.alert_event.c, schema.exclusion.c
    about = connection.execute(sa.select(a.alert_id, a.label, a.state).where(a.subject == voter)).all()
    for alert_id, label, state in about:
        values = {"subject": label, "state": "resolved", "snoozed_until": None, "offset": ERASED_OFFSET}
        connection.execute(sa.update(schema.alert).where(a.alert_id == alert_id).values(**values))
        if state != "resolved":
            entry = {"alert_id": alert_id, "at": now, "action": "resolve", "name": "erasure"}
            connection.execute(schema.alert_event.insert(), {**entry, "reason": "the voter was erased"})
    connection.execute(sa.update(schema.exclusion).where(x.kind == "voter", x.target == voter).values(target=x.label))
    texts = (
        (schema.exclusion, x.reason), (schema.alert_event, e.reason), (schema.alert, a.evidence),
        (schema.incident_event, schema.incident_event.c.reason),
    )  # fmt: skip
    for table, column in (*texts, (schema.verdict, schema.verdict.c.results)):
        replaced = sa.update(table).where(column.contains(voter, autoescape=True))
        connection.execute(replaced.values({column: sa.func.replace(column, voter, _ERASED)}))
    for alert_id, _, _ in about:
        _strip(connection, alert_id)
    # Incidents name voters to operators. They are derived, and the next grouping makes them from what is left.
    connection.execute(sa.delete(schema.incident))
    connection.execute(sa.delete(schema.grouping))


def forget_votes(connection: Connection, votes: Iterable[VotePosition]) -> None:
    """Remove the offsets and ids of some votes from all alerts about voters, before the votes are erased.

    Args:
        connection: the transaction.
        votes: (partition_no, offset) of the votes.
    """
    overwrite_deleted(connection)
    a, places = schema.alert.c, set(votes)
    ids = {vote_id for (vote_id,) in read_at(connection, ("vote_id",), places).values()}
    query = sa.select(a.alert_id, a.partition_no, a.offset, a.evidence).where(a.subject_kind == "voter")
    for alert in connection.execute(query).all():
        opened = (alert.partition_no, alert.offset) in places
        if opened:
            update = sa.update(schema.alert).where(a.alert_id == alert.alert_id)
            connection.execute(update.values(offset=ERASED_OFFSET))
        if opened or json.loads(alert.evidence).get("vote_id") in ids:
            _strip(connection, alert.alert_id)


def overwrite_deleted(connection: Connection) -> None:
    """Make SQLite overwrite the bytes of all data that this connection deletes from now on.

    In PostgreSQL nothing is done: a later vacuum overwrites deleted data.
    """
    if not dialect.has_server(connection):
        connection.exec_driver_sql("PRAGMA secure_delete=ON")


def _strip(connection: Connection, alert_id: str) -> None:
    """Remove the ids and texts that name a vote from the evidence of an alert."""
    a = schema.alert.c
    evidence: Mapping[str, Any] = json.loads(
        connection.scalar(sa.select(a.evidence).where(a.alert_id == alert_id)) or "{}"
    )
    kept = {name: value for name, value in evidence.items() if name not in _NAMES_A_VOTE}
    if "vote_id" in evidence:
        kept["what"] = "a vote was sent again with different content"
    values = {"evidence": json.dumps(kept, sort_keys=True)}
    connection.execute(sa.update(schema.alert).where(a.alert_id == alert_id).values(**values))
