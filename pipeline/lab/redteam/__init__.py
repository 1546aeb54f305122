"""Known attacks against the detectors and audits: every attack vote is known, so the results can be counted.

    attack_scenarios     the attacks of the literature, over streams from the real pair counts
    detector_run         runs every detector over a stream in memory
    scenario_result      what was found, how soon, and what the board lost: one row of the table
    sampling_scenarios   boards that are not sampled as declared
    audit_scenarios      variants, fairness and claims, for the slow audits
    tuned_variant        the board of the chat-tuned variant
    baselines            published rules of others
    baseline_comparison  `voter_bias` and the baselines at equal false-alarm rates

Laws: the same seed gives the same table; a scenario without an attack must raise no alert; a missed requirement is
shown.
"""
