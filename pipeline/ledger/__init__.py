"""The public ledger: bytes in, bytes out; no store, no settings, no service, no clock.

Where is what:
    merkle      hashes, the root, the frontier of a growing tree (RFC 6962, RFC 9162)
    proofs      inclusion and consistency: made and checked
    tiles       the hashes of a log as immutable files (C2SP tlog-tiles)
    note        signed notes, checkpoints and their keys (C2SP signed-note, tlog-checkpoint, tlog-cosignature)
    strict      JSON that has one spelling (RFC 8785), records with exactly their fields
    leaf        the public leaf of a vote, and of a retraction; rows as Arrow columns
    segment     the leaves of one seal as Parquet
    manifest    what a snapshot claims: the leaf of the snapshot log
    votelog     the vote log read leaf by leaf: its root, what counts in each view
    views       a board as it is published, and whether it follows from the votes
    bundle      the files of a snapshot for strangers; archive: as one zip; opening: whichever it is
    receipt     one vote's place in the log
    verify      is a bundle what it says? names the first thing that is wrong
    command     `leaderboard-verify`, the package of deploy/verifier
    request     what a log asks of a witness
    witness     cosigns what continues the known head, refuses forks and rollbacks

What "audited" means: every counted vote is in an append-only log, the log only ever grew, the ratings follow from those
votes and the stated exclusions, and the operator signed exactly this.
"""
