"""A worker process that something befalls at one exact place; run as `python -m tests.faults.faulty`.

`--at` names the place, `--after` how many times it is passed first, `--signal` what the process then sends itself.
It goes on to the end if it lives, and says what it read and how often it was fenced.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from pipeline import settings
from pipeline.detectors import VOTER
from pipeline.open_store import open_store
from pipeline.stream.source import KafkaSource
from pipeline.stream.worker import Worker

PLACES = ("poll", "commit", "done")
"""A batch is polled and nothing of it written; everything is written and not committed; it is committed and Kafka has
not been told."""


class Fuse:
    """Passes calls on, and sends this process a signal at the last one."""

    def __init__(self, after: int, number: signal.Signals) -> None:
        self.left, self.number = after, number

    def burn(self) -> None:
        """Count one passage."""
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)

    def after(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call, and then the fuse burns if it gave anything."""

        def wrapped(*args: Any, **named: Any) -> Any:
            result = call(*args, **named)
            if result:
                self.burn()
            return result

        return wrapped

    def before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The fuse burns, and then the call."""

        def wrapped(*args: Any, **named: Any) -> Any:
            self.burn()
            return call(*args, **named)

        return wrapped


def main() -> None:
    """Work."""
    parser = argparse.ArgumentParser()
    for name in ("--bootstrap", "--topic", "--store"):
        parser.add_argument(name, required=True)
    parser.add_argument("--at", choices=PLACES, required=True)
    parser.add_argument("--after", type=int, required=True)
    parser.add_argument("--signal", choices=("KILL", "STOP"), required=True)
    given = parser.parse_args()
    options = settings.load()
    store = open_store(given.store, voter_key=options.key, worker=True)
    source: Any = KafkaSource(
        given.bootstrap,
        given.topic,
        f"integrity-{store.store_id}",
        session_seconds=options.session_seconds,
        poll_seconds=options.poll_seconds,
    )
    fuse = Fuse(given.after, signal.Signals[f"SIG{given.signal}"])
    worker = Worker(source, store, options, VOTER, "faulty")
    if given.at == "poll":
        source.poll = fuse.after(source.poll)
    elif given.at == "done":
        source.report_committed = fuse.before(source.report_committed)
    else:
        # Names and claims commit too: only a transaction that wrote votes counts.
        sa.event.listen(store.engine, "commit", lambda connection: wrote_votes(connection) and fuse.burn())
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    tally = worker.run()
    source.close()
    fenced = worker.metrics.registry.get_sample_value("integrity_worker_fenced_total")
    print(json.dumps({"read": tally.read, "fenced": fenced}))  # noqa: T201


def wrote_votes(connection: sa.Connection) -> bool:
    """Whether this transaction has a lock on the votes that writing takes."""
    query = (
        "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'vote'::regclass"
        " AND mode = 'RowExclusiveLock'"
    )
    return bool(connection.exec_driver_sql(query).scalar())


if __name__ == "__main__":
    main()
