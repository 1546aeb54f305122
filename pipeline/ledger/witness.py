"""Signs, as a witness, a checkpoint that continues the checkpoint signed before (C2SP tlog-witness).

A checkpoint is a signed head of a log: its name, size and root hash. A witness knows one head of each log. It
signs a new head only if a proof shows that the new head continues the known head. The caller must store the new state
before it sends the signature. A third party should run the witness.

Not handled: storage and transport.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import Refuted
from . import signed_note
from .merkle_proofs import check_consistency
from .signed_note import Checkpoint, Signer, VerifierKey

HTTP_STATUS = {
    "note": 400,
    "checkpoint": 400,
    "rollback": 400,
    "key": 403,
    "signature": 403,
    "unsigned": 403,
    "unknown_log": 404,
    "stale": 409,
    "fork": 409,
    "inclusion": 422,
    "consistency": 422,
}
"""HTTP status of the answer to a refused request, by reason of the refusal."""


@dataclass(frozen=True, slots=True)
class WatchedLog:
    """What a witness knows about a log: its public key, and the newest head that the witness signed.

    Before the first signature, the head has size 0.
    """

    key: VerifierKey
    head: Checkpoint


def cosign(
    known: WatchedLog | None, checkpoint: bytes, old_size: int, proof: Sequence[bytes], witness: Signer, seconds: int
) -> tuple[WatchedLog, bytes]:
    """Sign a checkpoint as a witness, if it continues the known head.

    Args:
        known: the log with the head that the witness signed last; None if the witness does not watch the log.
        checkpoint: the signed note of the new head.
        old_size: number of leaves from which the proof begins. It must be the size of the known head.
        proof: the consistency proof from `old_size` leaves to the new head.
        witness: the private key of the witness.
        seconds: time of the signature, seconds since 1970 UTC.

    Returns:
        Two values: the new state of the log, and the signature line.

    Raises:
        Refuted: the log is unknown or did not sign (reason `unknown_log`, `unsigned`), `old_size` is not the size of
            the known head (`stale`), the new head does not continue the known head (`rollback`, `fork`, `consistency`),
            or the note is faulty. `HTTP_STATUS` has the status of each reason.
        ValueError: `witness` is the key of a log.
    """
    if witness.kind != signed_note.COSIGNATURE:
        raise ValueError("expected the key of a witness")
    parsed = signed_note.parse(checkpoint, "checkpoint")
    head = signed_note.parse_checkpoint(parsed, "checkpoint")
    if known is None or known.head.origin != head.origin:
        raise Refuted("unknown_log", "checkpoint", f"expected a watched log, got {head.origin}")
    if known.key not in signed_note.verify(parsed, [known.key], "checkpoint", strict=False):
        raise Refuted("unsigned", "checkpoint", f"expected the signature of {known.key.name}")
    if old_size > head.size:
        raise Refuted("rollback", "checkpoint", f"expected at least {old_size} leaves, got {head.size}")
    if old_size != known.head.size:
        raise Refuted("stale", "proof", f"expected a proof from {known.head.size} leaves on, got one from {old_size}")
    check_consistency(known.head.size, known.head.root, head.size, head.root, proof, "proof")
    return WatchedLog(known.key, head), witness.sign(parsed.text, seconds)
