"""The public ledger. Its code works on bytes and files alone: no store, no settings, no service, no clock.

Modules:
    merkle               hashes, roots, the frontier of a growing tree (RFC 6962, RFC 9162)
    merkle_proofs        inclusion and consistency proofs, made and checked
    tiles                the hashes of a log as immutable files (C2SP tlog-tiles)
    signed_note          signed notes, checkpoints and keys (C2SP signed-note, tlog-checkpoint, tlog-cosignature)
    canonical_json       JSON with one spelling (RFC 8785), and records with exactly their fields
    leaf                 the public leaf of a vote and of a retraction, as Arrow rows; leaf_encoding: bytes and hashes
    segment              the leaves of one seal as Parquet
    leaf_labels          rules, categories and language of leaves, one file for each segment
    manifest             what a snapshot claims: the leaf of the snapshot log; manifest_notices: its corrections
    manifest_claims      checks of a manifest that need nothing else
    snapshot_body        checks that the body of a snapshot states what its manifest states
    vote_log             the vote log read leaf by leaf: its root, and which leaves count in each view
    label_verification   checks labels, and the votes that a method leaves out by them
    published_views      checks that published boards follow from the votes
    voter_scores_file    sums over the votes of each voter, as the operator states them
    published_intervals  intervals that follow from the votes and these sums
    interval_verification checks that the intervals of a bundle follow from the votes and the sums
    bundle               the files of a snapshot for readers; bundle_archive: the same as one zip
    bundle_heads         checks the signed heads of a bundle, and that the log continues an earlier head
    bundle_verification  checks a bundle and names the first fault
    size_limits          limits on what a bundle may contain
    receipt              one vote's place in the log
    verifier_input       keys and paths that the caller of a verifier names
    verifier_command     `leaderboard-verify`, the wheel of deploy/verifier
    witness_request      the body of a request to a witness
    witness              cosigns checkpoints that continue the known head

A verified snapshot has four properties: every counted vote is in an append-only log; nothing was ever removed from the
log or changed in it; the ratings follow from the votes and the stated exclusions; the operator signed exactly this
snapshot.
"""
