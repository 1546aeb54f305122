"""Keeps the metrics of a worker, of a follower of logs, or of an API server in the memory of its process."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pipeline.vocabulary.fates import RECORD_FATES

# A batch is 250 ms or 5,000 to 20,000 votes; after 10 s the database's own limits have ended it.
BATCH_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# connections: no place; headers: too many or too long; slow_request, slow_reader: too slow in sending, in reading;
# malformed: no HTTP; rate: too many costly requests or guesses of one client; busy: too many costly requests wait.
REFUSALS = ("connections", "headers", "slow_request", "slow_reader", "malformed", "rate", "busy")


class WorkerMetrics:
    """Metrics of one worker, in a Prometheus registry of their own.

    Args:
        registry: the Prometheus registry of the counters; default: a new one.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        # Records of committed batches, by fate. Their sum is the number of records read.
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
        # Set on a commit and on proven idleness (the end of the log is reached), never by the loop alone.
        self.last_progress = Gauge(
            "integrity_worker_last_progress_timestamp_seconds",
            "Unix time of the last commit or of proven idleness.",
            registry=self.registry,
        )
        # Batches dropped because another worker owns the partition now. A few per rebalance are normal.
        self.fenced = Counter("integrity_worker_fenced_total", "Batches dropped by the fence.", registry=self.registry)
        # 1 from a stop limit or an offset gap until the process ends: it does not continue by itself.
        self.halted = Gauge(
            "integrity_worker_halted",
            "1 while the worker is halted by a limit or a gap.",
            registry=self.registry,
        )
        # Reasons are the fixed words of `errors.BadRecord`.
        self.rejects = Counter(
            "integrity_worker_rejects_total",
            "Records rejected, by reason.",
            ("reason",),
            registry=self.registry,
        )
        for fate in RECORD_FATES:  # series start at 0, so that rate() sees the first record
            self.votes.labels(fate)

    def revoked(self, source: str, partition: int) -> None:
        """Remove the lag of a partition that the worker no longer owns. Otherwise its last value would stay visible."""
        self.partition_lag.remove_by_labels({"source": source, "partition": str(partition)})


class FollowMetrics:
    """Metrics of one process of `publish --follow`, in a Prometheus registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # Votes that the broker has confirmed since the start of the process, rejected records included.
        self.votes = Counter("integrity_publish_votes_total", "Votes published from logs.", registry=self.registry)
        # Logs that exist and are followed.
        self.files = Gauge("integrity_publish_files", "Logs that are followed.", registry=self.registry)
        # Bytes of logs that are not published. A line that is being written keeps it above 0 for a moment.
        self.bytes_behind = Gauge("integrity_publish_behind_bytes", "Bytes not published yet.", registry=self.registry)
        # Set when all files were read, or a batch was confirmed.
        self.last_progress = Gauge(
            "integrity_publish_last_progress_timestamp_seconds",
            "Unix time of the last confirmed batch or complete reading.",
            registry=self.registry,
        )


class ApiMetrics:
    """Metrics of one server process of the API and the pages, in a Prometheus registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # Responses by the first digit of their status: 2xx, 3xx, 4xx, 5xx.
        self.responses = Counter(
            "integrity_api_responses_total", "Responses, by class of status.", ("status",), registry=self.registry
        )
        # Requests with a token that is unknown, revoked or expired; guesses beyond the limit included.
        self.failed_logins = Counter(
            "integrity_api_failed_logins_total", "Requests with an invalid token.", registry=self.registry
        )
        # Connections and requests that were not answered as asked, by the fixed words of REFUSALS.
        self.refused = Counter(
            "integrity_api_refused_total", "Connections and requests refused, by reason.", ("reason",),
            registry=self.registry,
        )  # fmt: skip
        # Open connections.
        self.connections = Gauge("integrity_api_connections", "Open connections.", registry=self.registry)
        for reason in REFUSALS:
            self.refused.labels(reason)
        self._by_status = {digit: self.responses.labels(f"{digit}xx") for digit in range(1, 6)}

    def count_response(self, status: int) -> None:
        """Count a response by the first digit of its HTTP status."""
        self._by_status[status // 100].inc()
