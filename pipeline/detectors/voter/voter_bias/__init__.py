"""The detector `voter_bias`; `detector` has its formula, source, blind spot and error rates.

detector           the detector: alerts and states of a call
running_evidence   for every vote: running sums, and a bound on the e-value
exact_evidence     for voters whose bound reached a level: which levels are reached, and which votes are folded
evidence_path      the exact e-value after each vote of such voters
target_models      the models that a voter has met, and their ranks
state_codec        a voter's state as bytes
"""
