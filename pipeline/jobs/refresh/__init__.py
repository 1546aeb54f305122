"""Runs the refresh, which makes a signed snapshot from committed votes. Each of its short steps may be repeated.

The same log, exclusions and settings give the same snapshot, however often the steps are run and by whichever
processes. A candidate is a snapshot before its publication.

seal.py                runs the first step: appends committed votes to the vote log
quality_gate.py        runs the second step: evaluates expectations on new votes, the registry and the candidate
rate.py                runs the third step: rates the first leaves of the log and stores the boards as a candidate
publish.py             runs the last step: signs a candidate and publishes it as a snapshot
publication_hold.py    holds a candidate that changes the top of the board too much, until a person releases it
refresh_board.py       runs all steps in a row
step_times.py          measures how long each step takes
dry_run.py             computes what a refresh would publish, without publishing
model_axis.py          converts stored counts to pair counts of all models of the store
rating_input.py        reads what is rated: the counts of each view, and the exclusions
board_method.py        reads the method of a snapshot, and writes it into the body of the snapshot
method_counts.py       counts votes by the rules of a method, and by category and language
label_boards.py        rates the boards by category and language
board_rows.py          rates a view and builds its published rows
board_intervals.py     computes intervals clustered by voter, and confidence sequences
style_view.py          rates the view under style control
baseline_reference.py  estimates the reference with which detectors compare new votes
voter_votes.py         sorts the votes for the reference by voter
manifest_builder.py    builds the manifest of a snapshot
share_alert.py         opens an alert if a board leaves out many votes
snapshot_signing.py    signs a candidate's manifest and publishes it
signing_keys.py        reads the signing keys, and decides how a new key follows an old one
prepare_answers.py     stores the answers that the API cannot compute on request
pair_battles.py        counts the battles between models
diff_steps.py          rates the votes after each step from one snapshot to the next
new_votes.py           counts the votes between two snapshots, without reading older votes
compared_snapshots.py  reads the rows and votes that a comparison of two snapshots needs
board_diff.py          computes why ranks changed between two snapshots
"""
