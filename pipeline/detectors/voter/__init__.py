"""Detectors about one voter, which process vote after vote. The worker runs them.

voter_bias        a voter's choice of winners differs from every honest voter's, or looks random
voter_rate        a voter votes faster than anybody can read
duplicate_votes   a voter votes on the same two models under the same prompt, again and again

Voter detectors do not read the age of accounts. The detector of new accounts, `cohort_bias`, is in `detectors/window`.
"""
