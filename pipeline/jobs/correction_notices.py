"""Adds correction notices, in which people state an error, to published snapshots.

The CLI and the API use this module.
"""

from typing import Any

from sqlalchemy.engine import Connection

from pipeline.open_store import now
from pipeline.store.alerting import operators_log
from pipeline.store.alerting.operators_log import Operator
from pipeline.store.boards import notices, snapshots, voter_labels


def add_notice(connection: Connection, snapshot: str, text: str, operator: Operator) -> dict[str, Any]:
    """Add a correction notice to a published snapshot, and record this in the operators' log.

    Args:
        connection: a write transaction.
        snapshot: id or digest of the snapshot, or the beginning of either.
        text: one line of text that everybody may read. Pseudonyms and codenames in the text are replaced by public
            labels.
        operator: who adds the notice.

    Returns:
        The notice, as a row of `notices.list_notices`.

    Raises:
        Usage: there is no such snapshot, or the text is empty, too long or has several lines.
    """
    found = snapshots.find(connection, snapshot)
    text = voter_labels.without_names(connection, text)
    added = notices.add_notice(connection, found, text, operator.name, now())
    after = {"number": added["number"], "sequence": added["sequence"]}
    operators_log.record(connection, operator, "notice.add", found.snapshot_id, now(), reason=text, after=after)
    return added
