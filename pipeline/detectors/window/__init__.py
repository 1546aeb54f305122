"""Detectors about models, providers, networks and the board, which process window after window. The monitor runs them.

vote_burst           a model, provider or network gets more votes than its share
traffic              the board gets more votes than usual (`traffic`) or fewer (`traffic_gap`)
cohort_bias          new accounts, a network or the votes under one prompt favour a model
cohort_keys          the cohorts and models that `cohort_bias` follows
cohort_baseline      what `cohort_bias` expects of honest cohorts
cohort_ratios        the alternatives of `cohort_bias` and their likelihood ratios
sampling_skew        models are not sampled as the policy declares
sampling_bounds      how far a share of votes may be from its declared share
silent_deprecation   a declared model stopped appearing
unknown_model        votes on a model that is not in the registry
"""
