# ruff: noqa: RUF009 - _gauge() and _counter() are dataclasses.field()
"""Every Prometheus metric of the project, each with a comment, and the only import of the client library.

1. One prefix, `integrity_`; base units; counters end in `_total`; times are Unix seconds.
2. Labels are bounded: fates, reasons, detectors, severities, views, partitions, and models that are on the
   board. Never a voter, a network or a name that the stream made up.
3. The exporter says what the store says at the moment of the scrape. When the store cannot be read there are
   no numbers, only `integrity_exporter_store_up 0`: a stale number looks like a healthy one.

A worker counts in its process and starts at 0 again; the exporter reads the store, whose counts stay.
Not handled: more than one process behind one port; every worker has a port of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    make_wsgi_app,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.vocabulary.fates import RECORD_FATES

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

# A `_created` gauge for each counter would double the series and no rule reads them. The client only has a
# switch for the whole process.
disable_created_metrics()  # type: ignore[no-untyped-call]

# Models on a board are some hundreds; the cap is for a board that somebody floods with names.
MODELS = 500

# Of a vote, at the worker. Series that exist from the start are 0, so that rate() sees the first one.

# A batch is 250 ms or 5,000 to 20,000 votes; from 10 s on the database's own limits have ended it.
BATCH_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Labelled = Mapping[tuple[str, ...], float]


class WorkerMetrics:
    """What one worker counts about itself, in a registry of its own.

    Args:
        registry: where the metrics live; a new one if none is given.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        # Votes whose batch is committed, by what became of them. The sum is what was read.
        self.votes = Counter(
            "integrity_worker_votes_total", "Votes committed, by fate.", ("fate",), registry=self.registry
        )
        # Committed batches.
        self.batches = Counter("integrity_worker_batches_total", "Batches committed.", registry=self.registry)
        # From the first record of a batch to its commit.
        self.batch_seconds = Histogram(
            "integrity_worker_batch_seconds",
            "Seconds from a batch's first record to its commit.",
            registry=self.registry,
            buckets=BATCH_SECONDS,
        )
        # End offset minus the next offset to read; only of partitions that this worker owns (see `revoked`).
        self.partition_lag = Gauge(
            "integrity_worker_partition_lag_offsets",
            "Offsets between the end of an owned partition and the next one to read.",
            ("source", "partition"),
            registry=self.registry,
        )
        # Set on a commit and on proven idleness (the end reached), never because the loop turned.
        self.last_progress = Gauge(
            "integrity_worker_last_progress_timestamp_seconds",
            "Unix time of the last commit or of proven idleness.",
            registry=self.registry,
        )
        # Batches dropped because another worker owns the partition now. A few a rebalance are healthy.
        self.fenced = Counter("integrity_worker_fenced_total", "Batches dropped by the fence.", registry=self.registry)
        # 1 from a stop limit or an offset gap until the process ends: it does not go on by itself.
        self.halted = Gauge(
            "integrity_worker_halted",
            "1 while the worker is halted by a limit or a gap.",
            registry=self.registry,
        )
        # Why records were rejected; reasons are the fixed words of `errors.BadRecord`.
        self.rejects = Counter(
            "integrity_worker_rejects_total",
            "Records rejected, by reason.",
            ("reason",),
            registry=self.registry,
        )
        for fate in RECORD_FATES:
            self.votes.labels(fate)

    def revoked(self, source: str, partition: int) -> None:
        """Forget a partition that another worker owns now: its last lag would stand for ever."""
        self.partition_lag.remove_by_labels({"source": source, "partition": str(partition)})


def _gauge(name: str, text: str, *labels: str) -> Any:
    """A field of `StoreStatus` that is shown as one gauge."""
    return _shown_as(GaugeMetricFamily, name, text, labels)


def _counter(name: str, text: str, *labels: str) -> Any:
    """The same for a number that the store never lowers."""
    return _shown_as(CounterMetricFamily, name, text, labels)


