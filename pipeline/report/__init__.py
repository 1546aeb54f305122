"""Reports what a file of votes supports: the board, what its votes can separate, and what its order depends on.

report_votes   represents the votes of a file as columns, with the columns that only some files have
report_board   rates the votes, for the probes and the report
probe_result   represents the result of a probe: a figure with its interval, threshold and sentence
probes         check what the order of a board depends on

The package is pure: no store, no network, no clock.
"""
