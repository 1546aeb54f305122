"""Contains the jobs that the DAGs, the command line and the API share.

A job returns data; the caller turns the data into text.

dag_api.py          lists the functions that a DAG may import
refresh/            seals, checks, rates and publishes: from committed votes to a signed snapshot
backlog/            evaluates votes from before the first snapshot, and nightly those of the last weeks
custody/            verifies and audits the ledger; witnesses, retraction, erasure, key rotation
audits/             runs the audits of a sweep, and builds the page of a provider
restoration.py      restores a backup of a store
moderation.py       applies decisions of people about alerts and votes
incident_decisions.py  applies decisions of people about a whole incident
incident_actions.py    lists the actions on an incident over HTTP, with their scopes
exclusion_preview.py   computes what a decision about exclusions would change: votes, voters, ranks
correction_notices.py  adds notices of people to published snapshots
detector_replay.py  runs one detector over all stored votes or windows
rebuild_windows.py  rebuilds the window counts that a migration marked stale
store_status.py     reads the store for the metrics exporter
incident_status.py  reads the incidents for the metrics exporter

The functions of this package are loaded when they are first used, so that a command loads only what its job needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.jobs.audits.provider_page import provider_page
    from pipeline.jobs.audits.sweep import sweep
    from pipeline.jobs.backlog.backfill import backfill
    from pipeline.jobs.backlog.reevaluation import reevaluate
    from pipeline.jobs.custody.ledger_audit import audit_ledger
    from pipeline.jobs.custody.ledger_verification import verify_ledger
    from pipeline.jobs.detector_replay import replay_detector
    from pipeline.jobs.refresh.dry_run import dry_run
    from pipeline.jobs.refresh.publish import publish
    from pipeline.jobs.refresh.quality_gate import check, check_snapshot
    from pipeline.jobs.refresh.rate import rate
    from pipeline.jobs.refresh.refresh_board import publish_held, refresh_board
    from pipeline.jobs.refresh.seal import seal
    from pipeline.jobs.store_status import read_store_status

_HOMES = {
    "audit_ledger": "custody.ledger_audit",
    "backfill": "backlog.backfill",
    "check": "refresh.quality_gate",
    "check_snapshot": "refresh.quality_gate",
    "dry_run": "refresh.dry_run",
    "provider_page": "audits.provider_page",
    "publish": "refresh.publish",
    "publish_held": "refresh.refresh_board",
    "rate": "refresh.rate",
    "read_store_status": "store_status",
    "reevaluate": "backlog.reevaluation",
    "refresh_board": "refresh.refresh_board",
    "replay_detector": "detector_replay",
    "seal": "refresh.seal",
    "sweep": "audits.sweep",
    "verify_ledger": "custody.ledger_verification",
}

__all__ = [
    "audit_ledger",
    "backfill",
    "check",
    "check_snapshot",
    "dry_run",
    "provider_page",
    "publish",
    "publish_held",
    "rate",
    "read_store_status",
    "reevaluate",
    "refresh_board",
    "replay_detector",
    "seal",
    "sweep",
    "verify_ledger",
]


def __getattr__(name: str) -> Any:
    """Load a function of `__all__`; Python calls this for a name that the module does not have yet."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    function = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return function
