"""Detectors about one voter, vote by vote; the worker runs them.

voter_bias        a choice of winners that no honest voter would make; random clicks
voter_rate        votes faster than anybody can read
duplicate_votes   the same two models under the same prompt, repeatedly

A voter detector does not read the age of accounts; detectors on new accounts are in `detectors/window`.
"""
