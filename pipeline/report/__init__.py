"""Reports what a file of votes supports: a board, how surely its models differ, and what its order depends on.

build_report     builds a report; the entry point of the package
report           represents a report as data
verdict          writes whether the board can be trusted, and why: an answer and five sentences
render_page      renders a report as one HTML page that loads nothing
report_columns   makes the columns of a report from the votes of a battle file
model_providers  finds the providers of models by the names of the models
few_voters       writes the sentence about the intervals of a board with few voters
vote_period      states the period of the votes, and which few votes are dated far from all others
board_rows       makes the rows of the board, and counts the neighbours that differ by more than chance
evidence         looks for manipulation in the votes
report_votes     represents the votes of a file as columns, with the columns that only some files have
report_board     rates the votes, for the probes and the report
probe_result     represents the result of a probe: a figure with its interval, threshold and sentence
probes           check what the order of a board depends on

The package is pure: no store, no network, no clock.
"""
