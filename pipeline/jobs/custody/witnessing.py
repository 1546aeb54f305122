"""A witness on a machine of its own, and what the board's side gives it and keeps of it.

Laws: what a witness knows of a log is on the disk before its signature leaves; it signs one head at a time (a lock on
its folder); the board keeps a line only if it is the good signature of a witness that the manifest names.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import MissingKey, Refuted, Usage
from pipeline.jobs.open_store import opened
from pipeline.ledger import manifest, note, request, witness
from pipeline.ledger.merkle import EMPTY_ROOT
from pipeline.ledger.note import Checkpoint, Signer, VerifierKey
from pipeline.ledger.request import Request
from pipeline.ledger.witness import Known
from pipeline.store.log import manifests
from pipeline.store.read import proofs

_KEY, _LOGS = "witness.key", "logs.json"


def init(folder: Path, name: str) -> str:
    """Make a witness: a folder with its key.

    Returns:
        Its public key, for INTEGRITY_WITNESSES of the boards that it watches.

    Raises:
        Usage: there is a witness already, or the name cannot be one.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        signer = Signer(name, secrets.token_bytes(32), note.COSIGNATURE)
        descriptor = os.open(folder / _KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except ValueError as error:
        raise Usage(f"--name: {error}") from None
    except FileExistsError:
        raise Usage(f"expected a folder without a witness, got {folder}") from None
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps({"name": name, "seed": signer.seed.hex()}) + "\n")
    _store(folder, {})
    return str(signer.verifier)


def watch(folder: Path, key: str) -> str:
    """Watch a log from its first leaf on.

    Returns:
        The name of the log.

    Raises:
        Refuted: this is no key.
        Usage: the log is watched already.
    """
    parsed = VerifierKey.parse(key)
    with _locked(folder) as logs:
        if parsed.name in logs:
            raise Usage(f"expected a log that is not watched yet, got {parsed.name}")
        logs[parsed.name] = {"key": key, "size": 0, "root": EMPTY_ROOT.hex()}
        _store(folder, logs)
    return parsed.name


def known(folder: Path) -> dict[str, Any]:
    """The logs that a witness watches: key, size and root of the newest head that it signed."""
    with _locked(folder) as logs:
        return logs


def sign(folder: Path, asked: bytes) -> bytes:
    """Sign a head that continues the known one.

    Returns:
        The signature line.

    Raises:
        Refuted: as `witness.cosign`.
    """
    given = request.load(asked)
    with _locked(folder) as logs:
        origin = note.checkpoint(note.parse(given.checkpoint, "checkpoint"), "checkpoint").origin
        after, line = witness.cosign(
            _known(logs.get(origin), origin),
            given.checkpoint,
            given.old,
            given.proof,
            _signer(folder),
            int(time.time()),
        )
        logs[origin] |= {"size": after.head.size, "root": after.head.root.hex()}
        _store(folder, logs)
    return line


def ask(store: str, old: int) -> bytes:
    """The request to a witness that knows the snapshot log with `old` leaves.

    Raises:
        Usage: nothing is published, or less than that.
    """
    with opened(store) as it:
        head = proofs.checkpoint(it)
        size = note.checkpoint(note.parse(head, "checkpoint"), "checkpoint").size
        path = proofs.prove_growth(it, old, size)
    return Request(old, tuple(bytes.fromhex(one) for one in path), head).dump()


def keep(store: str, line: bytes) -> dict[str, Any]:
    """Keep a witness's line under the newest head.

    Returns:
        {"sequence", "witness"}

    Raises:
        Refuted: it is no good signature of a witness that the manifest names.
    """
    with opened(store) as it, it.write() as connection:
        newest = manifests.newest(connection)
        if newest is None:
            raise Usage("expected a published snapshot, got none")
        said = manifest.load(newest.body)
        keys = [VerifierKey.parse(text) for text in said.witnesses]
        text = note.parse(newest.checkpoint, "checkpoint").text
        signed = note.verify(note.parse(text + b"\n" + line, "line"), keys, "line")
        if len(signed) != 1:
            raise Refuted("note", "line", f"expected one signature, got {len(signed)}")
        manifests.cosign(connection, newest.sequence, str(signed[0]), line)
    return {"sequence": newest.sequence, "witness": signed[0].name}


def _known(row: dict[str, Any] | None, origin: str) -> Known | None:
    if row is None:
        return None
    return Known(VerifierKey.parse(row["key"]), Checkpoint(origin, row["size"], bytes.fromhex(row["root"])))


def _signer(folder: Path) -> Signer:
    found = json.loads((folder / _KEY).read_text())
    return Signer(found["name"], bytes.fromhex(found["seed"]), note.COSIGNATURE)


@contextmanager
def _locked(folder: Path) -> Iterator[dict[str, Any]]:
    if not (folder / _KEY).exists():
        raise MissingKey(f"expected a witness in {folder}, got none: `integrity witness init` makes one")
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield json.loads((folder / _LOGS).read_text())


def _store(folder: Path, logs: dict[str, Any]) -> None:
    draft = folder / ".new-logs"
    with draft.open("w") as file:
        file.write(json.dumps(logs, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / _LOGS)
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
