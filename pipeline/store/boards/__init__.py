"""Boards, and what decides which votes they count.

snapshots        candidates and published snapshots
exclusion_list   the dated list of exclusions, and the policy auto-voter/1
voter_labels     how the public names a voter of an alert or an exclusion
excluded_votes   the votes that exclusions are about
verdicts         verdicts of the expectation suites
erased_traces    removes what would link erased votes to their voter
audit_queries    reads for audits
sweep_records    the hypotheses that sweeps submitted
erasure          erases the private fields of votes
"""
