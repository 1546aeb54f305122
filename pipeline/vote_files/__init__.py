"""Reads files of votes for ratings and reports, for the command line and for notebooks.

vote_input       reads a file of votes, with notes about how it was read and what was left out
comparable_votes selects the votes of a file whose models can be compared
missing_values   writes notes about votes that lack a time or a turn
similar_names    finds names of models that a person takes for one name
rating_document  builds the document that `integrity rate --json` prints
report_source    says where the votes of a report come from
"""
