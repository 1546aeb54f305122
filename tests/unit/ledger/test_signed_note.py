"""Signed notes: a published example, one spelling, and more bad cases than good ones."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import Refuted
from pipeline.ledger import signed_note

# The example of Go's package golang.org/x/mod/sumdb/note.
PUBLISHED_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PUBLISHED = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
""".encode()

SIGNER = signed_note.Signer("board.example/votes", bytes(range(32)))
WITNESS = signed_note.Signer("witness.example", bytes(range(32, 64)), signed_note.COSIGNATURE)
HEAD = signed_note.Checkpoint("board.example/votes", 7, bytes(range(32)))
SIGNED = signed_note.sign(HEAD.text, [SIGNER])
KEYS = [SIGNER.verifier, WITNESS.verifier]


def test_the_published_note_and_key() -> None:
    key = signed_note.VerifierKey.parse(PUBLISHED_KEY)
    assert str(key) == PUBLISHED_KEY
    assert signed_note.verify(signed_note.parse(PUBLISHED, "note"), [key], "note") == (key,)


def test_a_checkpoint_comes_back_from_its_note() -> None:
    parsed = signed_note.parse(SIGNED, "checkpoint")
    assert signed_note.verify(parsed, KEYS, "checkpoint") == (SIGNER.verifier,)
    assert signed_note.parse_checkpoint(parsed, "checkpoint") == HEAD
    lines = SIGNED.decode().split("\n")
    assert lines[:4] == ["board.example/votes", "7", base64.b64encode(HEAD.root).decode(), ""]
    assert lines[4].startswith("— board.example/votes ")


def test_a_witness_signs_with_its_time() -> None:
    parsed = signed_note.parse(SIGNED + WITNESS.sign(HEAD.text, 1_700_000_000), "checkpoint")
    assert signed_note.verify(parsed, KEYS, "checkpoint") == (SIGNER.verifier, WITNESS.verifier)
    assert int.from_bytes(parsed.signatures[1].signature[:8], "big") == 1_700_000_000


def test_signatures_of_witnesses_and_logs_are_not_interchangeable() -> None:
    as_log = signed_note.VerifierKey(WITNESS.name, signed_note.ED25519, WITNESS.verifier.public)
    assert as_log.key_id != WITNESS.verifier.key_id
    forged = signed_note.VerifierKey(SIGNER.name, signed_note.COSIGNATURE, SIGNER.verifier.public)
    signature = signed_note.parse(SIGNED, "x").signatures[0].signature
    with pytest.raises(Refuted, match="signature"):
        signed_note.verify(
            signed_note.SignedNote(HEAD.text, (signed_note.NoteSignature(SIGNER.name, forged.key_id, signature),)),
            [forged],
            "x",
        )


def test_an_unknown_key_is_refused_or_ignored_as_asked() -> None:
    parsed = signed_note.parse(SIGNED, "checkpoint")
    with pytest.raises(Refuted, match="unknown_key"):
        signed_note.verify(parsed, [WITNESS.verifier], "checkpoint")
    assert signed_note.verify(parsed, [WITNESS.verifier], "checkpoint", strict=False) == ()


