"""A witness signs what continues its head, and refuses the rest with the status of the protocol."""

from collections.abc import Callable

import pytest

from pipeline.errors import Refuted
from pipeline.ledger import merkle, signed_note
from pipeline.ledger.merkle_proofs import consistency_path
from pipeline.ledger.witness import HTTP_STATUS, WatchedLog, cosign
from tests.unit.ledger import slow_merkle

LOG = signed_note.Signer("log.example", bytes(range(32)))
OTHER = signed_note.Signer("log.example", bytes(range(1, 33)))
WITNESS = signed_note.Signer("witness.example", bytes(range(2, 34)), signed_note.COSIGNATURE)
HASHES = slow_merkle.leaf_hashes([b"%d" % i for i in range(20)])
NODE = merkle.MerkleTree(HASHES).node
EMPTY = WatchedLog(LOG.verifier, signed_note.Checkpoint(LOG.name, 0, merkle.EMPTY_ROOT))


def head(size: int, root: bytes | None = None, signer: signed_note.Signer = LOG, origin: str = LOG.name) -> bytes:
    return signed_note.sign(
        signed_note.Checkpoint(origin, size, root or merkle.root(HASHES[: size * 32])).text, [signer]
    )


def at(size: int) -> WatchedLog:
    return WatchedLog(LOG.verifier, signed_note.Checkpoint(LOG.name, size, merkle.root(HASHES[: size * 32])))


def test_a_witness_follows_a_log_as_it_grows() -> None:
    known, old = EMPTY, 0
    for size in (1, 4, 4, 7, 20):
        known, line = cosign(known, head(size), old, consistency_path(old, size, NODE), WITNESS, 1_723_700_000 + size)
        assert known == at(size)
        signed = signed_note.parse(head(size) + line, "checkpoint")
        assert signed_note.verify(signed, [LOG.verifier, WITNESS.verifier], "x") == (LOG.verifier, WITNESS.verifier)
        assert int.from_bytes(signed.signatures[1].signature[:8], "big") == 1_723_700_000 + size
        old = size


PATH = consistency_path(4, 7, NODE)
REFUSED: dict[str, tuple[Callable[[], object], str, int]] = {
    "a log that it does not watch": (lambda: cosign(None, head(7), 4, PATH, WITNESS, 1), "unknown_log", 404),
    "another name": (lambda: cosign(at(4), head(7, origin="x"), 4, PATH, WITNESS, 1), "unknown_log", 404),
    "another key": (lambda: cosign(at(4), head(7, signer=OTHER), 4, PATH, WITNESS, 1), "unsigned", 403),
    "a wrong signature": (
        lambda: cosign(at(4), head(7).replace(b"\n7\n", b"\n8\n"), 4, PATH, WITNESS, 1),
        "signature",
        403,
    ),
    "no note": (lambda: cosign(at(4), b"7", 4, PATH, WITNESS, 1), "note", 400),
    "no checkpoint": (lambda: cosign(at(4), signed_note.sign(b"x\n", [LOG]), 4, PATH, WITNESS, 1), "checkpoint", 400),
    "a proof from an older head": (lambda: cosign(at(5), head(7), 4, PATH, WITNESS, 1), "stale", 409),
    "a proof from a newer head": (lambda: cosign(at(3), head(7), 4, PATH, WITNESS, 1), "stale", 409),
    "a rollback": (lambda: cosign(at(7), head(4), 7, [], WITNESS, 1), "rollback", 400),
    "a rollback that hides": (lambda: cosign(at(7), head(4), 4, [], WITNESS, 1), "stale", 409),
    "a fork": (lambda: cosign(at(7), head(7, bytes(32)), 7, [], WITNESS, 1), "fork", 409),
    "another past": (lambda: cosign(at(4), head(7, bytes(32)), 4, PATH, WITNESS, 1), "consistency", 422),
    "a proof cut short": (lambda: cosign(at(4), head(7), 4, PATH[:-1], WITNESS, 1), "consistency", 422),
    "a proof too long": (lambda: cosign(at(4), head(7), 4, [*PATH, bytes(32)], WITNESS, 1), "consistency", 422),
    "a proof from nothing": (lambda: cosign(EMPTY, head(7), 0, PATH, WITNESS, 1), "consistency", 422),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_witness_refuses(what: str) -> None:
    ask, reason, status = REFUSED[what]
    with pytest.raises(Refuted) as refuted:
        ask()
    assert refuted.value.reason == reason
    assert HTTP_STATUS[reason] == status


def test_a_witness_needs_the_key_of_a_witness() -> None:
    with pytest.raises(ValueError, match="witness"):
        cosign(at(4), head(7), 4, PATH, LOG, 1)
