"""Simulates known attacks against the detectors and audits. Every attack vote is known, so results can be counted.

    attack_scenarios     defines attacks from the literature, on vote streams with the real pair counts
    detector_run         runs every detector over a stream in memory
    scenario_result      summarizes what was found, how soon, and how the board changed: one row of the table
    sampling_scenarios   simulates boards that are not sampled as declared
    audit_scenarios      runs cases for the audits: variants, fairness and claims
    tuned_variant        simulates a board with a variant that is tuned for chat
    baselines            contains detection rules that others have published
    baseline_comparison  compares `voter_bias` with the baselines at equal false-alarm rates

The same seed gives the same table. A scenario without an attack must raise no alert. The table shows requirements that
are missed.
"""