def test_a_signature_has_one_spelling() -> None:
    # 68 bytes are 92 symbols with one "="; the last symbol before it has two spare bits.
    line = SIGNED.decode().rstrip("\n")
    assert line.endswith("=") and not line.endswith("==")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = line[:-2] + alphabet[alphabet.index(line[-2]) ^ 1] + "=\n"
    assert base64.b64decode(other.split(" ")[-1]) == base64.b64decode(line.split(" ")[-1])
    with pytest.raises(Refuted, match="note"):
        signed_note.parse(other.encode(), "checkpoint")


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        (b"", "note"),
        (HEAD.text, "note"),
        (HEAD.text + b"\n", "note"),
        (SIGNED[:-1], "note"),
        (SIGNED + b"\n", "note"),
        (SIGNED + b"x\n", "note"),
        (SIGNED + SIGNED.split(b"\n\n")[1], "note"),
        (SIGNED.replace(b"\n\n", b"\n"), "note"),
        (SIGNED.replace(b"\n", b"\r\n"), "note"),
        (SIGNED.replace("—".encode(), b"-"), "note"),
        (SIGNED.replace("— ".encode(), "—  ".encode()), "note"),
        (SIGNED.replace(b"7", b"\xff", 1), "note"),
        (SIGNED.replace(b"7", b"7\x00", 1), "note"),
        (b"x" * (signed_note.MAX_NOTE + 1), "note"),
        (b"evil" + SIGNED, "signature"),
        (SIGNED.replace(b"\n7\n", b"\n8\n"), "signature"),
        (SIGNED.replace(b"\n7\n", b"\n07\n"), "signature"),
        (SIGNED.replace("— board.example/votes".encode(), "— board.example/other".encode()), "unknown_key"),
    ],
)
def test_a_spoilt_note_is_refused(spoilt: bytes, reason: str) -> None:
    with pytest.raises(Refuted) as refuted:
        signed_note.verify(signed_note.parse(spoilt, "checkpoint"), KEYS, "checkpoint")
    assert refuted.value.reason == reason


@pytest.mark.parametrize(
    "text",
    [
        b"origin\n7\n",
        HEAD.text + b"extension\n",
        HEAD.text.replace(b"\n7\n", b"\n07\n"),
        HEAD.text.replace(b"\n7\n", b"\n-7\n"),
        HEAD.text.replace(b"\n7\n", b"\n7.0\n"),
        HEAD.text.replace(b"\n7\n", "\n٧\n".encode()),
        HEAD.text.replace(b"\n7\n", b"\n9999999999999999\n"),
        HEAD.text.replace(b"board.example/votes\n", b"\n"),
        HEAD.text.replace(b"=\n", b"\n"),
        signed_note.Checkpoint("origin", 7, bytes(31)).text,
    ],
)
def test_a_signed_note_that_is_no_checkpoint_is_refused(text: bytes) -> None:
    parsed = signed_note.parse(signed_note.sign(text, [SIGNER]), "checkpoint")
    assert signed_note.verify(parsed, KEYS, "checkpoint")
    with pytest.raises(Refuted, match=r"\[checkpoint\]"):
        signed_note.parse_checkpoint(parsed, "checkpoint")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000",
        PUBLISHED_KEY.replace("c74f20a3", "c74f20a4"),
        PUBLISHED_KEY.replace("c74f20a3", "C74F20A3"),
        PUBLISHED_KEY.replace("PeterNeumann", "peterneumann"),
        PUBLISHED_KEY.replace("PeterNeumann", "Peter Neumann"),
        PUBLISHED_KEY.replace("+AR", "+Ag"),
        PUBLISHED_KEY[:-4],
        PUBLISHED_KEY + " ",
        PUBLISHED_KEY + "=",
    ],
)
def test_another_spelling_of_a_key_is_refused(text: str) -> None:
    with pytest.raises(Refuted, match=r"\[key\]"):
        signed_note.VerifierKey.parse(text)


@settings(max_examples=300)
@given(st.integers(0, len(SIGNED) * 8 - 1))
def test_a_flipped_bit_anywhere_in_a_signed_checkpoint_refutes_it(bit: int) -> None:
    spoilt = bytearray(SIGNED)
    spoilt[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Refuted):
        signed_note.verify(signed_note.parse(bytes(spoilt), "checkpoint"), KEYS, "checkpoint")


def test_a_signer_does_not_show_its_secret() -> None:
    assert "seed" not in repr(SIGNER)
    with pytest.raises(ValueError, match="without white space"):
        signed_note.Signer("two words", bytes(32))


@pytest.mark.parametrize("name, size", [("Peter Neumann", 33), ("PeterNeumann", 32), ("PeterNeumann", 34)])
def test_a_key_needs_both_a_name_without_spaces_and_32_bytes(name: str, size: int) -> None:
    data = base64.b64encode(bytes([signed_note.ED25519]) + bytes(size - 1)).decode()
    with pytest.raises(Refuted, match="expected name\\+id\\+base64 of an Ed25519 key"):
        signed_note.VerifierKey.parse(f"{name}+c74f20a3+{data}")
