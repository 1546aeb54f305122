"""Adds correction notices to published snapshots, for the CLI and the API alike."""

from typing import Any

from sqlalchemy.engine import Connection

from pipeline.open_store import now
from pipeline.store.alerting import operators_log
from pipeline.store.alerting.operators_log import Operator
from pipeline.store.boards import notices, snapshots


def add_notice(connection: Connection, snapshot: str, text: str, operator: Operator) -> dict[str, Any]:
    """Add a notice to a published snapshot, named by its id, its digest, or the beginning of either; return it.

    Raises:
        Usage: no such snapshot, or a text that is empty, too long or not one line.
    """
    found = snapshots.find(connection, snapshot)
    added = notices.add_notice(connection, found, text, operator.name, now())
    after = {"number": added["number"], "sequence": added["sequence"]}
    operators_log.record(connection, operator, "notice.add", found.snapshot_id, now(), reason=text, after=after)
    return added
