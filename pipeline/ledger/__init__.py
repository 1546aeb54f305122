"""Implements the public ledger: the signed logs of votes and of snapshots, and the proofs that readers check.

The code works on bytes and files alone. It uses no store, no settings, no service and no clock.

Modules:
    merkle               hashes Merkle trees: leaf hashes, roots, the frontier of a growing tree (RFC 6962, RFC 9162)
    merkle_proofs        makes and checks inclusion and consistency proofs
    tiles                represents the hashes of a log as immutable files (C2SP tlog-tiles)
    signed_note          signs and verifies notes, checkpoints and cosignatures (C2SP signed-note, tlog-checkpoint,
                         tlog-cosignature)
    canonical_json       writes and reads JSON with one spelling (RFC 8785), and records with exactly their fields
    leaf                 defines the public leaf of a vote and of a retraction, as Arrow rows
    leaf_encoding        computes the bytes and hashes of leaves
    segment              writes and reads the leaves of one seal as Parquet
    leaf_labels          writes and reads rules, categories and language of leaves, one file for each segment
    manifest             defines what a snapshot claims: the leaf of the snapshot log
    manifest_notices     checks the correction notices in manifests
    manifest_claims      checks what can be checked in a manifest without any other file
    snapshot_body        checks that the body of a snapshot states what its manifest states
    vote_log             reads the vote log leaf by leaf: its root, and which leaves count in each view
    label_verification   checks labels, and how many votes the rules of a method leave out because of labels
    published_views      checks that published boards follow from the votes
    voter_scores_file    writes and reads sums over voters, which the operator states
    interval_rows        defines the rows of the published intervals, and reads their file
    published_intervals  computes and checks intervals that follow from the votes and these sums
    interval_verification checks that the intervals of a bundle follow from the votes and the sums
    bundle               assembles and reads the files of a snapshot
    bundle_archive       writes and reads these files as one zip
    bundle_heads         checks the signed heads of a bundle, and that the log continues an earlier head
    bundle_verification  checks a bundle and names the first fault
    size_limits          limits what a bundle may contain
    receipt              proves one vote's place in the log
    verifier_input       reads keys and paths that the caller of a verifier names
    verifier_command     implements `leaderboard-verify`, the wheel of deploy/verifier
    witness_request      writes and reads the body of a request to a witness
    witness              cosigns checkpoints that continue the known head

A verified snapshot has four properties: every counted vote is in an append-only log; nothing was ever removed from the
log or changed in it; the ratings follow from the votes and the stated exclusions; the operator signed exactly this
snapshot.
"""