def _shown_as(family: type[Metric], name: str, text: str, labels: tuple[str, ...]) -> Any:
    about = {"family": family, "name": name, "help": text, "labels": labels}
    return field(default_factory=dict, metadata=about) if labels else field(default=None, metadata=about)


@dataclass(frozen=True)
class StoreStatus:
    """What the store says now: one field, one metric.

    A field without labels is a number, or None where there is none yet (no series then). A field with labels
    maps a tuple of label values, in the order given here, to a number.
    """

    # Alerts in state open or acknowledged. Told by Alertmanager; the evidence is in the store.
    alerts_open: Labelled = _gauge("integrity_alerts_open", "Open alerts.", "detector", "severity")
    # Alerts ever opened. One counts once under every severity it has reached: when a warning turns critical,
    # `critical` rises and `warning` stays, else this counter would fall.
    alerts_opened: Labelled = _counter("integrity_alerts_opened_total", "Alerts ever opened.", "detector", "severity")
    # Halts that nobody has resolved: too_many_rejects, offset_gap, quality_gate.
    halts_open: Labelled = _gauge("integrity_halts_open", "Halts that wait for a person.", "reason")
    # Stored votes: accepted, late, quarantined.
    votes: Labelled = _counter("integrity_votes_total", "Votes stored, by fate.", "fate")
    # Stored rejects.
    rejects: Labelled = _counter("integrity_rejects_total", "Records rejected, by reason.", "reason")
    # The next offset to read of each partition.
    next_offset: Labelled = _gauge("integrity_partition_next_offset", "Next offset to read.", "source", "partition")
    # next_offset - sealed_offset: votes that no snapshot can hold yet.
    unsealed_offsets: Labelled = _gauge(
        "integrity_unsealed_offsets", "Offsets committed and not sealed.", "source", "partition"
    )
    # Event time up to which a partition is complete, lateness taken off.
    watermark: Labelled = _gauge(
        "integrity_partition_watermark_timestamp_seconds", "Watermark, event time.", "source", "partition"
    )
    # Event time up to which the monitor has closed windows. It follows the smallest watermark, five minutes behind.
    monitor_position: float | None = _gauge(
        "integrity_monitor_position_timestamp_seconds", "End of the last closed window, event time."
    )
    # Time of the last committed batch that held a vote, on the database's clock.
    last_ingest: float | None = _gauge(
        "integrity_last_ingest_timestamp_seconds", "Unix time of the last committed batch with votes."
    )
    # End of the last refresh that published, or that found nothing new to publish.
    refresh_last_success: float | None = _gauge(
        "integrity_refresh_last_success_timestamp_seconds", "Unix time of the last successful refresh."
    )
    # End of the last audit of the ledger that found nothing wrong. One that finds something opens a critical alert.
    audit_last_success: float | None = _gauge(
        "integrity_audit_last_success_timestamp_seconds", "Unix time of the last audit that passed."
    )
    # Of the last verdict on any suite: 1 open, 0 closed.
    quality_gate_success: float | None = _gauge(
        "integrity_quality_gate_success", "1 if the last quality check passed, 0 if it failed."
    )
    # Counts up by one a snapshot.
    snapshot_sequence: float | None = _gauge("integrity_snapshot_sequence", "Sequence of the latest snapshot.")
    # Votes that the latest snapshot counted in raw, defended and style.
    snapshot_votes: Labelled = _gauge(
        "integrity_snapshot_votes", "Votes counted in the latest snapshot, by view.", "view"
    )
    # Votes that an exclusion keeps out of its defended view.
    snapshot_excluded_votes: float | None = _gauge(
        "integrity_snapshot_excluded_votes", "Votes excluded from the defended view."
    )
    # Models outside the rated component. A jump means a split graph.
    unrated_models: float | None = _gauge("integrity_unrated_models", "Models without a rating.")
    # Points as on the leaderboard, of the first MODELS of each view.
    rating_points: Labelled = _gauge("integrity_rating_points", "Rating in the latest snapshot.", "model", "view")
    # 1 is the top. Also decides which models are shown at all.
    rating_rank: Labelled = _gauge("integrity_rating_rank", "Rank in the latest snapshot.", "model", "view")


