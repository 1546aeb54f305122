"""Computes what a refresh would publish, without publishing or storing anything.

All steps run in one transaction that is rolled back, and files are written to a temporary folder. While a dry run
lasts, no other process can write to a SQLite store, and no other refresh can seal votes in PostgreSQL.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from pipeline import settings as configuration
from pipeline.errors import BadCounts
from pipeline.jobs.refresh import quality_gate
from pipeline.jobs.refresh.publication_hold import VIEW, far_moves, moves_to_hold
from pipeline.jobs.refresh.rate import rate_log
from pipeline.open_store import existing_store, now
from pipeline.store import Store
from pipeline.store.boards import snapshots, verdicts
from pipeline.store.boards.snapshots import PublishedSnapshot, SnapshotCandidate
from pipeline.store.db.ledger_files import LedgerFiles
from pipeline.store.log import seals

Parts = dict[str, quality_gate.Columns | quality_gate.Rows]


def dry_run(url: str) -> dict[str, Any]:
    """Compute what a refresh would publish now, without a backfill.

    Returns:
        A dictionary with these keys. The candidate is the snapshot that was computed.

        dry_run          True
        would_publish    whether the candidate would be published
        why_not          list of the reasons why it would not be published; empty if it would
        after            sequence number of the newest published snapshot; 0 if there is none
        log_size         number of leaves of the vote log that the candidate rates
        votes_counted    number of votes that the candidate counts
        votes_excluded   number of votes in the log that exclusions leave out
        unrated          [{"model", "reason"}]: the models that the candidate's defended view does not rate
        method           the method in the candidate's body; None if the body has none
        boards           names of the candidate's boards by category and language, sorted
        moves            [{"model", "before", "after", "places"}]: the models whose rank in the defended view differs
                         from their rank in the newest published snapshot (`far_moves`); empty if there is no snapshot
        held             the moves that are so large that the candidate would be held; empty if it would not be held
        gate             {"success": bool, "critical": [text], "warnings": [text]}: the result of the quality gate, with
                         the expectations that failed

    Raises:
        BadCounts: the vote log would be empty.
        RatingError: the votes cannot be rated.
    """
    with existing_store(url) as store, tempfile.TemporaryDirectory() as folder:
        apart = replace(store, files=LedgerFiles(Path(folder)))
        with store.engine.connect() as connection:
            transaction = connection.begin()
            try:
                report, parts = _evaluate(connection, apart)
            finally:
                transaction.rollback()
        gate = _gate(parts)
    reasons = [
        "it would be the same as the newest snapshot" * (report["candidate"] is None),
        "a critical expectation failed" * (not gate["success"]),
        "it moves the top too far" * bool(report["held"]),
    ]
    why_not = [reason for reason in reasons if reason]
    del report["candidate"]
    return {"dry_run": True, "would_publish": not why_not, "why_not": why_not, **report, "gate": gate}


def _evaluate(connection: Connection, store: Store) -> tuple[dict[str, Any], dict[str, Parts]]:
    """Seal and rate; return the report, and the input of each suite of expectations."""
    size = seals.seal(connection, store.files, now()).size
    if not size:
        raise BadCounts("expected votes in the log, got none yet: there is nothing to check or to rate")
    newest = snapshots.latest(connection)
    candidate_id = rate_log(connection, store, size, configuration.load())
    found = snapshots.find_candidate(connection, candidate_id)
    rows = snapshots.read_rows(connection, candidate_id, VIEW)
    same = newest is not None and candidate_id == newest.snapshot_id
    before = snapshots.read_rows(connection, newest.snapshot_id, VIEW) if newest else []
    report = {
        "candidate": None if same else candidate_id,
        **_figures(found, newest),
        "moves": far_moves(before, rows, len(rows) + len(before), 0) if newest else [],
        "held": [] if same else moves_to_hold(connection, rows),
    }
    return report, _parts(connection, found, size)


def _figures(found: SnapshotCandidate, newest: PublishedSnapshot | None) -> dict[str, Any]:
    body = found.body
    return {
        "after": newest.sequence if newest else 0,
        **{name: body[name] for name in ("log_size", "votes_counted", "votes_excluded")},
        "unrated": body["views"][VIEW]["unrated"],
        "method": body.get("method"),
        "boards": sorted(body.get("boards", {})),
    }


def _parts(connection: Connection, found: SnapshotCandidate, size: int) -> dict[str, Parts]:
    passed = verdicts.last_passed(connection, "votes")
    votes = verdicts.read_votes(connection, passed.log_size if passed else 0, size)
    events = verdicts.newest_registry_event(connection)
    views: Parts = {view: snapshots.read_rows(connection, found.snapshot_id, view) for view in found.body["views"]}
    parts: dict[str, Parts] = {"snapshot": views}
    if any(votes.values()):
        parts["votes"] = {"": votes}
    if events:
        parts["registry"] = {"": verdicts.read_registry(connection, events)}
    return parts


def _gate(parts: dict[str, Parts]) -> dict[str, Any]:
    failed: dict[str, list[str]] = {"critical": [], "warnings": []}
    for suite, data in parts.items():
        verdict = quality_gate.evaluate(suite, data)
        failed["critical"] += [f"{suite}: {one}" for one in verdict.critical_failures]
        failed["warnings"] += [f"{suite}: {one}" for one in verdict.warnings]
    return {"success": not failed["critical"], **failed}
