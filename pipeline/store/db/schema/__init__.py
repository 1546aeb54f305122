"""Every table. The migrations build them; these are what queries are written against.

Times are microseconds since 1970 UTC. Models and terms (language, category, network) stand in the
votes as small integers, 0 for absent. A voter is a 64-bit keyed pseudonym, 0 for absent.
`next_offset` is always the next offset to read.

votes.py      votes as they came, where each stands, and how far we have read
evidence.py   what is remembered of voters and windows, and which snapshot it was judged by
alerts.py     alerts, what became of them, and what does not count because of them
ledger.py     the public ledger: the vote log and the snapshot log
boards.py     snapshots, and the verdicts that let them be published
registry.py   what is said about models, and the sweeps that hold it against the votes
running.py    what keeps a store running: facts about it, who may decide, who is at work, what must still be sent
"""

from pipeline.store.db.schema.alerts import alert, alert_event, exclusion
from pipeline.store.db.schema.base import metadata
from pipeline.store.db.schema.boards import snapshot, snapshot_row, verdict
from pipeline.store.db.schema.evidence import (
    closed_window,
    detector_state,
    in_force,
    left_out,
    position,
    voter_state,
    window,
)
from pipeline.store.db.schema.ledger import (
    blind,
    cosignature,
    manifest,
    retraction,
    sealed_total,
    segment,
    segment_range,
)
from pipeline.store.db.schema.registry import registry_event, registry_reject, sweep
from pipeline.store.db.schema.running import lease, meta, outbox, token
from pipeline.store.db.schema.votes import batch, duplicate, model, partition, reject, source, term, vote, vote_key

__all__ = [
    "alert",
    "alert_event",
    "batch",
    "blind",
    "closed_window",
    "cosignature",
    "detector_state",
    "duplicate",
    "exclusion",
    "in_force",
    "lease",
    "left_out",
    "manifest",
    "meta",
    "metadata",
    "model",
    "outbox",
    "partition",
    "position",
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