class StoreCollector(Collector):
    """The store's status as metrics, read once a scrape.

    Args:
        read: asks the store; whatever it raises is "the store cannot be read".
        version: of this package, for `integrity_build_info`.

    Attributes:
        error: why the last read failed, None after one that worked: for `/healthz`.
    """

    def __init__(self, read: Callable[[], StoreStatus], version: str = "unknown") -> None:
        self._read = read
        self._version = version
        self.error: str | None = None

    def alone(self) -> CollectorRegistry:
        """A registry with this collector and nothing else."""
        registry = CollectorRegistry()
        registry.register(self)
        return registry

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not wait for the store."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every metric that has a value."""
        status = self._status()
        # Which version answers. The value is always 1.
        build = GaugeMetricFamily("integrity_build_info", "Version of the exporter.", labels=("version",))
        build.add_metric((self._version,), 1)
        yield build
        # 1 if the numbers below were read just now, 0 if there are none because the store does not answer.
        yield GaugeMetricFamily("integrity_exporter_store_up", "1 if the store was read.", value=status is not None)
        if status is not None:
            yield from _families(status)

    def _status(self) -> StoreStatus | None:
        try:
            status = self._read()
        except Exception as fault:  # a collector that raises takes store_up away with it
            self.error = f"{type(fault).__name__}: {fault}"
            return None
        self.error = None
        return status


def _families(status: StoreStatus) -> Iterator[Metric]:
    shown = _shown(status.rating_rank)
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
        made.add_metric([str(part) for part in key], number)
    result: Metric = made
    return result


def _shown(ranks: Labelled) -> frozenset[tuple[str, ...]]:
    """The (model, view) pairs within the first MODELS of their view."""
    by_view: dict[str, list[tuple[float, str]]] = {}
    for (model, view), rank in ranks.items():
        by_view.setdefault(view, []).append((rank, model))
    return frozenset((m, view) for view, ranked in by_view.items() for _, m in sorted(ranked)[:MODELS])


class _Handler(WSGIRequestHandler):
    # A client that opens a connection and says nothing would hold a thread for ever.
    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:
        """A scrape every 15 s is no news."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A scraper that hangs up is no news either; real faults show in store_up and /healthz."""


class MetricsServer:
    """A running server.

    Attributes:
        port: where it listens, also when 0 was asked for.
    """

    def __init__(self, server: WSGIServer) -> None:
        self._server = server
        self.port: int = server.server_port
        self._thread = Thread(target=server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; a second call does nothing."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def serve(
    registry: CollectorRegistry,
    port: int,
    host: str = "127.0.0.1",
    health: Callable[[], tuple[bool, str]] | None = None,
) -> MetricsServer:
    """Serve `/metrics` and `/healthz` from a thread.

    Args:
        registry: what `/metrics` shows.
        port: 0 picks a free one.
        host: loopback unless told: metrics have no login.
        health: whether the process does its work, and a sentence; without it `/healthz` always says 200.
    """
    metrics = make_wsgi_app(registry)

    def app(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path == "/metrics":
            answer: Iterable[bytes] = metrics(environ, start)
            return answer
        status, text = _healthz(health) if path == "/healthz" else ("404 Not Found", "see /metrics and /healthz")
        start(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{text}\n".encode()]

    return MetricsServer(make_server(host, port, app, server_class=_Server, handler_class=_Handler))


def _healthz(health: Callable[[], tuple[bool, str]] | None) -> tuple[str, str]:
    try:
        good, text = health() if health else (True, "ok")
    except Exception as fault:  # whoever cannot say that all is well is not well
        good, text = (
            False,
            type(fault).__name__,
        )  # its message may name hosts and users; this page has no login
    return ("200 OK" if good else "503 Service Unavailable"), text
