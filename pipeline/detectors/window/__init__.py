"""Detects irregular votes on models, providers and the board, or from networks and new accounts, window after window.

A window has the votes of five minutes. The monitor runs these detectors.

vote_burst           finds a model, provider or network with more votes than its share
traffic              finds more votes on the board than usual (`traffic`) or fewer (`traffic_gap`)
cohort_bias          finds new accounts, a network or votes under one prompt that favour a model
cohort_keys          decides which cohorts and models `cohort_bias` follows
cohort_baseline      computes what `cohort_bias` expects of honest cohorts
cohort_counts        adds votes to the counts that alerts of cohort_bias show
cohort_ratios        computes the likelihood ratios of `cohort_bias`
model_shift          finds a model that no longer performs as in its snapshots
model_shift_sums     sums a model's results by time and kind of voters
model_shift_ratios   computes the likelihood ratios of a change of a model
model_shift_reading  decides which kinds of voters see a change
sampling_skew        finds models that are not sampled as the policy declares
learned_shares       learns shares of the votes where none is declared, for vote_burst
declared_shares      computes the shares that sampling_skew expects by the policy
sampling_bounds      computes how far a share of votes may be from its declared share
silent_deprecation   finds a declared model that stopped appearing
unknown_model        finds votes on a model that is not in the registry
"""
