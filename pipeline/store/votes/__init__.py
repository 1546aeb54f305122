"""Stores the votes that were read, and what is computed from them batch by batch.

ingest               writes votes, duplicates and rejects; looks up known ids
packed_positions     packs the position of a vote into one integer
partitions           records who owns each partition, and how far it is read
file_readings        records which records of which file were read, and at which offsets
dictionary           gives each name a small integer
voter_states         stores the states of voter detectors
snapshots_in_force   records which snapshot evaluates a partition's votes, and from which offset
window_counts        stores the counts of the five-minute windows
closed_windows       stores which windows are closed
stale_windows        reads and clears the mark that window counts must be computed again
unchecked_votes      counts votes that neither a snapshot nor a backfill evaluated
backlog_runs         records evaluations of backlogs, and which votes they covered
backlog_columns      reads the columns of votes for such an evaluation
detector_states      stores the states of window detectors
registry_events      stores registry events and their rejects
issued_battles       stores the counts of the battles that the operator showed
dominant_voter       finds a voter with more than a fifth of all votes
vote_selections      selects votes by what they have in common
arrow_reader         reads stored votes as Arrow record batches
"""
