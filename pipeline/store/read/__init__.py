"""Answers read-only queries for the API, the exporter and readers who request proofs.

page_queries       reads snapshots, a model's history, alerts and exclusions, a page at a time
store_figures      reads figures of the whole store, and checks the ledger of offsets for gaps
log_proofs         makes proofs: signed heads, inclusion, consistency, tiles
vote_receipts      issues receipts of votes
vote_places        selects the offsets that an export reads, and states why a vote does not count
exported_votes     reads stored votes in the form of vote events, with random labels for voters
snapshot_bundles   collects everything that is needed to verify a snapshot
"""
