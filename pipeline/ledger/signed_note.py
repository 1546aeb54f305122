"""Signs and verifies notes with Ed25519 (C2SP signed-note). Checkpoints are notes, too (C2SP tlog-checkpoint).

    origin                          the name of the log
    size                            in decimal
    root                            in base64
    (an empty line)
    — name base64(key id ‖ signature)

Signatures are verified over the original bytes, never over a parsed value. Base64 that is not the exact encoding
of its bytes is refused, since a decoder ignores spare bits of the last symbol. A signature by an unknown key is
ignored, as C2SP demands, unless the caller asks for strictness. A witness signs with a time (C2SP tlog-cosignature).

A key id has 32 bits and only distinguishes keys. It does not show that a key can be trusted.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ..errors import Refuted
from .merkle import WIDTH

ED25519 = 1
COSIGNATURE = 4
_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
# A checkpoint has some 200 bytes; each witness adds 100.
MAX_NOTE = 64 * 1024
# Other JSON readers round larger integers.
_MAX_LEAVES = 2**53

_NAME = re.compile(r"[^\s+]+")
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A named public key, which verifies signatures.

    Its text is `name+id+base64(kind ‖ public)`, where `kind` is one byte and id is `key_id` in hexadecimal digits.

    Attributes:
        name: name of the signer, without white space and "+".
        kind: ED25519 for a log, COSIGNATURE for a witness.
        public: the 32 bytes of the key.
    """

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Short id of the key: the first 4 bytes of SHA-256(name ‖ newline ‖ kind ‖ public)."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def __str__(self) -> str:
        """Return the key as text: `name+id+base64(kind ‖ public)`."""
        return f"{self.name}+{self.key_id.hex()}+{_text64(bytes([self.kind]) + self.public)}"

    @classmethod
    def parse(cls, text: str, where: str = "key") -> VerifierKey:
        """Parse a published key.

        Args:
            text: the key, NAME+ID+BASE64.
            where: where the key comes from, for messages.

        Raises:
            Refuted: reason `key`: the text has another form, or the id does not match the key.
        """
        parts = text.split("+", 2)
        data = decode64(parts[2]) if len(parts) == 3 else None
        if data is None or not _NAME.fullmatch(parts[0]) or len(data) != 1 + _KEY_BYTES:
            raise Refuted("key", where, "expected name+id+base64 of an Ed25519 key")
        key = cls(parts[0], data[0], data[1:])
        if key.kind not in (ED25519, COSIGNATURE):
            raise Refuted("key", where, f"expected a key of type {ED25519} or {COSIGNATURE}, got {key.kind}")
        if str(key) != text:
            raise Refuted("key", where, f"expected {key}, got {text}")
        return key


@dataclass(frozen=True, slots=True, repr=False)
class Signer:
    """A named private key, which makes signatures. The key is never printed and never part of a message.

    Attributes:
        name: name of the signer.
        seed: 32 secret bytes.
        kind: ED25519 for a log, COSIGNATURE for a witness.

    Raises:
        ValueError: the name contains white space or "+", or the seed has another length.
    """

    name: str
    seed: bytes
    kind: int = ED25519

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.seed) != _KEY_BYTES:
            raise ValueError(f"expected a name without white space and '+', and a seed of {_KEY_BYTES} bytes")

    @property
    def verifier(self) -> VerifierKey:
        """Public key with which others verify the signatures of this private key."""
        public = Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()
        return VerifierKey(self.name, self.kind, public)

    def sign(self, text: bytes, seconds: int = 0) -> bytes:
        """Sign the text of a note, and return the signature line.

        Args:
            text: text of the note, which ends in a newline.
            seconds: time of the signature, seconds since 1970 UTC; used by witnesses only.
        """
        key = Ed25519PrivateKey.from_private_bytes(self.seed)
        stamp = seconds.to_bytes(8, "big") if self.kind == COSIGNATURE else b""
        signature = stamp + key.sign(_signed(self.kind, text, stamp))
        return f"— {self.name} {_text64(self.verifier.key_id + signature)}\n".encode()


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """A signature line of a note, not yet verified: the name and id of the key, and the signature."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A parsed note: a text with its signature lines, which are not yet verified.

    Attributes:
        text: the signed text, which ends in a newline.
        signatures: the signatures in the order of their lines.
    """

    text: bytes
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: the name, size and root of the log."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> bytes:
        """Text of the checkpoint that is signed: the name, the size and the root, one line each."""
        return f"{self.origin}\n{self.size}\n{_text64(self.root)}\n".encode()


def sign(text: bytes, signers: Iterable[Signer]) -> bytes:
    """Make a note from a text: append a signature line of each signer.

    Args:
        text: the text, which ends in a newline.
        signers: private keys of logs. A witness uses `Signer.sign`, because it signs with a time.
    """
    return text + b"\n" + b"".join(signer.sign(text) for signer in signers)


