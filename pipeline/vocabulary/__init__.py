"""Contains definitions that all packages share.

outcomes       names the four outcomes of a battle and their codes
coverage_notes writes sentences about late and unchecked votes
vote_flags     defines the flags of a vote as bits of one number
fates          names the fates of a record: accepted, late, quarantined, duplicate, rejected
method_rules   names the rules by which a method leaves votes out, and their bits
alert_states   names the states of an alert
time           converts microseconds since 1970 UTC to and from text in RFC 3339
arrays         names numpy array types
large_arrays   allocates the arrays that have a value for each vote, in memory or in a place that a caller chooses
packing        packs typed arrays as bytes
lazy_names     loads the names that a package exports when they are first used
visible_text   writes hidden characters of foreign text as escapes
export_text    makes foreign text safe in CSV cells and in Markdown
url_passwords  hides passwords in URLs
command_parser parses arguments, and prints through visible_text
parquet_pages  reads the sizes that the pages of a Parquet file declare
voter_identity gives each voter's id one spelling; finds ids that identify no voter
z_values       declares quantiles of the normal distribution

This package imports only the standard library and numpy, since the verifier's wheel includes parts of it.
"""
