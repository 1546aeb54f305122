"""Words that every package shares, each defined once.

outcomes   the four outcomes of a battle and their codes
fates      what becomes of a record: accepted, late, quarantined, duplicate, rejected
time       microseconds since 1970 UTC, and their text in RFC 3339
arrays     aliases of numpy array types
packing    typed arrays as bytes
z_values   quantiles of the normal distribution

Nothing here needs more than the standard library and numpy: the verifier's wheel ships it.
"""
