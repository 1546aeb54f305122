"""Runs the nightly re-evaluation over a simulated stream in some nights, without a store.

The rules are those of `pipeline.jobs.backlog`: each night evaluates the votes of the last weeks by comparing voters
with other voters, each night is one family of e-LOND, and a finding is news only if it says more than earlier nights.
To save time, only every fourth night of the evaluated votes is run, and none before them. The other nights count as
families that found nothing, so each run has the level that it would have after them, or a lower one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.backlog import BacklogVotes
from pipeline.events.pseudonym import parse_pseudonym
from pipeline.evidence.multiple_testing import ELond
from pipeline.jobs.backlog.backlog_alerts import BacklogAlerts
from pipeline.jobs.backlog.backlog_input import BacklogInput
from pipeline.jobs.backlog.evaluation_run import EvaluationRun
from pipeline.lab.redteam.detector_run import DetectorRun, RaisedAlert
from pipeline.lab.simulate import SimulatedStream
from pipeline.lab.simulate.voter_population import NETWORKS
from pipeline.scoring.signals import AlertSignal
from pipeline.settings import Settings
from pipeline.store.votes.backlog_columns import STYLE_FEATURES, BacklogColumns
from pipeline.vocabulary.time import DAY

EVERY = 4
"""The number of days from one night that is run to the next."""

_KEY = b"nightly runs of the red team"
# Pseudonym 0 stands for a vote without a voter, so the pseudonym of a voter is its code and this.
_FIRST = 1


def with_nights(run: DetectorRun) -> DetectorRun:
    """Return a run of all detectors with the alerts of the nightly re-evaluations added, in order of time."""
    return replace(run, alerts=sorted([*run.alerts, *nightly_alerts(run)], key=lambda one: (one.at, one.detector)))


def nightly_alerts(run: DetectorRun) -> list[RaisedAlert]:
    """Return the alerts of the nightly re-evaluations of every fourth night (EVERY), in order of the nights.

    An alert that opens or escalates in a night is returned once for that night.
    """
    share, weeks = (Settings.model_fields[name].default for name in ("nightly_share", "nightly_weeks"))
    first, split, end = (int(run.stream.cast_at[row]) for row in (0, run.split, len(run.stream) - 1))
    news = _News(run.stream, end)
    # The backfill is a family of its own.
    state = ELond(share, 1 + (split - first) // DAY)
    for night in range(split + EVERY * DAY, end + EVERY * DAY, EVERY * DAY):
        state = replace(state, submitted=state.submitted + EVERY - 1)
        given = _votes_until(run, night, weeks * 7 * DAY)
        evaluation = EvaluationRun("reevaluate", given, _KEY, "never", share, lambda: None)
        _, found = evaluation.evaluate(state)
        told = list(news.select(found))
        state = ELond(state.alpha, state.submitted + 1, state.rejected + len(found.discoveries(told)))
    return news.alerts


def _votes_until(run: DetectorRun, night: int, weeks: int) -> BacklogInput:
    """Return the votes that a night evaluates, with the voters whom a streaming detector has flagged by then.

    Args:
        run: the run of the detectors over the stream.
        night: the time of the night, in microseconds since 1970 UTC.
        weeks: how long before the night the first of the votes was cast at most, in microseconds.
    """
    stream = run.stream
    rows = np.flatnonzero((stream.cast_at < night) & (stream.cast_at >= night - weeks))
    some = stream.take(rows)
    a, b = (side.astype(np.int32) for side in (some.model_a, some.model_b))
    columns = BacklogColumns(
        partition=np.ones(len(rows), dtype=np.int32),
        offset=rows.astype(np.int64),
        voter=some.voter.astype(np.int64) + _FIRST,
        at=some.cast_at,
        model_a=a + 1,
        model_b=b + 1,
        outcome=some.outcome,
        network=some.network.astype(np.int32) + 1,
        since=some.voter_since,
        prompt=some.prompt_hash.view(np.int64),
        session=np.zeros(len(rows), dtype=np.int64),
        style=np.zeros((len(rows), STYLE_FEATURES), dtype=np.int8),
    )
    models = len(stream.models)
    votes = BacklogVotes.from_columns(models, columns.voter, a, b, columns.outcome, columns.at, columns.network)
    flagged = [int(one.subject, 16) + _FIRST for one in run.alerts if one.row >= 0 and one.at < night]
    return BacklogInput(
        [],
        columns,
        votes,
        np.arange(1, models + 1),
        {code + 1: name for code, name in enumerate(stream.models)},
        {place + 1: name for place, name in enumerate(NETWORKS)},
        np.isin(votes.names, np.array(sorted(set(flagged)), dtype=np.int64)),
    )


@dataclass
class _News:
    """Selects the signals of each night that say more than those of earlier nights, as `alert_news` does in a store.

    Attributes:
        stream: the votes.
        end: the time of the last vote, in microseconds since 1970 UTC.
        levels: detector, subject and direction → the highest level of an earlier signal.
        groups: id of a signal about a group → the first signal about the same group.
        alerts: the alerts that were selected.
    """

    stream: SimulatedStream
    end: int
    levels: dict[tuple[str, str, str], int] = field(default_factory=dict)
    groups: dict[str, AlertSignal] = field(default_factory=dict)
    alerts: list[RaisedAlert] = field(default_factory=list)

    def select(self, found: BacklogAlerts) -> Iterator[AlertSignal]:
        """Yield the signals of a night that are news, and add an alert for each to `alerts`."""
        for one in found.signals():
            key = one.detector, one.subject, one.direction
            if one.subject_kind == "model":
                self.groups[one.alert_id] = one
            if self.levels.get(key, 0) >= one.level:
                continue
            self.levels[key] = one.level
            self.alerts.append(self._alert(one))
            yield one

    def _alert(self, one: AlertSignal) -> RaisedAlert:
        subject, row, evidence = one.subject, -1, dict(one.evidence)
        if one.subject_kind == "voter":
            subject, row = f"{parse_pseudonym(subject) - _FIRST:016x}", one.offset
        if "group" in evidence:
            about = self.groups[evidence["group"]]
            evidence["group"] = {"model": about.subject, "direction": about.direction}
        return RaisedAlert(
            one.detector, subject, one.direction, one.severity, one.at, row, evidence, max(self.end, one.at),
            one.e_value, one.subject_kind,
        )  # fmt: skip
