"""The verbs that the DAGs and the command line share.

A refresh is four steps, each short, each safe to run again: seal (append committed votes to the log),
check (expectations on what is new), rate (boards of the log at a size), publish (sign the result and
give it its place in the log). The same log, exclusions and configuration give one snapshot, however often and by
however many it is asked for.

    refresh.py        seal, check, rate, publish
    counting.py       what a refresh rates: views, exclusions, the baseline of the evidence
    publishing.py     the signed manifest of a snapshot
    signing.py        whose signature stands under it, and how a key takes over
    styling.py        the view under style control
    battles.py        a battle file as columns, record by record; battle_tables.py: by column
    rating.py         rating a battle file, no store
    verification.py   recomputing what is published, from the votes
    ledger_audit.py   the daily audit of the ledger
    replay.py         what a detector would have said about all that is stored
    rebuild_windows.py  counting windows again after a migration
    gathering.py      one look at a store, for audits
    auditing.py       every audit over such a look; registry_audits.py: those of variants and claims
    sweep.py          the audits, the policy, and the alerts that follow
    provider.py       a provider's page of facts
    status.py         what the exporter shows
"""

from pipeline.errors import QualityGate
from pipeline.jobs.audits.provider import provider
from pipeline.jobs.audits.sweep import sweep
from pipeline.jobs.custody.audit import audit
from pipeline.jobs.custody.verification import verify
from pipeline.jobs.rebuild_windows import rebuild_windows
from pipeline.jobs.refresh.steps import check, publish, rate, refresh, seal, store_url
from pipeline.jobs.replay import replay
from pipeline.jobs.store_status import status

__all__ = [
    "QualityGate",
    "audit",
    "check",
    "provider",
    "publish",
    "rate",
    "rebuild_windows",
    "refresh",
    "replay",
    "seal",
    "status",
    "store_url",
    "sweep",
    "verify",
]
