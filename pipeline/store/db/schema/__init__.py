"""Defines the tables as queries use them. The migrations create these tables.

Times are microseconds since 1970 UTC. A model or term (language, category, network, list of categories) is stored as a
small integer, 0 if absent. A voter is stored as a pseudonym of 64 bits, 0 if absent. `next_offset` is always the next
offset to read.

base.py       names of constraints, functions that define columns
votes.py      votes, duplicates, rejects, the dictionaries, and how far each partition is read
evidence.py   states of detectors, windows, and the snapshots in force
alerts.py     alerts with their history, exclusions, and incidents
ledger.py     the public ledger: the vote log and the snapshot log
archive.py    votes that left the hot tables, and the files that hold them
boards.py     snapshots, the verdicts that let them be published, held publications, correction notices
registry.py   registry events and their rejects, and sweeps
backlogs.py   evaluations of votes from before the first snapshot, and of the last weeks
operations.py facts about the store, operators' tokens and log, leases, the outbox
"""

from pipeline.store.db.schema.alerts import alert, alert_event, exclusion, grouping, incident, incident_event
from pipeline.store.db.schema.archive import cold_file, cold_ids, cold_range
from pipeline.store.db.schema.backlogs import backlog_range, backlog_run
from pipeline.store.db.schema.base import metadata
from pipeline.store.db.schema.boards import notice, prepared, publication_hold, snapshot, snapshot_row, verdict
from pipeline.store.db.schema.evidence import (
    closed_window,
    detector_state,
    in_force,
    issued_window,
    left_out,
    position,
    voter_state,
    window,
)
from pipeline.store.db.schema.ledger import (
    blind,
    cosignature,
    frequent_vote,
    kept_votes,
    manifest,
    prompt_count,
    retraction,
    sealed_total,
    segment,
    segment_range,
)
from pipeline.store.db.schema.operations import lease, meta, operator_log, outbox, token
from pipeline.store.db.schema.registry import registry_event, registry_reject, sweep
from pipeline.store.db.schema.votes import (
    batch,
    duplicate,
    file_reading,
    file_records,
    model,
    partition,
    reject,
    source,
    term,
    vote,
    vote_key,
)

__all__ = [
    "alert",
    "alert_event",
    "backlog_range",
    "backlog_run",
    "batch",
    "blind",
    "closed_window",
    "cold_file",
    "cold_ids",
    "cold_range",
    "cosignature",
    "detector_state",
    "duplicate",
    "exclusion",
    "file_reading",
    "file_records",
    "frequent_vote",
    "grouping",
    "in_force",
    "incident",
    "incident_event",
    "issued_window",
    "kept_votes",
    "lease",
    "left_out",
    "manifest",
    "meta",
    "metadata",
    "model",
    "notice",
    "operator_log",
    "outbox",
    "partition",
    "position",
    "prepared",
    "prompt_count",
    "publication_hold",
    "registry_event",
    "registry_reject",
    "reject",
    "retraction",
    "sealed_total",
    "segment",
    "segment_range",
    "snapshot",
    "snapshot_row",
    "source",
    "sweep",
    "term",
    "token",
    "verdict",
    "vote",
    "vote_key",
    "voter_state",
    "window",
]
