"""`integrity refresh`, killed at one exact place; run as `python -m tests.faults.dying`.

A board of this process's own is refreshed first: what that imports and prepares takes seconds, and a fork has it. Then
each line of standard input, {"store": URL, "joint": NAME or null}, is a refresh as a process of its own, and is
answered by a line {"status", "out", "err"}: its exit status as `subprocess` tells it (-9: it was killed) and what it
printed.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import settings
from pipeline.cli.main import main
from pipeline.jobs.refresh import refresh_board, snapshot_signing
from pipeline.ledger import signed_note
from pipeline.store.boards import snapshots
from pipeline.store.db.ledger_files import DraftFile, LedgerFiles
from pipeline.store.log import seals, tile_cache
from tests.integration.board_of_votes import Board

Call = Callable[..., Any]


def die(*_: Any) -> None:
    """As the kernel ends a process: nothing is caught, flushed or rolled back."""
    os.kill(os.getpid(), signal.SIGKILL)


def before(_: Call) -> Call:
    """Dies instead of the call."""
    return die


def after(call: Call) -> Call:
    """Dies when the call is done."""

    def wrapped(*args: Any, **named: Any) -> None:
        die(call(*args, **named))

    return wrapped


def torn(call: Call) -> Call:
    """Dies when half of the last argument is written."""

    def wrapped(*args: Any) -> None:
        die(call(*args[:-1], args[-1][: len(args[-1]) // 2]))

    return wrapped


@dataclass(frozen=True)
class Joint:
    """Where a refresh dies.

    Attributes:
        how: before, after, torn.
        home, name: of the call.
        sealed: what was new is in the log by then.
        tiled: the tiles of all that is in the log are written.
        published: the new snapshot is.
    """

    how: Callable[[Call], Call]
    home: Any
    name: str
    sealed: bool = True
    tiled: bool = True
    published: bool = False

    def arm(self) -> None:
        """Die there."""
        setattr(self.home, self.name, self.how(getattr(self.home, self.name)))


JOINTS = {
    "a segment's file is written": Joint(after, DraftFile, "keep", sealed=False),
    "a segment's row is written": Joint(after, seals, "_insert_segment", sealed=False),
    "a segment is committed": Joint(before, tile_cache, "write", tiled=False),
    "tiles are torn": Joint(torn, LedgerFiles, "put_hashes", tiled=False),
    "it is sealed": Joint(before, refresh_board, "check"),
    "it is checked": Joint(before, refresh_board, "rate_evaluated"),
    "a candidate is not committed": Joint(after, snapshots, "add_candidate"),
    "it is rated": Joint(before, refresh_board, "publish"),
    "it is not signed": Joint(before, signed_note, "sign"),
    "one of two heads is signed": Joint(after, signed_note, "sign"),
    "a snapshot is not committed": Joint(after, snapshots, "publish"),
    "a snapshot is committed": Joint(before, snapshot_signing, "store_head", published=True),
}
"""In the order in which a refresh passes them."""


def run(store: str, joint: str | None) -> dict[str, Any]:
    """A refresh as a child of this process."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        if not (child := os.fork()):
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            if joint is not None:
                JOINTS[joint].arm()
            status = refreshed(store)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)  # to take down what was imported takes longer than to refresh
        _, status = os.waitpid(child, 0)
        output = [_read(file) for file in (out, err)]
    return {"status": os.waitstatus_to_exitcode(status), "out": output[0], "err": output[1]}


def refreshed(store: str) -> int:
    """The command's exit status."""
    sys.argv = ["integrity", "refresh", "--store", store, "--json"]
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    raise AssertionError("expected the command to exit")


def prepare() -> None:
    """Import and prepare what a refresh needs; nothing stays open."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as output:
        board = Board(str(Path(folder) / "store.db"), Path(folder), settings.load())
        board.vote(120)
        if refreshed(board.url):
            raise RuntimeError(output.getvalue())
    gc.collect()
    gc.freeze()


def _read(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode())


if __name__ == "__main__":
    prepare()
    for line in sys.stdin:
        given = json.loads(line)
        print(json.dumps(run(given["store"], given["joint"])), flush=True)  # noqa: T201
