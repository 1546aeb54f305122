"""Biased voters: the detector `voter_bias` in parts."""
