"""Defines every Prometheus metric of the project, each with a comment.

process_metrics  keeps metrics of a worker, of a follower of logs and of an API server in the memory of their process
store_status     exports metrics of the store, which it reads at each scrape

Rules for all metrics:

1. Every name has the prefix `integrity_`. Units are base units, names of counters end in `_total`, and times are Unix
   seconds.
2. Labels are bounded: fates, reasons, detectors, severities, views, partitions, models on the board, and the ids of the
   open incidents. A label never names a voter, a network, a model under test, or anything from an unchecked event.
3. The exporter shows the store as it is at the scrape. When the store cannot be read, the exporter shows only its
   version and `integrity_exporter_store_up 0`, because stale numbers would look healthy.

A worker's counters are in its memory and restart at 0 with the process. The exporter's counters come from the store.
"""

from prometheus_client import disable_created_metrics

from pipeline.metrics.process_metrics import ApiMetrics, FollowMetrics, WorkerMetrics
from pipeline.metrics.store_status import MAX_INCIDENTS, MAX_MODELS, StoreCollector, StoreStatus

__all__ = [
    "MAX_INCIDENTS",
    "MAX_MODELS",
    "ApiMetrics",
    "FollowMetrics",
    "StoreCollector",
    "StoreStatus",
    "WorkerMetrics",
]

# A `_created` gauge for each counter would double the series, and no rule reads them. The client can only be switched
# for the whole process.
disable_created_metrics()  # type: ignore[no-untyped-call]
