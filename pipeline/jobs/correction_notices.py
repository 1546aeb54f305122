"""Adds correction notices to published snapshots. The CLI and the API use this module."""

from typing import Any

from sqlalchemy.engine import Connection

from pipeline.open_store import now
from pipeline.store.alerting import operators_log
from pipeline.store.alerting.operators_log import Operator
from pipeline.store.boards import notices, snapshots, voter_labels


def add_notice(connection: Connection, snapshot: str, text: str, operator: Operator) -> dict[str, Any]:
    """Add a correction notice to a published snapshot, record it in the operators' log, and return the notice.

    Args:
        connection: a write transaction.
        snapshot: id or digest of the snapshot, or the beginning of either.
        text: one line of text. Labels replace the pseudonyms and codenames in it, since everybody reads it.
        operator: who adds the notice.

    Raises:
        Usage: there is no such snapshot, or the text is empty, too long or has several lines.
    """
    found = snapshots.find(connection, snapshot)
    text = voter_labels.without_voters(connection, voter_labels.without_codenames(connection, text))
    added = notices.add_notice(connection, found, text, operator.name, now())
    after = {"number": added["number"], "sequence": added["sequence"]}
    operators_log.record(connection, operator, "notice.add", found.snapshot_id, now(), reason=text, after=after)
    return added
