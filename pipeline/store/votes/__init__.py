"""Votes as they were read, and what is computed from them batch by batch.

ingest               writes votes, duplicates and rejects; looks up known ids
partitions           owners of partitions, and how far each partition is read
file_readings        which records of which file were read, and at which offsets
dictionary           gives each name a small integer
voter_states         states of voter detectors
snapshots_in_force   which snapshot evaluates a partition's votes, and from which offset
window_counts        counts of the five-minute windows
closed_windows       closes windows
stale_windows        the mark that window counts must be computed again
unchecked_votes      votes that were read before the first snapshot and that no backfill evaluated
backlog_runs         records evaluations of backlogs, and which votes they covered
backlog_columns      reads the columns of votes for such an evaluation
detector_states      states of window detectors
registry_events      registry events and their rejects
issued_battles       counts of the battles that the operator showed
dominant_voter       finds a voter with more than a fifth of all votes
vote_selections      votes selected by what they have in common
arrow_reader         reads stored votes as Arrow record batches
"""
