"""Definitions that all packages share.

outcomes       the four outcomes of a battle and their codes
coverage_notes  sentences about late and unchecked votes
vote_flags     the flags of a vote as bits of one number
fates          accepted, late, quarantined, duplicate, rejected
method_rules   the rules by which a method leaves votes out, and their bits
alert_states   the states of an alert
time           microseconds since 1970 UTC, and their text in RFC 3339
arrays         aliases of numpy array types
packing        typed arrays as bytes
visible_text   writes hidden characters of foreign text as escapes
export_text    makes foreign text safe in CSV cells and in Markdown
command_parser an argument parser that prints through visible_text
parquet_pages  reads the sizes that the pages of a Parquet file declare
voter_identity one spelling for each voter's id; ids that identify no voter
z_values       quantiles of the normal distribution

This package imports only the standard library and numpy, since the verifier's wheel includes parts of it.
"""
