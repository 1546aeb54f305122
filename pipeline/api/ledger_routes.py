"""Defines the routes of the API about the public ledger: checkpoints, proofs, receipts, tiles and bundles.

A response contains the bytes of the ledger unchanged. A vote is shown only to a client that names its id, so nobody can
list the votes of a voter.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import FileResponse, Response

from pipeline.api.bundle_files import BundleFiles
from pipeline.api.cache_policies import IMMUTABLE, NO_STORE, UNTIL_PUBLISHED
from pipeline.api.costly_work import CostlyWork
from pipeline.api.documents.ledger_documents import (
    ConsistencyProofDocument,
    KeyListDocument,
    ReceiptDocument,
    SnapshotProofDocument,
    VoteProofDocument,
)
from pipeline.api.error_responses import Problem
from pipeline.api.openapi_responses import media_types
from pipeline.api.request_params import SnapshotParam, VoteParam
from pipeline.api.store_reader import StoreReader
from pipeline.api.table_responses import json_response
from pipeline.errors import Usage
from pipeline.ledger import canonical_json
from pipeline.store import Store
from pipeline.store.read import log_proofs, vote_receipts

LogParam = Annotated[Literal["snapshots", "votes"], Query(description="Which of the two logs.")]
LogName = Literal["snapshots", "votes"]
SizeParam = Annotated[int, Query(ge=0, le=2**53)]
TilePath = Annotated[str, Path(pattern=r"^tile/[0-9]{1,2}(/x[0-9]{3}){0,6}/[0-9]{3}(\.p/[0-9]{1,3})?$")]


def routes(reader: StoreReader, costly: CostlyWork) -> APIRouter:
    """Return a router with the routes about the public ledger, in the order in which OpenAPI lists them."""
    router = APIRouter(tags=["ledger"])
    _add_snapshot_log_routes(router, reader.store, costly)
    _add_vote_log_routes(router, reader.store)
    _add_tile_routes(router, reader.store)
    return router


def _add_snapshot_log_routes(router: APIRouter, store: Store, costly: CostlyWork) -> None:
    bundles = BundleFiles(store)

    @router.get("/checkpoint", response_class=Response, responses=media_types("text/plain"))
    def checkpoint(log: LogParam = "snapshots") -> Response:
        """The newest signed head of a log (C2SP signed note), with the signatures of its witnesses."""
        return _checkpoint(store, log)

    @router.get("/keys", response_model=KeyListDocument)
    def keys() -> Response:
        """The keys that signed the log, oldest first. Compare them with a copy from elsewhere."""
        with usage_as_problem():
            return json_response({"keys": list(log_proofs.read_keys(store))}, UNTIL_PUBLISHED)

    @router.get("/snapshots/{snapshot}/manifest", response_class=Response, responses=media_types("application/json"))
    def manifest(snapshot: SnapshotParam) -> Response:
        """The manifest of a snapshot as canonical JSON, as the snapshot log has it. Its SHA-256 is the `digest`."""
        with usage_as_problem():
            return Response(log_proofs.read_manifest(store, snapshot), media_type="application/json", headers=IMMUTABLE)

    @router.get("/snapshots/{snapshot}/proof", response_model=SnapshotProofDocument)
    def proof(snapshot: SnapshotParam) -> Response:
        """The inclusion proof of this snapshot's manifest in the snapshot log, up to the newest signed head."""
        with usage_as_problem():
            return json_response(asdict(log_proofs.prove_snapshot(store, snapshot)), UNTIL_PUBLISHED)

    @router.get("/snapshots/{snapshot}/bundle", response_class=FileResponse, responses=media_types("application/zip"))
    async def bundle(request: Request, snapshot: SnapshotParam) -> Response:
        """Everything needed to check this snapshot offline, votes included, as a zip for `integrity verify`."""
        with usage_as_problem():
            file = await costly.run(request, lambda: bundles.get(snapshot))
        name = f"bundle-{snapshot[:12]}.zip"
        return FileResponse(file, media_type="application/zip", filename=name, headers=NO_STORE)

    @router.get("/consistency", response_model=ConsistencyProofDocument)
    def consistency(old: SizeParam, new: SizeParam, log: LogParam = "snapshots") -> Response:
        """Proof that the log with `new` leaves begins with the log of `old` leaves: nothing was changed or removed."""
        with usage_as_problem(422):
            path = log_proofs.prove_growth(store, old, new, log)
        return json_response({"log": log, "old": old, "new": new, "path": list(path)}, UNTIL_PUBLISHED)


def _add_vote_log_routes(router: APIRouter, store: Store) -> None:
    @router.get("/proof", response_model=VoteProofDocument)
    def vote_proof(vote: VoteParam) -> Response:
        """The inclusion proof of a vote in the vote log."""
        with usage_as_problem():
            return json_response(asdict(log_proofs.prove_vote(store, vote)), UNTIL_PUBLISHED)

    @router.get("/receipt", response_model=ReceiptDocument)
    def receipt(vote: VoteParam) -> Response:
        """Whether a vote is counted: its leaf, the proof that it is in the log, and the views that count it."""
        with usage_as_problem():
            body = canonical_json.dump(vote_receipts.issue_receipt(store, vote))  # the form that the verifier reads
        return Response(body, media_type="application/json", headers=UNTIL_PUBLISHED)


def _add_tile_routes(router: APIRouter, store: Store) -> None:
    """Add the routes of C2SP tlog-tiles: `checkpoint` and `tile/…` below one prefix for each log."""

    @router.get("/log/{log}/checkpoint", response_class=Response, responses=media_types("text/plain"))
    def log_checkpoint(log: LogName) -> Response:
        """The newest signed head of a log, at the address that tlog-tiles clients expect."""
        return _checkpoint(store, log)

    @router.get("/log/{log}/{tile:path}", response_class=Response, responses=media_types("application/octet-stream"))
    def log_tile(log: LogName, tile: TilePath) -> Response:
        """256 hashes of a log (C2SP tlog-tiles): `tile/0/x001/067`, or `tile/0/000.p/5` for a partial tile."""
        with usage_as_problem():
            data = log_proofs.read_tile(store, log, tile)
        return Response(data, media_type="application/octet-stream", headers=IMMUTABLE)


def _checkpoint(store: Store, log: str) -> Response:
    with usage_as_problem():
        return Response(log_proofs.read_checkpoint(store, log), media_type="text/plain", headers=UNTIL_PUBLISHED)


@contextmanager
def usage_as_problem(status: int = 404) -> Iterator[None]:
    """Convert a `Usage` error inside a `with` block, such as an unknown vote, to a `Problem` with this status."""
    try:
        yield
    except Usage as error:
        raise Problem(status, str(error)) from None
