"""Evaluates a backlog, opens alerts about what was found, and records the run.

Laws: alerts, ranges and the state of e-LOND are written in one transaction. The tests of pooled voters, networks and
weeks of one run are one family of e-LOND, so that the share of false discoveries over all runs is bounded. An alert
that a person has resolved is not opened again by the same votes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.backlog import BacklogEvaluation, BacklogFindings, fold_key_id
from pipeline.backlog.evaluation import Nested
from pipeline.evidence.multiple_testing import ELond
from pipeline.jobs.backlog.backlog_alerts import NETWORKS, BacklogAlerts
from pipeline.jobs.backlog.backlog_input import BacklogInput
from pipeline.open_store import now
from pipeline.scoring.signals import AlertSignal
from pipeline.store.alerting import alert_lifecycle
from pipeline.store.db import schema
from pipeline.store.votes import backlog_runs
from pipeline.store.votes.backlog_runs import BacklogRun, RunKind

# Pooled voters, networks, weeks: each gets the same share of the level of a family.
_KINDS = 3


@dataclass(frozen=True)
class EvaluationRun:
    """One evaluation of a backlog of a store.

    Attributes:
        kind: `backfill` of votes that no snapshot preceded, or `reevaluate` of the last weeks.
        given: the votes.
        key: the secret key of the folds.
        nested: when the nested form is computed (`BacklogEvaluation`).
        share: the tolerated share of false discoveries over all runs.
        progress: called after each pass over some of the votes.
    """

    kind: RunKind
    given: BacklogInput
    key: bytes
    nested: Nested
    share: float
    progress: Callable[[], None]

    def evaluate(self, start: ELond) -> tuple[BacklogFindings, BacklogAlerts]:
        """Evaluate the votes; `start` is the state of e-LOND before the run."""
        findings = BacklogEvaluation(
            self.given.votes,
            self.key,
            self.nested,
            {NETWORKS: self.given.network_of_voters()},
            self.given.suspects,
            min(start.level / _KINDS, 1.0),
            self.progress,
        ).run()
        return findings, BacklogAlerts(self.given, findings)

    def record(
        self, connection: Connection, findings: BacklogFindings, alerts: BacklogAlerts, start: ELond
    ) -> dict[str, Any]:
        """Open the alerts and record the run; return the report.

        Args:
            connection: a write transaction.
            findings, alerts: the results of `evaluate`.
            start: the state of e-LOND with which the votes were evaluated.
        """
        signals = find_news(connection, alerts.signals())
        ids = alert_lifecycle.open_alerts(connection, signals, self.given.names, now())
        end = self._end(connection, start, len(alerts.discoveries(signals)))
        report = self.report(findings, alerts)
        run = BacklogRun(
            self.kind,
            "nested" if self.nested == "always" else "iterated",
            fold_key_id(self.key),
            findings.rounds,
            findings.nested_rounds,
            report["votes"],
            report["voters"],
            # Votes of an incomplete run stay unchecked, but its alerts are of the one family of all runs.
            self.given.ranges if report["complete"] else (),
            {name: report[name] for name in ("found", "critical", "votes_without_voter")},
            start,
            end,
        )
        backlog_runs.record_run(connection, run, now())
        return {**report, "alerts": ids}

    @staticmethod
    def _end(connection: Connection, start: ELond, discoveries: int) -> ELond:
        """Return the state of e-LOND after the run. A repeated run adds no family and no discovery."""
        newest = backlog_runs.newest_state(connection, start.alpha)
        if newest.submitted > start.submitted:
            return newest
        return ELond(start.alpha, start.submitted + 1, start.rejected + discoveries)

    def report(self, findings: BacklogFindings, alerts: BacklogAlerts) -> dict[str, Any]:
        """Return what was evaluated and found, as JSON types."""
        votes, signals = self.given.votes, alerts.signals()
        missing = int((~findings.evaluated).sum())
        return {
            "kind": self.kind,
            "form": "nested" if findings.nested_rounds else "iterated",
            "rounds": findings.rounds,
            "nested_rounds": findings.nested_rounds,
            "votes": len(self.given.columns.voter),
            "voters": len(votes.names),
            "votes_without_voter": len(self.given.columns.voter) - len(votes.voter),
            "voters_not_comparable": missing,
            "complete": bool(len(votes.names)) and not missing,
            "found": len(signals),
            "critical": sum(one.severity == "critical" for one in signals),
            "findings": [_as_json(one) for one in signals],
        }


def find_news(connection: Connection, signals: list[AlertSignal]) -> list[AlertSignal]:
    """Return the signals that add something to the stored alerts.

    A signal is left out if a person resolved its alert, or if its alert is open with the same level and severity.
    """
    a, found = schema.alert.c, []
    for one in signals:
        key = (a.detector == one.detector, a.subject == one.subject, a.direction == one.direction)
        rows = connection.execute(sa.select(a.state, a.severity, a.level, a.offset).where(*key)).all()
        if any(row.state == "resolved" and row.offset >= one.offset for row in rows):
            continue
        if any(row.state != "resolved" and row.level >= one.level and _covers(row.severity, one) for row in rows):
            continue
        found.append(one)
    return found


def _covers(severity: str, one: AlertSignal) -> bool:
    return severity == "critical" or one.severity == "warning"


def _as_json(one: AlertSignal) -> dict[str, Any]:
    return {
        "detector": one.detector,
        "subject": {"kind": one.subject_kind, "id": one.subject},
        "direction": one.direction,
        "severity": one.severity,
        "e_value": one.e_value,
        "what": one.evidence.get("what", one.evidence["afterwards"]),
        "proposes": _proposal(one),
    }


def _proposal(one: AlertSignal) -> str | None:
    """Return what a person may do; None where the policy does it."""
    if one.severity == "critical":
        return None
    return "exclude" if one.detector != "model_period" else "inspect"
