"""Runs the actions of a witness on the witness's machine, and the actions of the board towards witnesses.

A witness is an independent party that signs heads (checkpoints) of the snapshot log. A witness signs a head only if the
head continues the head that this witness signed before. The signature of a witness is a cosignature. The board stores
it beside its own signature.

A witness writes the new head to disk before it returns the signature. A witness signs one head at a time, under a lock
on its folder. The board stores a cosignature only if it is valid and made by a witness that the manifest names.
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
    """Create the folder and the key of a witness.

    Returns:
        The public key, which the operators of the watched boards add to INTEGRITY_WITNESSES.

    Raises:
        Usage: the folder already has a witness, or the name is not valid.
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
    """Add a log to the logs that a witness watches, from the log's first leaf on. Returns the name of the log.

    Args:
        folder: folder of the witness.
        key: public key of the log.

    Raises:
        Usage: `key` is not the key of a log, or the log is already watched.
        MissingKey: the folder has no witness.
    """
    parsed = verifier_input.read_keys([key], "KEY")[0]
    with _locked(folder) as logs:
        if parsed.name in logs:
            raise Usage(f"expected a log that is not watched yet, got {parsed.name}")
        logs[parsed.name] = {"key": str(parsed), "size": 0, "root": EMPTY_ROOT.hex()}
        _write_logs(folder, logs)
    return parsed.name


def watched_logs(folder: Path) -> dict[str, Any]:
    """Return the logs that a witness watches.

    Returns:
        Name of a log → its public key, and the size and the root of the head that the witness signed last.
    """
    with _locked(folder) as logs:
        return logs


def sign_head(folder: Path, request: bytes) -> bytes:
    """Sign the head in a request if it continues the head that the witness signed last. The head is then stored.

    Args:
        folder: folder of the witness.
        request: the request, as `witness_request` returns it.

    Returns:
        The signature line.

    Raises:
        Refuted: the request is not valid, or its head does not continue the last signed head.
        MissingKey: the folder has no witness.
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
    """Return the request to a witness to sign the newest head of the snapshot log.

    Args:
        url: address of the store.
        old: number of leaves of the head that the witness signed last.

    Raises:
        Usage: no snapshot is published, or fewer than `old` snapshots are.
    """
    with existing_store(url) as store:
        head = log_proofs.read_checkpoint(store)
        size = signed_note.parse_checkpoint(signed_note.parse(head, "checkpoint"), "checkpoint").size
        path = log_proofs.prove_growth(store, old, size)
    return WitnessRequest(old, tuple(bytes.fromhex(one) for one in path), head).dump()


def add_cosignature(url: str, line: bytes) -> dict[str, Any]:
    """Verify a witness's signature of the newest head of the snapshot log, and store it.

    Args:
        url: address of the store.
        line: the signature line that the witness returned.

    Returns:
        {"sequence", "witness"}: number of the newest snapshot, and name of the witness.

    Raises:
        Usage: no snapshot is published.
        Refuted: the line is not one valid signature of that head by a witness that the newest manifest names.
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
