"""A receipt ties one vote to a signed log: each part of it that is changed refutes it.

Proofs and roots are those of the slow definition (`slow_merkle`), made from the leaves of a golden file.
"""

import json
from dataclasses import replace
from functools import cache
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
import rfc8785

from pipeline.errors import Refuted
from pipeline.ledger import canonical_json, leaf, leaf_encoding, signed_note
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
        counts = json.loads(entries()[at])["fate"] != "quarantined"
        head = check(receipt(at, raw=counts), KEYS)
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
    assert refuted(receipt(checkpoint=signed(LOG.name, 13, root, stranger))) == ("unsigned", "checkpoint")
    assert refuted(receipt(), [replace(SIGNER.verifier, public=stranger.verifier.public)])[0] == "unsigned"
    assert refuted(receipt(), [])[0] == "unsigned"


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


def resealed(entry: bytes, **changes: Any) -> VoteReceipt:
    """The receipt of a leaf that the operator put into its log in place of leaf 5."""
    log = [*entries()[:AT], entry, *entries()[AT + 1 :]]
    path = tuple(canonical_json.Digest(one.hex()) for one in slow_merkle.path(AT, log))
    signed_head = signed(LOG.name, len(log), slow_merkle.root(log), LOG)
    return receipt(entry=entry.decode(), path=path, checkpoint=signed_head, **changes)


def retraction() -> bytes:
    vote = json.loads(entries()[AT])["vote"]
    rows = leaf.retraction_rows([vote], np.array([0]), [3], ["the voter asked"])
    return leaf_encoding.entries(rows)[0]


LEAF = json.loads(entries()[AT])
NO_VOTES: dict[str, bytes] = {
    "a retraction": retraction(),
    "an id alone": rfc8785.dumps({"vote": LEAF["vote"]}),
    "a leaf without a type": rfc8785.dumps({k: v for k, v in LEAF.items() if k != "type"}),
    "a retraction with the fields of a vote": rfc8785.dumps({**LEAF, "type": "retraction"}),
    "a vote with the fields of a retraction": retraction().replace(b'"type":"retraction"', b'"type":"vote"'),
    "a type that is none": rfc8785.dumps({**LEAF, "type": "ballot"}),
    "a type that is no text": rfc8785.dumps({**LEAF, "type": 1}),
    "an outcome that is none": rfc8785.dumps({**LEAF, "outcome": "draw"}),
    "a fate that is none": rfc8785.dumps({**LEAF, "fate": "lost"}),
    "a model against itself": rfc8785.dumps({**LEAF, "model_a": LEAF["model_b"]}),
    "a time to the minute": rfc8785.dumps({**LEAF, "at": "2024-08-14T12:30:00Z"}),
    "a commitment of another length": rfc8785.dumps({**LEAF, "commitment": "ab"}),
    "a field more": rfc8785.dumps({**LEAF, "voter": "somebody"}),
    "another spelling": json.dumps(LEAF).encode(),
    "a list": b"[1]",
    "a text": b'"vote"',
    "no JSON": b"{",
    "deep nesting": b"[" * 100_000,
}


@pytest.mark.parametrize("what", NO_VOTES)
def test_only_the_leaf_of_a_vote_is_a_receipt(what: str) -> None:
    assert refuted(resealed(NO_VOTES[what]))[0] == "leaf"
    assert check(resealed(entries()[AT]), KEYS).size == 13


@pytest.mark.parametrize(
    "claims",
    [
        {"raw": False, "defended": True, "reason": ""},
        {"raw": True, "defended": True, "reason": "excluded"},
        {"raw": True, "defended": False, "reason": ""},
    ],
)
def test_views_that_contradict_each_other_are_refused(claims: dict[str, Any]) -> None:
    assert refuted(receipt(**claims)) == ("counts", "receipt")


def test_a_quarantined_vote_counts_in_no_view() -> None:
    at = next(at for at in range(13) if json.loads(entries()[at])["fate"] == "quarantined")
    assert refuted(receipt(at)) == ("counts", "receipt")
    assert check(receipt(at, raw=False, reason="quarantined"), KEYS).size == 13
