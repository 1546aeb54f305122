"""Stores boards and snapshots, and the decisions, such as exclusions, about which votes count on a board.

snapshots           stores candidates (snapshots before their publication) and published snapshots
board_listing       selects the rows of a board that readers see, by the method of its snapshot
snapshot_intervals  adds intervals clustered by voter, and confidence sequences, to the rows of a board
hidden_models       hides the names of models under test from the public
reference_codec     stores the reference of a snapshot (ratings that detectors compare with) as bytes
exclusion_list      stores the dated list of exclusions, and applies the policy auto-voter/1
voter_labels        names the voter of an alert or an exclusion for the public
excluded_votes      finds the votes that exclusions exclude
exclusion_effect    counts the votes that a decision moves into or out of the defended view
drill_mark          marks a store as a test, into which drills may send votes
notices             stores correction notices on published snapshots
refresh_rhythm      estimates when the next refresh comes
publication_holds   stores which candidates wait for a person's decision
verdicts            stores the verdicts of the expectation suites
erased_traces       removes what would link erased votes to their voter
prepared_answers    stores answers that a refresh prepares for the API
audit_queries       reads what audits need
sweep_records       stores how many hypotheses each sweep tested
erasure             erases the private fields of votes
"""
