"""Writes and reads the request with which a log asks a witness for a signature (C2SP tlog-witness, `add-checkpoint`).

    old 7
    base64 of a hash                  (one line for each hash of the consistency proof)
    (an empty line)
    the checkpoint

Every request has exactly one text form, with at most 63 hashes.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import Refuted
from .merkle import WIDTH
from .signed_note import decode64

_OLD = re.compile(rb"old (0|[1-9][0-9]{0,15})", re.ASCII)
_MAX_HASHES = 63


@dataclass(frozen=True, slots=True)
class WitnessRequest:
    """Asks a witness to sign a new head of the log.

    The request proves that the new head continues the head that the witness signed last, which has `old` leaves.

    Attributes:
        old: number of leaves of the head that the witness signed last.
        proof: hashes of the consistency proof, lowest level first.
        checkpoint: the signed note of the new head.
    """

    old: int
    proof: tuple[bytes, ...]
    checkpoint: bytes

    def dump(self) -> bytes:
        """Return the request as bytes, in the text form that the docstring of this module shows."""
        return b"old %d\n%b\n%b" % (self.old, _lines(self.proof), self.checkpoint)


def _lines(proof: Sequence[bytes]) -> bytes:
    return b"".join(base64.b64encode(one) + b"\n" for one in proof)


def load_request(data: bytes) -> WitnessRequest:
    """Parse the body of a request.

    Raises:
        Refuted: reason `note`: the body does not have the form that the docstring of this module shows.
    """
    head, gap, checkpoint = data.partition(b"\n\n")
    old, *hashes = head.split(b"\n")
    size = _OLD.fullmatch(old)
    proof = [decode64(line.decode("ascii", "replace")) for line in hashes]
    if not gap or size is None or len(proof) > _MAX_HASHES or any(len(one or b"") != WIDTH for one in proof):
        raise Refuted("note", "request", "expected 'old SIZE', base64 hashes, an empty line and a checkpoint")
    return WitnessRequest(int(size[1]), tuple(one for one in proof if one is not None), checkpoint)
