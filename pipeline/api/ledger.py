"""The public ledger: heads, proofs, receipts, tiles, bundles.

Laws: what is handed out is what the ledger holds, byte for byte; a bundle is written once and sent to whoever asks;
what a voter did is told to nobody who does not name the vote.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi import Path as PathOf
from fastapi.responses import FileResponse, Response

from pipeline.api import documents
from pipeline.api.problems import Problem
from pipeline.api.reader import FOREVER, UNTIL_PUBLISHED, Reader
from pipeline.api.request_params import TEXT, SnapshotId
from pipeline.api.tables import as_json
from pipeline.errors import Usage
from pipeline.ledger import canonical_json
from pipeline.store import Store
from pipeline.store.read import log_proofs, snapshot_bundles, vote_receipts

Log = Annotated[Literal["snapshots", "votes"], Query(description="Which of the two logs.")]
LogName = Literal["snapshots", "votes"]
VoteId = Annotated[str, Query(min_length=1, max_length=300, pattern=TEXT, description="A vote's id.")]
Size = Annotated[int, Query(ge=0, le=2**53)]
TilePath = Annotated[str, PathOf(pattern=r"^tile/[0-9]{1,2}(/x[0-9]{3}){0,6}/[0-9]{3}(\.p/[0-9]{1,3})?$")]
# Bundles that are kept as files: those of the newest snapshots are what is asked for.
_BUNDLES = 4


def routes(reader: Reader) -> APIRouter:  # a list of routes
    """The routes, in the order in which OpenAPI lists them."""
    router = APIRouter(tags=["ledger"])
    store, bundles = reader.store, Bundles(reader.store)

    @router.get("/checkpoint", response_class=Response, responses=_of("text/plain"))
    def checkpoint(log: Log = "snapshots") -> Response:
        """The newest signed head of a log (C2SP signed note), with the signatures of its witnesses."""
        with found():
            return Response(log_proofs.read_checkpoint(store, log), media_type="text/plain", headers=UNTIL_PUBLISHED)

    @router.get("/keys", response_model=documents.ledger.Keys)
    def keys() -> Response:
        """The keys that signed the log, oldest first. A key from here proves nothing by itself: compare it."""
        with found():
            return as_json({"keys": list(log_proofs.read_keys(store))}, UNTIL_PUBLISHED)

    @router.get("/snapshots/{snapshot}/manifest", response_class=Response, responses=_of("application/json"))
    def manifest(snapshot: SnapshotId) -> Response:
        """The manifest: the leaf of the snapshot log, canonical JSON. Its SHA-256 is the snapshot's `digest`."""
        with found():
            return Response(log_proofs.read_manifest(store, snapshot), media_type="application/json", headers=FOREVER)

    @router.get("/snapshots/{snapshot}/proof", response_model=documents.ledger.SnapshotProof)
    def proof(snapshot: SnapshotId) -> Response:
        """That the snapshot log holds this snapshot's manifest: an inclusion proof up to the newest signed head."""
        with found():
            return as_json(asdict(log_proofs.prove_snapshot(store, snapshot)), UNTIL_PUBLISHED)

    @router.get("/snapshots/{snapshot}/bundle", response_class=FileResponse, responses=_of("application/zip"))
    def bundle(snapshot: SnapshotId) -> Response:
        """Everything that checks this snapshot offline, votes included, as a zip: `integrity verify` reads it."""
        with found():
            file = bundles.file(snapshot)
        name = f"bundle-{snapshot[:12]}.zip"
        return FileResponse(file, media_type="application/zip", filename=name, headers={"cache-control": "no-store"})

    @router.get("/consistency", response_model=documents.ledger.Growth)
    def consistency(old: Size, new: Size, log: Log = "snapshots") -> Response:
        """That a log of `new` leaves begins with the one of `old` leaves: nothing was changed or taken out."""
        with found(422):
            path = log_proofs.prove_growth(store, old, new, log)
        return as_json({"log": log, "old": old, "new": new, "path": list(path)}, UNTIL_PUBLISHED)

    @router.get("/proof", response_model=documents.ledger.VoteProof)
    def vote_proof(vote: VoteId) -> Response:
        """That the vote log holds a vote."""
        with found():
            return as_json(asdict(log_proofs.prove_vote(store, vote)), UNTIL_PUBLISHED)

    @router.get("/receipt", response_model=documents.ledger.Receipt)
    def receipt(vote: VoteId) -> Response:
        """Was my vote counted? Its leaf, the proof that the log holds it, and whether it counts, or why not."""
        with found():
            told = canonical_json.dump(vote_receipts.issue_receipt(store, vote))  # canonical: as the verifier reads it
        return Response(told, media_type="application/json", headers=UNTIL_PUBLISHED)

    # A log as C2SP tlog-tiles lays it out: `checkpoint` and `tile/…` below one prefix.
    @router.get("/log/{log}/checkpoint", response_class=Response, responses=_of("text/plain"))
    def head(log: LogName) -> Response:
        """The newest signed head of a log, where a client of tlog-tiles looks for it."""
        return checkpoint(log)

    @router.get("/log/{log}/{tile:path}", response_class=Response, responses=_of("application/octet-stream"))
    def hashes(log: LogName, tile: TilePath) -> Response:
        """256 hashes of a log (C2SP tlog-tiles): `tile/0/x001/067`, or `tile/0/000.p/5` of a part."""
        with found():
            data = log_proofs.read_tile(store, log, tile)
        return Response(data, media_type="application/octet-stream", headers=FOREVER)

    return router


class Bundles:
    """The last few bundles as files, one written at a time; deleted when the process ends.

    A dictionary, which is read without a lock, not a cache of cachetools: a request for a bundle that is there must not
    wait for another that is being written.

    Args:
        store: what they are of.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files: dict[str, tuple[bytes, Path]] = {}
        self._lock = threading.Lock()

    def file(self, snapshot: str) -> Path:
        """The bundle of a snapshot. Another witness's signature makes another file.

        Raises:
            Usage: there is no such snapshot.
            Problem: 503, another one is being written.
        """
        head = log_proofs.read_checkpoint(self._store)
        kept = self._files.get(snapshot)
        if kept is not None and kept[0] == head:
            return kept[1]
        if not self._lock.acquire(timeout=30):
            raise Problem(503, "another bundle is being written; try again", {"retry-after": "30"})
        try:
            return self._written(snapshot, head)
        finally:
            self._lock.release()

    def _written(self, snapshot: str, head: bytes) -> Path:
        kept = self._files.pop(snapshot, None)
        if kept is None or kept[0] != head:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="integrity-bundles-")
            number, name = tempfile.mkstemp(dir=self._folder.name, suffix=".zip")
            with os.fdopen(number, "wb") as out:
                snapshot_bundles.write_archive(self._store, out, snapshot)
            if kept is not None:
                kept[1].unlink(missing_ok=True)
            kept = (head, Path(name))
        self._files[snapshot] = kept
        while len(self._files) > _BUNDLES:
            oldest = next(iter(self._files))
            self._files.pop(oldest)[1].unlink(missing_ok=True)
        return kept[1]


def _of(kind: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {kind: {"schema": {"type": "string"}}}}}


@contextmanager
def found(status: int = 404) -> Iterator[None]:
    """What the ledger does not hold is not found."""
    try:
        yield
    except Usage as error:
        raise Problem(status, str(error)) from None
