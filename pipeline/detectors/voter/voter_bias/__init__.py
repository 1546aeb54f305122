"""Implements the detector `voter_bias`. The docstring of `detector` has formula, source, blind spot and error rates.

detector           processes the votes of one call, and returns alerts and new states
running_evidence   computes running sums and an upper bound on the e-value, for every vote
exact_evidence     computes exact evidence, for voters whose bound reached a level
evidence_path      computes the exact e-value after each vote of such a voter
mixture_evidence   computes evidence against a mixture of honest tastes, where it may reach a level
cell_counts        counts votes per voter and model, and per voter and provider, for the mixture
explanations       names the alternatives that explain a voter's votes best
target_models      keeps the models that a voter has met, and their ranks
state_codec        packs a voter's state as bytes
component_codec    packs the part of the state for folded votes

A voter's older votes are folded, which means that they are added to sums and then no longer kept one by one. The votes
that are still kept are called pending (`state_codec`).
"""
