# ruff: noqa: RUF009 - _gauge() and _counter() are dataclasses.field()
"""Exports metrics of the store to Prometheus. Each scrape reads the store. Each field of `StoreStatus` is a metric."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.vocabulary.visible_text import visible

# A board has some hundreds of models; the cap protects against a board flooded with names.
MAX_MODELS = 500
# Open incidents with series of their own. A board with more of them has one fault rather than a hundred campaigns.
MAX_INCIDENTS = 100

Labelled = Mapping[tuple[str, ...], float]


def _gauge(name: str, text: str, *labels: str) -> Any:
    """Return a field of `StoreStatus` that is exported as a gauge."""
    return _exported_as(GaugeMetricFamily, name, text, labels)


def _counter(name: str, text: str, *labels: str) -> Any:
    """Return a field of `StoreStatus` that is exported as a counter: the store never lowers its value."""
    return _exported_as(CounterMetricFamily, name, text, labels)


def _exported_as(family: type[Metric], name: str, text: str, labels: tuple[str, ...]) -> Any:
    about = {"family": family, "name": name, "help": text, "labels": labels}
    return field(default_factory=dict, metadata=about) if labels else field(default=None, metadata=about)


@dataclass(frozen=True)
class StoreStatus:
    """The figures of a store. Each field is one Prometheus metric.

    The value of a metric without labels is a number, or None if the metric has no value. The value of a metric with
    labels is a mapping: label values, in the order of the label names in the field's definition → number.
    """

    # Alerts in state open or acknowledged. Alertmanager sends them; their evidence is in the store.
    alerts_open: Labelled = _gauge("integrity_alerts_open", "Open alerts.", "detector", "severity")
    # Alerts ever opened, each counted once under every severity it has reached: when a warning becomes critical,
    # `critical` rises and `warning` stays, so that no counter falls.
    alerts_opened: Labelled = _counter("integrity_alerts_opened_total", "Alerts ever opened.", "detector", "severity")
    # Incidents in state open or acknowledged: alerts of one campaign are one incident. A `note` is one voter's habit.
    incidents_open: Labelled = _gauge("integrity_incidents_open", "Open incidents.", "severity", "kind")
    # 1 for each of the MAX_INCIDENTS most severe open incidents, notes excepted; the series ends when nobody needs to
    # act any more. kind: model, provider, habit, network, board, fact. effect: lifted, lowered, more votes, or empty.
    # target: the model or provider, the habit, or the detector of a fact; empty where the name is not public.
    incident_open: Labelled = _gauge(
        "integrity_incident_open", "An open incident.", "incident", "severity", "kind", "effect", "target"
    )
    # How many accounts its alerts name; 0 if they name none.
    incident_accounts: Labelled = _gauge("integrity_incident_accounts", "Accounts of an open incident.", "incident")
    # The votes of its accounts, or the number of votes beyond expectation.
    incident_votes: Labelled = _gauge("integrity_incident_votes", "Votes of an open incident.", "incident")
    # Its votes that exclusions leave out of the defended view.
    incident_votes_left_out: Labelled = _gauge(
        "integrity_incident_votes_left_out", "Excluded votes of an open incident.", "incident"
    )
    # Its accounts whose votes exclusions leave out.
    incident_accounts_left_out: Labelled = _gauge(
        "integrity_incident_accounts_left_out", "Excluded accounts of an open incident.", "incident"
    )
    # 1 if some of what is left out still counts in the newest snapshot, else 0.
    incident_awaits_refresh: Labelled = _gauge(
        "integrity_incident_awaits_refresh", "1 if an exclusion of an open incident waits for a refresh.", "incident"
    )
    # The largest of its alerts; none for a recorded fact.
    incident_e_value: Labelled = _gauge("integrity_incident_e_value", "Evidence of an open incident.", "incident")
    # The hour of its first vote.
    incident_begun: Labelled = _gauge(
        "integrity_incident_begun_timestamp_seconds", "Unix time of an open incident's begin, by hour.", "incident"
    )
    # Where its model stands in the newest snapshot, in views raw and defended.
    incident_rank: Labelled = _gauge("integrity_incident_rank", "Rank of an incident's model.", "incident", "view")
    # when is before or after: the ranks between which the incident moved its model, as its headline states them. None
    # before they are known.
    incident_rank_change: Labelled = _gauge(
        "integrity_incident_rank_change", "Rank of an incident's model before and after it.", "incident", "when"
    )
    # Alerts in state open or acknowledged that the newest grouping into incidents does not have yet. The monitor groups
    # every 10 s, so a number that stays means that no incident pages for these alerts.
    alerts_ungrouped: Labelled = _gauge(
        "integrity_alerts_ungrouped", "Open alerts in no incident yet.", "detector", "severity"
    )
    # Entries of the operators' log, without exports, logins and refusals.
    decisions: Labelled = _counter("integrity_decisions_total", "Decisions of people, by action.", "action")
    # Unresolved halts: too_many_rejects, offset_gap, quality_gate.
    halts_open: Labelled = _gauge("integrity_halts_open", "Halts that wait for a person.", "reason")
    # Stored votes: accepted, late, quarantined.
    votes: Labelled = _counter("integrity_votes_total", "Votes stored, by fate.", "fate")
    # place: hot in the tables of the database, cold in the files of the archive.
    votes_kept: Labelled = _gauge("integrity_votes_kept", "Votes by where they are kept.", "place")
    # The files of archived votes and of their ids.
    archive_bytes: float | None = _gauge("integrity_archive_bytes", "Size of the archive's files.")
    # Accepted and late votes that no snapshot preceded.
    unchecked_votes: float | None = _gauge("integrity_unchecked_votes", "Votes never checked for manipulation.")
    # Stored rejects.
    rejects: Labelled = _counter("integrity_rejects_total", "Records rejected, by reason.", "reason")
    # The next offset to read of each partition.
    next_offset: Labelled = _gauge("integrity_partition_next_offset", "Next offset to read.", "source", "partition")
    # next_offset - sealed_offset: votes that no snapshot can count yet.
    unsealed_offsets: Labelled = _gauge(
        "integrity_unsealed_offsets", "Offsets committed and not sealed.", "source", "partition"
    )
    # Event time up to which a partition is complete: its largest event time minus the lateness.
    watermark: Labelled = _gauge(
        "integrity_partition_watermark_timestamp_seconds", "Watermark, event time.", "source", "partition"
    )
    # Event time up to which the monitor has closed windows: the smallest watermark, at most five minutes later.
    monitor_position: float | None = _gauge(
        "integrity_monitor_position_timestamp_seconds", "End of the last closed window, event time."
    )
    # Time of the last committed batch that held a vote, on the database's clock.
    last_ingest: float | None = _gauge(
        "integrity_last_ingest_timestamp_seconds", "Unix time of the last committed batch with votes."
    )
    # End of the last refresh that published or had nothing new to publish.
    refresh_last_success: float | None = _gauge(
        "integrity_refresh_last_success_timestamp_seconds", "Unix time of the last successful refresh."
    )
    # End of the last ledger audit without a fault. A fault opens a critical alert.
    audit_last_success: float | None = _gauge(
        "integrity_audit_last_success_timestamp_seconds", "Unix time of the last audit that passed."
    )
    # 1 if the last verdict of every suite passed, else 0.
    quality_gate_success: float | None = _gauge(
        "integrity_quality_gate_success", "1 if the last quality check passed, 0 if it failed."
    )
    # Failed expectations of severity warning; suite is votes, registry or snapshot. `integrity doctor` lists them.
    quality_warnings: Labelled = _gauge(
        "integrity_quality_warnings", "Warnings of the last quality check, by suite.", "suite"
    )
    # Candidates that a person must release (INTEGRITY_HOLD_PLACES); those that can no longer be published do not count.
    publications_held: float | None = _gauge("integrity_publications_held", "Candidates that wait for a person.")
    # Grows by one with each snapshot.
    snapshot_sequence: float | None = _gauge("integrity_snapshot_sequence", "Sequence of the latest snapshot.")
    # Votes that the latest snapshot counted in raw, defended and style.
    snapshot_votes: Labelled = _gauge(
        "integrity_snapshot_votes", "Votes counted in the latest snapshot, by view.", "view"
    )
    # Votes that exclusions leave out of its defended view.
    snapshot_excluded_votes: float | None = _gauge(
        "integrity_snapshot_excluded_votes", "Votes excluded from the defended view."
    )
    # Above 0.2 many people most likely share one voter id. 0 without such a voter.
    dominant_voter_share: float | None = _gauge(
        "integrity_dominant_voter_share", "Share of all votes of a voter with more than a fifth of them, else 0."
    )
    # Models outside the rated component. A jump means that the graph of battles has split.
    unrated_models: float | None = _gauge("integrity_unrated_models", "Models without a rating.")
    # Points as on the leaderboard, of the first MAX_MODELS of each view.
    rating_points: Labelled = _gauge("integrity_rating_points", "Rating in the latest snapshot.", "model", "view")
    # 1 is the top. The rank also decides which models are exported.
    rating_rank: Labelled = _gauge("integrity_rating_rank", "Rank in the latest snapshot.", "model", "view")


class StoreCollector(Collector):
    """Exports the status of a store to Prometheus. The store is read once per scrape.

    Args:
        read: reads the store; any exception means that the store cannot be read.
        version: version of this package, for `integrity_build_info`.

    Attributes:
        error: why the last read failed, None if it succeeded; for `/healthz`.
    """

    def __init__(self, read: Callable[[], StoreStatus], version: str = "unknown") -> None:
        self._read = read
        self._version = version
        self.error: str | None = None

    def own_registry(self) -> CollectorRegistry:
        """Return a Prometheus registry that contains only this collector."""
        registry = CollectorRegistry()
        registry.register(self)
        return registry

    def describe(self) -> Iterable[Metric]:
        """Return no metrics, so that registering the collector does not read the store."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every metric that has a value, or only the version and a store_up of 0 if the store cannot be read."""
        status = self._status()
        # The value is always 1; the label has the version.
        build = GaugeMetricFamily("integrity_build_info", "Version of the exporter.", labels=("version",))
        build.add_metric((self._version,), 1)
        yield build
        # 1 if the numbers below were read for this scrape, 0 if there are none because the store does not answer.
        yield GaugeMetricFamily("integrity_exporter_store_up", "1 if the store was read.", value=status is not None)
        if status is not None:
            yield from _families(status)

    def _status(self) -> StoreStatus | None:
        try:
            status = self._read()
        except Exception as fault:  # if a collector raises, store_up is missing too
            self.error = f"{type(fault).__name__}: {fault}"
            return None
        self.error = None
        return status


def _families(status: StoreStatus) -> Iterator[Metric]:
    shown = _top_models(status.rating_rank)
    for each in fields(status):
        value = getattr(status, each.name)
        if "model" in each.metadata["labels"]:
            value = {key: number for key, number in value.items() if key in shown}
        if value is not None:
            yield _family(each, value)


def _family(about: Field[Any], value: float | Labelled) -> Metric:
    labels: tuple[str, ...] = about.metadata["labels"]
    made: Any = about.metadata["family"](about.metadata["name"], about.metadata["help"], labels=labels)
    for key, number in value.items() if isinstance(value, Mapping) else [((), value)]:
        made.add_metric([visible(part, lines=True) for part in key], number)  # the client escapes line breaks
    result: Metric = made
    return result


def _top_models(ranks: Labelled) -> frozenset[tuple[str, ...]]:
    """Return the (model, view) pairs of the first MAX_MODELS of each view."""
    by_view: dict[str, list[tuple[float, str]]] = {}
    for (model, view), rank in ranks.items():
        by_view.setdefault(view, []).append((rank, model))
    return frozenset((m, view) for view, ranked in by_view.items() for _, m in sorted(ranked)[:MAX_MODELS])
