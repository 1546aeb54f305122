"""Read-only queries for the API, the exporter and the proofs that readers request.

page_queries       snapshots, a model's history, alerts and exclusions, a page at a time
store_figures      figures of the whole store, and the check for gaps
log_proofs         signed heads, inclusion, consistency, tiles
vote_receipts      receipts of votes
vote_places        which offsets an export reads, and why a vote does not count
exported_votes     stored votes with the columns of a vote event, voters by random labels
snapshot_bundles   everything that is needed to verify a snapshot
"""
