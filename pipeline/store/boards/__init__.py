"""Boards and snapshots, and the exclusions and other decisions that determine which votes they count.

snapshots        candidates and published snapshots
board_listing    which rows of a board readers see, by the method of its snapshot
snapshot_intervals adds intervals clustered by voter, and confidence sequences, to the rows of a board
hidden_models    hides the names of models under test from the public
reference_codec  the reference of a snapshot as bytes
exclusion_list   the dated list of exclusions, and the policy auto-voter/1
voter_labels     how the public names a voter of an alert or an exclusion
excluded_votes   finds the votes that exclusions exclude
exclusion_effect how many votes a decision moves into or out of the defended view
notices          correction notices on published snapshots
publication_holds candidates that wait for a person
verdicts         verdicts of the expectation suites
erased_traces    removes what would link erased votes to their voter
prepared_answers answers that a refresh prepares for the API
audit_queries    reads what audits need
sweep_records    how many hypotheses each sweep tested
erasure          erases the private fields of votes
"""
