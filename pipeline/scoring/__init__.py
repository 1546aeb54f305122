"""Computes the fates of votes and the counts of windows, and runs the detectors, without I/O and without a clock.

A window has five minutes of votes.

fate                 decides the fate of a vote by its times: accepted, late or quarantined (`stream.deduplication`
                     finds duplicates, `events` rejects records)
signals              defines what a detector emits: alerts that open, escalate or end
detector_contracts   defines what a detector receives and must return
vote_processor       runs the voter detectors over new votes
window               represents a closed window as detectors read it
window_counter       counts votes into five-minute windows, per partition
row_sums             sums rows of counts with the same key
sittings             counts sittings: series of votes of one voter without a pause
issued_battles       counts the battles that an operator shows into windows
window_builder       merges the counts of all partitions into a window
window_codec         packs counts as bytes
window_processor     runs the window detectors over closed windows
"""
