"""A receipt ties one vote to a signed log: each part of it that is changed refutes it.

Proofs and roots are those of the slow definition (`slow_merkle`), made from the leaves of a golden file.
"""

import json
from dataclasses import replace
from functools import cache
from hashlib import sha256
from typing import Any

import pytest

from pipeline.errors import Refuted
from pipeline.ledger import canonical_json, leaf_encoding, signed_note
from pipeline.ledger.receipt import VoteReceipt, check, load, vote_log_key
from tests.unit.ledger import slow_merkle
from tests.unit.ledger.board_operator import BOARD, SIGNER, WITNESS, small_votes

LOG = signed_note.Signer(f"{BOARD}/votes", SIGNER.seed)
KEYS = [SIGNER.verifier]
AT = 5


@cache
def entries() -> list[bytes]:
    return leaf_encoding.entries(small_votes().slice(0, 13))


def signed(origin: str, size: int, root: bytes, *signers: signed_note.Signer) -> str:
    return signed_note.sign(signed_note.Checkpoint(origin, size, root).text, list(signers)).decode()


def receipt(at: int = AT, **changes: Any) -> VoteReceipt:
    """The receipt of leaf `at` of a log of 13 leaves; `path` is the slow definition's."""
    good = VoteReceipt(
        vote=json.loads(entries()[at])["vote"],
        leaf=at,
        entry=entries()[at].decode(),
        size=len(entries()),
        path=tuple(canonical_json.Digest(one.hex()) for one in slow_merkle.path(at, entries())),
        checkpoint=signed(LOG.name, len(entries()), slow_merkle.root(entries()), LOG),
        snapshot=canonical_json.Digest("ab" * 32),
        raw=True,
        defended=False,
        reason="excluded",
        tiles_read=2,
    )
    return replace(good, **changes)


def refuted(given: VoteReceipt, keys: list[signed_note.VerifierKey] = KEYS) -> tuple[str, str]:
    with pytest.raises(Refuted) as found:
        check(given, keys)
    return found.value.reason, found.value.where


def test_the_receipt_of_every_leaf_passes_and_gives_the_signed_head() -> None:
    for at in range(13):
        head = check(receipt(at), KEYS)
        assert (head.origin, head.size, head.root) == ("arena.example/text/votes", 13, slow_merkle.root(entries()))


def test_a_receipt_is_of_the_vote_that_its_leaf_names_and_of_no_other() -> None:
    other = json.loads(entries()[AT + 1])["vote"]
    assert refuted(receipt(vote=other)) == ("leaf", "receipt")
    assert refuted(receipt(vote="")) == ("leaf", "receipt")


def test_a_leaf_that_is_not_in_the_log_at_its_place_is_refuted() -> None:
    forged = entries()[AT].replace(b'"model_a":"', b'"model_a":"x')
    assert refuted(receipt(entry=forged.decode())) == ("inclusion", "receipt")
    assert refuted(receipt(leaf=AT + 1)) == ("inclusion", "receipt")
    assert refuted(receipt(path=receipt().path[:-1])) == ("inclusion", "receipt")
    assert refuted(receipt(path=(*receipt().path, canonical_json.Digest("00" * 32)))) == ("inclusion", "receipt")


def test_a_proof_for_another_size_than_the_signed_one_is_refuted() -> None:
    assert refuted(receipt(size=12)) == ("size", "receipt")
    assert refuted(receipt(size=14)) == ("size", "receipt")


def test_a_head_that_the_board_did_not_sign_is_refuted() -> None:
    stranger = signed_note.Signer(LOG.name, sha256(b"stranger").digest())
    root = slow_merkle.root(entries())
    assert refuted(receipt(checkpoint=signed(LOG.name, 13, root, stranger))) == ("unknown_key", "checkpoint")
    assert refuted(receipt(), [replace(SIGNER.verifier, public=stranger.verifier.public)])[0] == "unknown_key"
    assert refuted(receipt(), [])[0] == "unknown_key"


def test_a_head_of_another_log_is_refuted_although_the_board_signed_it() -> None:
    other = signed("arena.example/image/votes", 13, slow_merkle.root(entries()), LOG)
    assert refuted(receipt(checkpoint=other)) == ("unsigned", "checkpoint")


def test_one_of_several_known_keys_is_enough() -> None:
    second = signed_note.Signer(f"{BOARD}/snapshots", sha256(b"second").digest())
    assert check(receipt(), [second.verifier, SIGNER.verifier]).size == 13
    old = signed_note.Signer(LOG.name, second.seed)
    both = signed(LOG.name, 13, slow_merkle.root(entries()), old, LOG)
    assert check(receipt(checkpoint=both), [second.verifier, SIGNER.verifier]).size == 13


def test_the_vote_log_s_key_is_the_snapshot_log_s_under_the_log_s_own_name() -> None:
    assert vote_log_key(SIGNER.verifier) == LOG.verifier
    for signer in (LOG, WITNESS):
        with pytest.raises(Refuted, match="expected the key of a snapshot log"):
            vote_log_key(signer.verifier)


def test_a_receipt_is_read_from_its_canonical_bytes_only() -> None:
    data = canonical_json.dump(receipt())
    assert load(data) == receipt()
    with pytest.raises(Refuted, match="canonical"):
        load(data + b"\n")
    with pytest.raises(Refuted, match="fields"):
        load(canonical_json.dump({**json.loads(data), "leaf": -1}))
