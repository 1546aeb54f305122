"""The detector `voter_bias`. The docstring of `detector` has its formula, source, blind spot and error rates.

detector           the detector: processes the votes of one call, returns alerts and new states
running_evidence   running sums and an upper bound on the e-value, for every vote
exact_evidence     exact evidence, for voters whose bound reached a level
evidence_path      the exact e-value after each vote of such a voter
mixture_evidence   evidence against a mixture of honest tastes, where it may reach a level
cell_counts        counts per voter and model, and per voter and provider, for the mixture
explanations       names the alternatives that explain a voter's votes best
target_models      the models that a voter has met, and their ranks
state_codec        a voter's state as bytes
component_codec    the part of the state for folded votes
"""
