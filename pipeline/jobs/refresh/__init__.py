"""The refresh: short steps, each safe to repeat.

The same log, exclusions and configuration give the same snapshot, whichever processes run the steps, and how often.

seal.py                the first step: committed votes → vote log
quality_gate.py        the second step: expectations on new votes and the registry; before publishing: on the candidate
rate.py                the third step: boards of the log at a size, as a candidate
publish.py             the last step: candidate → signed snapshot
publication_hold.py    holds a candidate that moves the top too far, until a person releases it
refresh_board.py       all steps in a row
dry_run.py             what a refresh would publish, without publishing
rating_input.py        what is rated: counts of each view, exclusions, the baseline
board_rows.py          the board of a view, and its published rows
style_view.py          the view under style control
baseline_reference.py  the probabilities by which a snapshot evaluates new votes
manifest_builder.py    the manifest of a snapshot
share_alert.py         the alert that a board leaves out many votes
snapshot_signing.py    signs a candidate's manifest and publishes it
signing_keys.py        the signing keys, and how one key follows another
prepare_answers.py     what readers ask for and no request should compute
board_diff.py          why ranks moved between two snapshots
"""
