"""Detects misuse by one voter, vote after vote. The worker runs these detectors.

voter_bias        finds a voter whose choice of winners differs from every honest voter's, or looks random
voter_rate        finds a voter who votes faster than anybody can read
duplicate_votes   finds a voter who votes on the same two models under the same prompt, again and again

Voter detectors do not read the age of accounts. The detector of new accounts, `cohort_bias`, is in `detectors/window`.
"""
