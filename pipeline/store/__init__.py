"""Everything that is kept, and every SQL statement. SQLite and PostgreSQL, one code.

schema/        the tables, by theme
migrations/    how a store of an earlier version becomes one of this
engine.py      opening a store: URL, transactions, migrations, the key of the pseudonyms
names.py       names → small integers (models, languages, categories, networks)
ingest.py      a worker's batch: claim, fence, probe, write
voter_states.py  what detectors remember of voters, written behind
bulk.py        new rows straight into the tables (binary COPY, executemany)
alerts.py      alerts and what became of them
exclusions.py  the dated list of what does not count, and why
selections.py  votes chosen by what they have in common
seals.py       segments: the append-only log of votes; building.py: one being made; sealed_counts.py: counts
stored_votes.py  stored votes as Arrow columns; leaves.py: as public leaves; places.py: which vote is which leaf
rechecking.py  the log held against the votes
ledger_files.py  the ledger's folder; tile_cache.py: the hashes that tiles are cut from
manifests.py   the snapshot log
proofs.py      what readers ask: heads, proofs, receipts, tiles, bundles
retractions.py votes taken back; erasure.py: voters forgotten
styles.py      votes with style counts, by segment
snapshots.py   candidates, published snapshots, what is in force where
windows.py     five-minute windows, the monitor's lease and position
monitoring.py  window detectors' states, partitions left out
history.py     stored votes as a detector saw them, for folding them again
outbox.py      what must still reach a topic
verdicts.py    what the expectations said
registry.py    registry events as they came
arrays.py      arrays as one parameter of PostgreSQL
keys.py        the key files beside a store
migrate.py     bringing a store to this version
stale_windows.py  windows that a migration has left to be counted again
status.py      what the exporter shows, and the recount that proves completeness
"""

from pipeline.store.db.engine import Store

__all__ = ["Store"]
