"""Counts the records of one or more batches by fate, for the summary and the metrics of a worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.events import Reject
from pipeline.metrics import WorkerMetrics
from pipeline.store.votes import partitions
from pipeline.vocabulary.fates import RECORD_FATES

_COUNTS = ("read", *RECORD_FATES)


@dataclass
class IngestTally:
    """Counts records by fate, alerts, and rejects by reason.

    Attributes:
        read: number of all records.
        accepted, duplicate, late, quarantined, rejected: number of records with each fate.
        alerts: number of alerts that were opened or escalated.
        conflicting: number of duplicates whose content differs from the first vote with their id.
        reasons: reason of a rejection → number of records that were rejected for it.
        first: reason of a rejection → (origin, detail) of the first record that was rejected for it. The origin is the
            file and record number, None if unknown. The detail says what is wrong.
    """

    read: int = 0
    accepted: int = 0
    duplicate: int = 0
    late: int = 0
    quarantined: int = 0
    rejected: int = 0
    alerts: int = 0
    conflicting: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    first: dict[str, tuple[str | None, str]] = field(default_factory=dict)

    def add(self, other: IngestTally) -> None:
        """Add the numbers of another tally to this tally.

        For each reason of a rejection, the record with the smaller record number is kept as the first.
        """
        for name in (*_COUNTS, "alerts", "conflicting"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for reason, count in other.reasons.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + count
        for reason, one in other.first.items():
            self.first[reason] = min(self.first.get(reason, one), one, key=_record_number)

    def export(self, metrics: WorkerMetrics, seconds: float) -> None:
        """Add the tally of one batch to a worker's metrics.

        Args:
            metrics: the metrics of the worker; they are updated.
            seconds: time from the poll of the batch to its commit.
        """
        for fate in RECORD_FATES:
            metrics.votes.labels(fate).inc(getattr(self, fate))
        for reason, count in self.reasons.items():
            metrics.rejects.labels(reason).inc(count)
        metrics.batches.inc()
        metrics.batch_seconds.observe(seconds)


def tally_batch(
    progress: Sequence[partitions.BatchProgress],
    alert_ids: Sequence[str],
    rejects: Sequence[Reject],
    origins: Sequence[str | None],
    same_body: Sequence[bool],
) -> IngestTally:
    """Count the records, alerts and rejects of one batch.

    Args:
        progress: numbers of records by fate, for each partition of the batch.
        alert_ids: ids of the alerts of the batch.
        rejects: the rejects of the batch. The field `position` of a reject is an index into `origins`.
        origins: for each record of the batch, the file and record number that it comes from; None if unknown.
        same_body: for each duplicate, whether its content equals that of the first vote with its id.
    """
    tally = IngestTally(alerts=len(set(alert_ids)), conflicting=len(same_body) - sum(same_body))
    for name in _COUNTS:
        setattr(tally, name, sum(getattr(p, name) for p in progress))
    for reject in rejects:
        tally.reasons[reject.reason] = tally.reasons.get(reject.reason, 0) + 1
        one = (origins[reject.position], reject.detail)
        tally.first[reject.reason] = min(tally.first.get(reject.reason, one), one, key=_record_number)
    return tally


def _record_number(one: tuple[str | None, str]) -> int:
    """Return the number of a record in its file, 0 for a record without an origin."""
    number = (one[0] or "").rpartition("#")[2]
    return int(number) if number.isascii() and number.isdigit() else 0
