"""Contains the jobs that the DAGs, the command line and the API share.

A job returns data; the caller turns the data into text.

dag_api.py          lists the functions that a DAG may import
dag_settings.py     gives the tasks of a DAG the settings of their board
refresh/            makes a signed snapshot from committed votes: seals, checks, rates and publishes
backlog/            evaluates the votes from before the first snapshot, and every night the votes of the last weeks
custody/            verifies, audits and backs up the ledger; retracts and erases votes, rotates keys, runs witnesses
audits/             runs the audits of a sweep, and builds the page of a provider
restoration.py      restores a backup of a store
moderation.py       applies decisions of people about alerts and votes
moderation_targets.py  finds the voters and votes that a decision is about
incident_decisions.py  applies decisions of people about a whole incident
incident_accounts.py   lists the accounts of an incident, what its alerts say about each, and whether the votes of each
                       count
incident_actions.py    lists the actions on an incident that the API offers, and the scope that each needs
exclusion_preview.py   computes how many votes and voters, and which ranks, a decision about exclusions would change
correction_notices.py  adds the correction notices that people write to published snapshots
detector_replay.py  runs one detector over all stored votes or windows
rebuild_windows.py  rebuilds the window counts that a migration marked stale
store_status.py     reads the state of the store for the metrics exporter
incident_status.py  reads the incidents for the metrics exporter

The functions of this package are loaded when they are first used, so that a command loads only what its job needs.
"""

from typing import TYPE_CHECKING

from pipeline.vocabulary.lazy_names import lazy_names

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
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "custody.ledger_audit": "audit_ledger",
            "backlog.backfill": "backfill",
            "refresh.quality_gate": "check check_snapshot",
            "refresh.dry_run": "dry_run",
            "audits.provider_page": "provider_page",
            "refresh.publish": "publish",
            "refresh.refresh_board": "publish_held refresh_board",
            "refresh.rate": "rate",
            "store_status": "read_store_status",
            "backlog.reevaluation": "reevaluate",
            "detector_replay": "replay_detector",
            "refresh.seal": "seal",
            "audits.sweep": "sweep",
            "custody.ledger_verification": "verify_ledger",
        },
    )

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
