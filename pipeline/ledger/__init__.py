"""The public ledger: bytes in, bytes out; no store, no settings, no service, no clock.

Where is what:
    merkle      hashes, the root, the frontier of a growing tree (RFC 6962, RFC 9162)
    proofs      inclusion and consistency: made and checked
    tiles       the hashes of a log as immutable files (C2SP tlog-tiles)
    note        signed notes, checkpoints and their keys (C2SP signed-note, tlog-checkpoint, tlog-cosignature)

What "audited" means: every counted vote is in an append-only log, the log only ever grew, the ratings follow from those
votes and the stated exclusions, and the operator signed exactly this.
"""
