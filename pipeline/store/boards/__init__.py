"""Boards and snapshots, and the exclusions and other decisions that determine which votes they count.

snapshots        candidates and published snapshots
board_listing    which rows of a board readers see, by the method of its snapshot
reference_codec  the reference of a snapshot as bytes
exclusion_list   the dated list of exclusions, and the policy auto-voter/1
voter_labels     how the public names a voter of an alert or an exclusion
excluded_votes   the votes that exclusions are about
exclusion_effect how many votes a decision moves at the next refresh
notices          correction notices on published snapshots
publication_holds candidates that wait for a person
verdicts         verdicts of the expectation suites
erased_traces    removes what would link erased votes to their voter
prepared_answers what a refresh prepares for readers
audit_queries    reads for audits
sweep_records    the hypotheses that sweeps submitted
erasure          erases the private fields of votes
"""
