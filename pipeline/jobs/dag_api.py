"""Collects the functions that a DAG may import from this project.

A DAG file imports this module inside its tasks only. The scheduler reads the file every 30 s, and these imports take
long.
"""

from pipeline import settings
from pipeline.errors import PublicationHeld, QualityGate, Usage
from pipeline.jobs.audits.sweep import sweep
from pipeline.jobs.backlog.reevaluation import reevaluate
from pipeline.jobs.custody.ledger_audit import audit_ledger
from pipeline.jobs.custody.ledger_verification import verify_ledger
from pipeline.jobs.dag_settings import use_board
from pipeline.jobs.refresh.publish import is_published_since, publish
from pipeline.jobs.refresh.quality_gate import check, check_snapshot
from pipeline.jobs.refresh.rate import rate
from pipeline.jobs.refresh.seal import seal
from pipeline.vocabulary.visible_text import visible

__all__ = [
    "PublicationHeld",
    "QualityGate",
    "Usage",
    "audit_ledger",
    "check",
    "check_snapshot",
    "is_published_since",
    "publish",
    "rate",
    "reevaluate",
    "seal",
    "store_url",
    "sweep",
    "use_board",
    "verify_ledger",
    "visible",
]


def store_url() -> str:
    """Return the address of the store from the settings.

    Each task must call this function instead of passing the address through XCom, because it may contain a password.
    """
    return settings.load().store
