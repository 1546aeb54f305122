"""Boards, and what decides which votes they count.

snapshots        candidates and published snapshots
exclusion_list   the dated list of exclusions, and the policy auto-voter/1
excluded_votes   the votes that exclusions are about
verdicts         verdicts of the expectation suites
audit_queries    reads for audits
sweep_records    the hypotheses that sweeps submitted
erasure          erases the private fields of votes
"""