def parse(note: bytes, where: str) -> SignedNote:
    """Parse the bytes of a note into its text and its signatures. No signature is verified.

    Args:
        note: the bytes of the note.
        where: name of the file, for messages.

    Raises:
        Refuted: reason `note`: the bytes are not a note.
    """
    if len(note) > MAX_NOTE:
        raise Refuted("note", where, f"expected at most {MAX_NOTE} bytes, got {len(note)}")
    try:
        decoded = note.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refuted("note", where, f"expected UTF-8, got an invalid byte at {error.start}") from None
    if "\r" in decoded:
        ends = "CRLF" if "\r\n" in decoded else "CR"
        raise Refuted("note", where, f"expected lines that end in LF, got {ends} line endings: a transfer changed them")
    text, gap, lines = decoded.rpartition("\n\n")
    if not gap or not lines.endswith("\n") or _CONTROL.search(decoded):
        raise Refuted("note", where, "expected a text, an empty line and signature lines")
    return SignedNote(text.encode() + b"\n", tuple(_signature(line, where) for line in lines[:-1].split("\n")))


def verify(
    note: SignedNote, keys: Iterable[VerifierKey], where: str, *, strict: bool = True
) -> tuple[VerifierKey, ...]:
    """Verify those signatures of a note that were made by known keys.

    Args:
        note: the parsed note.
        keys: the keys whose signatures are verified.
        where: name of the file, for messages.
        strict: True refuses a note that has a signature by an unknown key. False ignores such a signature.

    Returns:
        The known keys with a valid signature, in the order of the signature lines; empty if no known key signed.

    Raises:
        Refuted: reason `signature`: the signature by a known key is not valid. Reason `note`: a key has two signatures.
            Reason `unknown_key`, only if strict: a signature is by a key that is not in `keys`.
    """
    known = {(key.name, key.key_id): key for key in keys}
    good: list[VerifierKey] = []
    for one in note.signatures:
        key = known.get((one.name, one.key_id))
        if key is not None:
            if key in good:
                raise Refuted("note", where, f"expected one signature of {key.name}, got two")
            _check(key, note.text, one.signature, where)
            good.append(key)
        elif strict:
            raise Refuted(
                "unknown_key", where, f"expected a signature by a known key, got {one.name} {one.key_id.hex()}"
            )
    return tuple(good)


def parse_checkpoint(note: SignedNote, where: str) -> Checkpoint:
    """Parse the checkpoint in a note. Extension lines are refused, because nothing would check their content.

    Args:
        note: the parsed note.
        where: name of the file, for messages.

    Raises:
        Refuted: reason `checkpoint`: the text is not a checkpoint.
    """
    lines = note.text.decode().split("\n")
    if len(lines) != 4:
        raise Refuted("checkpoint", where, f"expected origin, size and root, got {len(lines) - 1} lines")
    origin, size, root = lines[0], lines[1], decode64(lines[2])
    if not origin or not _SIZE.fullmatch(size) or int(size) > _MAX_LEAVES:
        raise Refuted("checkpoint", where, f"expected an origin and a size, got {origin!r} and {size!r}")
    if root is None or len(root) != WIDTH:
        raise Refuted("checkpoint", where, f"expected the base64 of {WIDTH} bytes, got {lines[2]!r}")
    return Checkpoint(origin, int(size), root)


def decode64(text: str) -> bytes | None:
    """Decode standard base64. Return None if the text is not exactly the encoding of some bytes."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return data if _text64(data) == text else None


def _text64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _signature(line: str, where: str) -> NoteSignature:
    parts = line.split(" ")
    data = decode64(parts[2]) if len(parts) == 3 else None
    if data is None or len(data) < 5 or parts[0] != "—" or not _NAME.fullmatch(parts[1]):
        raise Refuted("note", where, f"expected '— name base64', got {line!r}")
    return NoteSignature(parts[1], data[:4], data[4:])


def _check(key: VerifierKey, text: bytes, signature: bytes, where: str) -> None:
    stamp = signature[:8] if key.kind == COSIGNATURE else b""
    bare = signature[len(stamp) :]
    wrong = Refuted("signature", where, f"the signature of {key.name} {key.key_id.hex()} is not valid for this text")
    if len(bare) != _SIGNATURE_BYTES:
        raise wrong
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(bare, _signed(key.kind, text, stamp))
    except (InvalidSignature, ValueError):
        raise wrong from None


def _signed(kind: int, text: bytes, stamp: bytes) -> bytes:
    """Return the signed bytes: for a log the text; for a witness the text after a line with the time."""
    if kind == ED25519:
        return text
    return b"cosignature/v1\ntime %d\n" % int.from_bytes(stamp, "big") + text
