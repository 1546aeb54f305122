"""Follows growing logs for the command publish: options, signals, metrics and output."""

import hashlib
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.cli.app import err
from pipeline.errors import Usage
from pipeline.formats import ColumnMapping
from pipeline.formats.line_events import LineEvents
from pipeline.metrics import FollowMetrics
from pipeline.metrics_server import serve
from pipeline.open_store import now, publish_folder
from pipeline.stream.follow.log_files import LogFiles
from pipeline.stream.follow.log_follower import FollowPace, LogFollower
from pipeline.stream.follow.log_tracker import LogTracker
from pipeline.stream.follow.position_file import PositionFile
from pipeline.stream.kafka_publisher import RecordProducer
from pipeline.stream.record_preparation import RecordPreparer
from pipeline.stream.text_reading import TextReading
from pipeline.vocabulary.time import format_rfc3339


@dataclass(frozen=True)
class FollowPlan:
    """The options of `publish --follow`.

    Attributes:
        files: the growing files to follow.
        state: folder of the file that records how far logs were sent; "" for the default, a folder next to the store.
        store: address of the store.
        pace: the intervals between polls and between heartbeats, in seconds.
        until_end: whether to stop after all lines that the logs contain have been sent, instead of waiting for more.
        metrics_port: port for metrics; None to serve no metrics.
        metrics_host: address at which metrics are served.
    """

    files: LogFiles
    state: str
    store: str
    pace: FollowPace
    until_end: bool = False
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"


def require_follow(follow: Path | None, files: list[Path], given: dict[str, Any]) -> None:
    """Check that the options of --follow are used together with --follow and without files.

    Args:
        follow: the value of --follow; None if the option is not given.
        files: the files on the command line.
        given: name → value of each option that is allowed only with --follow.

    Raises:
        Usage: such an option is given without --follow, or files are given with --follow.
    """
    if follow is not None and files:
        raise Usage(f"expected --follow or files, got both: --follow {follow} and {files[0]}")
    alone = [name for name, value in given.items() if value]
    if follow is None and alone:
        raise Usage(f"expected {alone[0]} with --follow LOG or --follow FOLDER, got it alone")


def state_folder(state: str, store: str) -> Path:
    """Return the folder of the file in which `publish` records how far it has sent logs.

    Args:
        state: the folder that a setting names; "" for the default, a folder next to the store.
        store: address of the store.
    """
    return Path(state) if state else publish_folder(store)


def follow_logs(
    plan: FollowPlan,
    to: str,
    connect: Callable[[], RecordProducer],
    preparer: RecordPreparer,
    mapping: ColumnMapping,
    checks: TextReading,
) -> dict[str, Any]:
    """Send the lines of growing logs to Kafka, until a signal or, with `until_end`, until all lines are sent.

    Args:
        plan: the options of `publish --follow`, which name the logs and when to stop.
        to: servers and topic, as text for messages to the user.
        connect: connects to Kafka and returns a producer.
        preparer: converts records for publication.
        mapping: names of columns and outcomes that the user has given.
        checks: reads the text of records.

    Returns:
        The counts that `publish --json` prints.

    Raises:
        Unavailable: another process follows the same logs.
    """
    files = plan.files
    follows = str(files.path.resolve())
    name = hashlib.sha256(f"{follows}\n{to}".encode()).hexdigest()[:16]
    positions = PositionFile(state_folder(plan.state, plan.store) / f"follow-{name}.json", follows, to)
    metrics = FollowMetrics()
    follower = LogFollower(
        partial(LogTracker, files.paths, LineEvents(mapping, checks.check), positions, files.is_log),
        connect, preparer, _report, plan.pace, metrics, checks.flush,
    )  # fmt: skip
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: follower.stop())
    server = None
    if plan.metrics_port is not None:
        server = serve(metrics.registry, plan.metrics_port, host=plan.metrics_host, health=follower.healthy)
    found = files.paths() if files.path.is_dir() else {}
    if not any(map(files.is_log, found)) and not files.path.is_file():
        _report(f"{files.path}: no log yet (of {len(found):,} files none is named {files.pattern}); waits for one")
    try:
        tally = follower.run(until_end=plan.until_end)
    finally:
        positions.close()
        if server is not None:
            server.close()
    return {"published": tally.votes, "registry": tally.registry, "files": tally.files, "bytes_behind": tally.behind}


def _report(sentence: str) -> None:
    err.print(f"{format_rfc3339(now())} {sentence}")
