"""Runs worker, monitor, exporter and Prometheus on a copy of a board, so that a drill changes nothing of the board.

The copy is made by a backup and a restore. The copy has the keys of the board, because otherwise its snapshots and
voters would differ from those of the board. So the copy, its keys and its ledger are in a temporary folder that only
its owner can read. The folder is removed at the end. The copy asks no witness for a signature, and its Prometheus calls
nobody.

If the copy is in PostgreSQL, its tables stay in the given database. The user must drop this database afterwards.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline import settings as configuration
from pipeline.devstack.monitoring import ExporterPrometheusServer
from pipeline.errors import Unavailable
from pipeline.jobs import read_store_status, restoration
from pipeline.jobs.custody.backup import back_up
from pipeline.metrics import StoreCollector
from pipeline.metrics_server import serve
from pipeline.open_store import existing_store

_INTEGRITY = Path(sys.executable).with_name("integrity")
_END_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class BoardCopy:
    """A copy of a board, with the processes that watch it.

    Attributes:
        url: the address of the copy.
        folder: a folder for files of the drill.
        prometheus: the address of the copy's Prometheus; "" if the program is not installed.
        environment: variables of the environment that lead commands to the copy: its address, and the folders of its
            keys and its ledger.
    """

    url: str
    folder: Path
    prometheus: str
    environment: Mapping[str, str] = field(repr=False)  # the address may have a password

    def read(self, votes: Path) -> None:
        """Run a worker that reads the votes of a JSON Lines file into the copy.

        Raises:
            Unavailable: the worker failed. The message has the worker's output.
        """
        command = [str(_INTEGRITY), "work", "--source", str(votes), "--until-end", "--json"]
        done = subprocess.run(command, env=os.environ | self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"expected the worker to read the votes, got:\n{done.stdout}{done.stderr}")


@contextmanager
def copied_board(url: str, to: str, scrape: int, say: Callable[[str], object]) -> Iterator[BoardCopy]:
    """Copy a board, and run monitor, exporter and Prometheus on the copy for the duration of a `with` block.

    Args:
        url: the address of the board.
        to: address of an empty PostgreSQL database for the copy; "" for a SQLite file in a temporary folder.
        scrape: number of seconds between two scrapes of Prometheus.
        say: called with a text for each step that begins.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="integrity-drill-")))
        copy = to or str(folder / "copy.db")
        say("backing up the board")
        back_up(url, folder / "backup")
        # What must not lead from the copy to the board, or stay: its ledger, its archive, its keys, its witnesses.
        cut = {"store": copy, "ledger": str(folder / "ledger"), "archive": str(folder / "archive"), "witnesses": ""}
        stack.enter_context(configuration.override(configuration.load().model_copy(update=cut)))
        state = {"XDG_STATE_HOME": str(folder / "state")}
        stack.enter_context(_environment(state))
        environment = state | {f"INTEGRITY_{name.upper()}": value for name, value in cut.items()}
        say("restoring and verifying the copy")
        restoration.restore(copy, folder / "backup")
        opened = stack.enter_context(existing_store(copy, with_key=False))
        collector = StoreCollector(lambda: read_store_status(opened))
        exporter = stack.enter_context(closing(serve(collector.own_registry(), 0)))
        stack.enter_context(_running("monitor", "--json", environment=environment, log=folder / "monitor.log"))
        yield BoardCopy(copy, folder, _start_prometheus(stack, folder, exporter.port, scrape, say), environment)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process for the duration of a `with` block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _start_prometheus(stack: ExitStack, folder: Path, exporter: int, scrape: int, say: Callable[[str], object]) -> str:
    try:
        server = ExporterPrometheusServer(folder / "prometheus", exporter=exporter, seconds=scrape)
        stack.enter_context(server)
    except Unavailable as missing:
        say(f"no page is measured: {missing}")
        return ""
    return f"http://127.0.0.1:{server.port}"


@contextmanager
def _running(*words: str, environment: Mapping[str, str], log: Path) -> Iterator[None]:
    """Run a command of ours beside this process for the duration of a `with` block."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            [str(_INTEGRITY), *words],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
