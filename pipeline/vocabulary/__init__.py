"""Definitions that all packages share.

outcomes       the four outcomes of a battle and their codes
coverage_notes  sentences about late and unchecked votes
vote_flags     the flags of a vote as bits: what rules of a method may leave out
fates          accepted, late, quarantined, duplicate, rejected
method_rules   the rules by which a method leaves votes out, and their bits
alert_states   the states of an alert
time           microseconds since 1970 UTC, and their text in RFC 3339
arrays         aliases of numpy array types
packing        typed arrays as bytes
visible_text   foreign text with its hidden characters as escapes
export_text    foreign text in CSV cells and in Markdown
command_parser an argument parser that prints through visible_text
parquet_pages  sizes that the pages of a Parquet file declare
voter_identity one spelling for each voter's id; values that name nobody
z_values       quantiles of the normal distribution

Only the standard library and numpy are imported here: the verifier's wheel includes what it needs of this package.
"""
