"""Evaluates a backlog of votes, opens alerts about what was found, and records the run.

The alerts, the ranges of offsets that were evaluated, and the state of e-LOND are written in one transaction. In one
run, the tests of groups of voters, cohorts and weeks are one family of e-LOND, so that the share of false discoveries
over all runs is bounded. A run that could test nothing adds no family. A repeated run over the same votes belongs to
the family of the first run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.backlog import BacklogEvaluation, BacklogFindings, fold_key_id
from pipeline.backlog.evaluation import Nested
from pipeline.evidence.multiple_testing import ELond
from pipeline.jobs.backlog import alert_news
from pipeline.jobs.backlog.backlog_alerts import PERIOD, STYLE, BacklogAlerts
from pipeline.jobs.backlog.backlog_input import BacklogInput
from pipeline.open_store import now
from pipeline.scoring.signals import AlertSignal
from pipeline.store.alerting import alert_lifecycle
from pipeline.store.votes import backlog_runs
from pipeline.store.votes.backlog_runs import BacklogRun, RunKind

# Pooled voters, results by weeks, styles by weeks, and four kinds of cohorts share the level of a family equally.
_KINDS = 7


@dataclass(frozen=True)
class EvaluationRun:
    """One evaluation of a backlog of a store.

    Attributes:
        kind: `backfill` for votes from before the first snapshot, or `reevaluate` for the votes of the last weeks.
        given: the votes to evaluate.
        key: the secret key that assigns voters to folds.
        nested: when the nested form is computed: "never", "if_found" or "always" (`BacklogEvaluation`).
        share: the tolerated share of false discoveries over all runs.
        progress: called after each pass over some of the votes, to show progress.
    """

    kind: RunKind
    given: BacklogInput
    key: bytes
    nested: Nested
    share: float
    progress: Callable[[], None]

    def evaluate(self, start: ELond) -> tuple[BacklogFindings, BacklogAlerts]:
        """Evaluate the votes. Nothing is written.

        Args:
            start: the state of e-LOND before the run. The level of e-LOND is divided equally among the kinds of tests.

        Returns:
            The findings, and the object that turns them into alerts.
        """
        findings = BacklogEvaluation(
            self.given.votes,
            self.key,
            self.nested,
            self.given.cohorts(),
            self.given.suspects,
            min(start.level / _KINDS, 1.0),
            self.progress,
            self.given.habits(),
            self.given.providers,
        ).run()
        return findings, BacklogAlerts(self.given, findings)

    def record(
        self, connection: Connection, findings: BacklogFindings, alerts: BacklogAlerts, start: ELond
    ) -> dict[str, Any]:
        """Open or escalate the alerts that are new or stronger than the stored alerts, and record the run.

        Args:
            connection: a write transaction.
            findings, alerts: the results of `evaluate`.
            start: the state of e-LOND with which the votes were evaluated.

        Returns:
            The dictionary that `report` returns, with the added key "alerts": ids of the alerts that were opened or
            escalated.
        """
        signals = alert_news.without_erased(connection, alerts.signals())
        news = alert_news.find_news(connection, signals)
        ids = alert_lifecycle.open_alerts(connection, news, self.given.names, now())
        discoveries = len(alerts.discoveries(news))
        tested = bool(findings.evaluated.any()) or discoveries > 0
        end = self._end(connection, start, discoveries, tested)
        report = self.report(findings, signals)
        run = BacklogRun(
            self.kind,
            "nested" if self.nested == "always" else "iterated",
            fold_key_id(self.key),
            findings.rounds,
            findings.nested_rounds,
            report["votes"],
            report["voters"],
            self.given.ranges,
            # Votes of an incomplete run stay unchecked, but its alerts are of the one family of all runs.
            {name: report[name] for name in ("found", "critical", "votes_without_voter", backlog_runs.COMPLETE)},
            start if tested else end,
            end,
        )
        backlog_runs.record_run(connection, run, now())
        return {**report, "alerts": ids}

    def _end(self, connection: Connection, start: ELond, discoveries: int, tested: bool) -> ELond:
        """Return the state of e-LOND (the procedure that limits false discoveries) after the run.

        The tests of a run count as one family of hypotheses. A repeated run adds no family and no discovery, and
        neither does a run that could test nothing (`tested` is false).
        """
        newest = backlog_runs.newest_state(connection, start.alpha)
        if not tested or backlog_runs.repeated_state(connection, self.kind, self.given.ranges, start.alpha):
            return newest
        return ELond(start.alpha, newest.submitted + 1, newest.rejected + discoveries)

    def report(self, findings: BacklogFindings, signals: list[AlertSignal]) -> dict[str, Any]:
        """Return a report of what was evaluated and found.

        Args:
            findings: the findings that `evaluate` returned.
            signals: the alerts about the findings.

        Returns:
            A dictionary of JSON types with the keys "kind" to "findings" that `backfill.backfill` describes.
        """
        votes = self.given.votes
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
            backlog_runs.COMPLETE: bool(len(votes.names)) and not missing,
            "found": len(signals),
            "critical": sum(one.severity == "critical" for one in signals),
            "findings": [_as_json(one) for one in signals],
        }


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
    """Return what a person may do about an alert; None if the policy acts on it."""
    if one.severity == "critical":
        return None
    return "inspect" if one.detector in (PERIOD, STYLE) else "exclude"
