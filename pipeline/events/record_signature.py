"""Signs and verifies records of a topic, so that a publisher can prove that it sent a record.

A signature covers the topic, the other headers about the record, and the record's value, each preceded by its length.
Therefore nobody can move a signed record to another topic or change its headers. With HMAC-SHA-256, publisher and
workers share a secret; with Ed25519, the workers have public keys only.
"""

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pipeline.errors import Usage

HMAC, ED25519 = "hmac-sha256", "ed25519"

UNSIGNED, BAD_SIGNATURE = "unsigned", "bad_signature"
"""Reasons of rejects: the record has no signature of a known publisher, or its signature does not fit the record."""

RecordMarks = tuple[bytes | None, bytes | None, bytes | None]
"""Values of three headers of a record: the id of the key from which the voter's pseudonym was computed, the reason why
the publisher found the record invalid, and the signature. None stands for an absent header."""

NO_MARKS: RecordMarks = (None, None, None)

_DOMAIN = b"leaderboard-integrity record 1"
_KEY = re.compile(r"([A-Za-z0-9._-]{1,64})=(hmac-sha256|ed25519):([0-9a-fA-F]{64})")
_EXPECTED = f"NAME={HMAC}:64 hexadecimal digits or NAME={ED25519}:64 hexadecimal digits"


@dataclass(frozen=True, slots=True)
class RecordSigner:
    """Signs records under the name of a publisher.

    Attributes:
        name: name of the publisher.
        verifier: the publisher's entry in INTEGRITY_PUBLISHERS, with which workers check its signatures.
    """

    name: str
    verifier: str
    _sign: Callable[[bytes], bytes]

    def sign(self, topic: str, marks: RecordMarks, value: bytes) -> bytes:
        """Return the value of a record's signature header: NAME:HEXADECIMAL DIGITS.

        Args:
            topic: the topic of the record.
            marks: the headers of the record. The third header, the signature, is not signed.
            value: the value of the record.
        """
        return f"{self.name}:{self._sign(_message(topic, marks, value)).hex()}".encode()


def parse_signer(text: str) -> RecordSigner | None:
    """Parse a publisher's private key, NAME=SCHEME:DIGITS.

    Args:
        text: NAME is the name of the publisher. SCHEME is `hmac-sha256` or `ed25519`. DIGITS are 64 hexadecimal digits,
            the HMAC secret or the Ed25519 seed.

    Returns:
        The signer, or None for an empty text.

    Raises:
        Usage: the text has another form. The message does not quote the text, since it is secret.
    """
    if not text:
        return None
    name, scheme, key = _parse("INTEGRITY_PUBLISH_KEY", text)
    if scheme == HMAC:
        return RecordSigner(name, f"{name}={HMAC}:{key.hex()}", lambda message: hmac.digest(key, message, "sha256"))
    private = Ed25519PrivateKey.from_private_bytes(key)
    public = private.public_key().public_bytes_raw().hex()
    return RecordSigner(name, f"{name}={ED25519}:{public}", private.sign)


@dataclass(frozen=True, slots=True)
class RecordVerifier:
    """Checks that records of a topic are signed by a known publisher.

    Attributes:
        topic: the topic of the records.
        publishers: name of a publisher → the check of a signature: called with (signature, message), it returns whether
            the signature is valid.
    """

    topic: str
    publishers: Mapping[str, Callable[[bytes, bytes], bool]]

    def find_fault(self, marks: RecordMarks, value: bytes) -> tuple[str, str] | None:
        """Return (reason, detail) of the reject of a record without a valid signature; None if the signature is valid.

        Args:
            marks: the headers of the record, signature included.
            value: the value of the record.
        """
        name, _, digits = (marks[2] or b"").decode("ascii", "replace").partition(":")
        verify = self.publishers.get(name)
        known = ", ".join(sorted(self.publishers))
        if marks[2] is None:
            return UNSIGNED, f"expected a signature of {known}, got none: `integrity publish` signs with a key"
        if verify is None:
            return UNSIGNED, f"expected a signature of {known}, got one of another publisher"
        try:
            signature = bytes.fromhex(digits)
        except ValueError:
            return BAD_SIGNATURE, f"expected a signature of {name} in hexadecimal digits"
        if not verify(signature, _message(self.topic, marks, value)):
            return BAD_SIGNATURE, f"expected a signature of {name} for this record on {self.topic}, got another one"
        return None


def parse_publishers(text: str) -> dict[str, Callable[[bytes, bytes], bool]]:
    """Parse the keys of all publishers, NAME=SCHEME:DIGITS, separated by commas.

    Args:
        text: each key has the form that `parse_signer` reads. With `ed25519`, the digits are the public key.

    Returns:
        Name of a publisher → the check of a signature: called with (signature, message), it returns whether the
        signature is valid.

    Raises:
        Usage: a key has another form, or a name occurs twice. The message does not quote the text.
    """
    found: dict[str, Callable[[bytes, bytes], bool]] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, scheme, key = _parse("INTEGRITY_PUBLISHERS", part)
        if name in found:
            raise Usage(f"INTEGRITY_PUBLISHERS: expected each publisher once, got {name} twice")
        found[name] = _hmac_verifier(key) if scheme == HMAC else _ed25519_verifier(key)
    return found


def _parse(variable: str, text: str) -> tuple[str, str, bytes]:
    found = _KEY.fullmatch(text)
    if not found:
        raise Usage(f"{variable}: expected {_EXPECTED}, got another text")
    return found[1], found[2], bytes.fromhex(found[3])


def _hmac_verifier(key: bytes) -> Callable[[bytes, bytes], bool]:
    return lambda signature, message: hmac.compare_digest(signature, hmac.digest(key, message, "sha256"))


def _ed25519_verifier(key: bytes) -> Callable[[bytes, bytes], bool]:
    public = Ed25519PublicKey.from_public_bytes(key)

    def verify(signature: bytes, message: bytes) -> bool:
        try:
            public.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return verify


def _message(topic: str, marks: RecordMarks, value: bytes) -> bytes:
    parts = (topic.encode(), marks[0] or b"", marks[1] or b"", value)
    return _DOMAIN + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
