"""A witness, which runs on another machine, and the board's side: requests and cosignatures.

Laws: a witness writes the new head to disk before it returns its signature; it signs one head at a time (a lock on its
folder); the board stores a cosignature only if it is valid and by a witness that the manifest names.
"""

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
from pipeline.ledger import manifest, signed_note, verifier_input, witness
from pipeline.ledger.merkle import EMPTY_ROOT
from pipeline.ledger.signed_note import Checkpoint, Signer, VerifierKey
from pipeline.ledger.witness import WatchedLog
from pipeline.ledger.witness_request import WitnessRequest, load_request
from pipeline.open_store import existing_store
from pipeline.store.log import manifests
from pipeline.store.read import log_proofs

_KEY, _LOGS = "witness.key", "logs.json"


def create_witness(folder: Path, name: str) -> str:
    """Create a folder with the key of a witness; return the public key, for INTEGRITY_WITNESSES of the watched boards.

    Raises:
        Usage: the folder has a witness already, or the name is not valid.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        signer = Signer(name, secrets.token_bytes(32), signed_note.COSIGNATURE)
        descriptor = os.open(folder / _KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except ValueError as error:
        raise Usage(f"--name: {error}") from None
    except FileExistsError:
        raise Usage(f"expected a folder without a witness, got {folder}") from None
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps({"name": name, "seed": signer.seed.hex()}) + "\n")
    _write_logs(folder, {})
    return str(signer.verifier)


def watch_log(folder: Path, key: str) -> str:
    """Start watching a log, from its first leaf; return its name.

    Raises:
        Usage: not the key of a log, or the log is already watched.
    """
    parsed = verifier_input.read_keys([key], "KEY")[0]
    with _locked(folder) as logs:
        if parsed.name in logs:
            raise Usage(f"expected a log that is not watched yet, got {parsed.name}")
        logs[parsed.name] = {"key": str(parsed), "size": 0, "root": EMPTY_ROOT.hex()}
        _write_logs(folder, logs)
    return parsed.name


def watched_logs(folder: Path) -> dict[str, Any]:
    """Return the logs that a witness watches, each with its key, and with size and root of the newest head signed."""
    with _locked(folder) as logs:
        return logs


def sign_head(folder: Path, request: bytes) -> bytes:
    """Sign the head in a `witness_request`, if it continues the last signed head; return the signature line.

    Raises:
        Refuted: as in `witness.cosign`.
    """
    given = load_request(request)
    with _locked(folder) as logs:
        origin = signed_note.parse_checkpoint(signed_note.parse(given.checkpoint, "checkpoint"), "checkpoint").origin
        after, line = witness.cosign(
            _known(logs.get(origin), origin),
            given.checkpoint,
            given.old,
            given.proof,
            _signer(folder),
            int(time.time()),
        )
        logs[origin] |= {"size": after.head.size, "root": after.head.root.hex()}
        _write_logs(folder, logs)
    return line


def witness_request(url: str, old: int) -> bytes:
    """Return the request to a witness whose last signed head has `old` leaves.

    Raises:
        Usage: fewer than `old` snapshots are published, or none.
    """
    with existing_store(url) as store:
        head = log_proofs.read_checkpoint(store)
        size = signed_note.parse_checkpoint(signed_note.parse(head, "checkpoint"), "checkpoint").size
        path = log_proofs.prove_growth(store, old, size)
    return WitnessRequest(old, tuple(bytes.fromhex(one) for one in path), head).dump()


def add_cosignature(url: str, line: bytes) -> dict[str, Any]:
    """Store a witness's signature line with the newest head; return {"sequence", "witness"}.

    Raises:
        Refuted: the line is not a valid signature of a witness that the manifest names.
    """
    with existing_store(url) as store, store.write() as connection:
        newest = manifests.newest(connection)
        if newest is None:
            raise Usage("expected a published snapshot, got none")
        keys = [VerifierKey.parse(text) for text in manifest.load(newest.body).witnesses]
        text = signed_note.parse(newest.checkpoint, "checkpoint").text
        signed = signed_note.verify(signed_note.parse(text + b"\n" + line, "line"), keys, "line")
        if len(signed) != 1:
            raise Refuted("note", "line", f"expected one signature, got {len(signed)}")
        manifests.add_cosignature(connection, newest.sequence, str(signed[0]), line)
    return {"sequence": newest.sequence, "witness": signed[0].name}


def _known(row: dict[str, Any] | None, origin: str) -> WatchedLog | None:
    if row is None:
        return None
    return WatchedLog(VerifierKey.parse(row["key"]), Checkpoint(origin, row["size"], bytes.fromhex(row["root"])))


def _signer(folder: Path) -> Signer:
    found = json.loads((folder / _KEY).read_text())
    return Signer(found["name"], bytes.fromhex(found["seed"]), signed_note.COSIGNATURE)


@contextmanager
def _locked(folder: Path) -> Iterator[dict[str, Any]]:
    if not (folder / _KEY).exists():
        raise MissingKey(f"expected a witness in {folder}, got none: `integrity witness init` creates one")
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield json.loads((folder / _LOGS).read_text())


def _write_logs(folder: Path, logs: dict[str, Any]) -> None:
    draft = folder / ".new-logs"
    with draft.open("w") as file:
        file.write(json.dumps(logs, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / _LOGS)
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
