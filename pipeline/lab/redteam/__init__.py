"""Runs simulated attacks against the detectors and audits.

It is known which votes are attacks, so errors can be counted.

    attack_scenarios     defines attacks from the literature, on vote streams with the real pair counts
    detector_run         runs every detector over a stream in memory
    nightly_runs         runs the nightly re-evaluation over the same stream
    run_incidents        groups the alerts of such a run into incidents
    attack_mixes         draws mixes of two or three simultaneous attacks, and runs them
    scenario_result      runs a scenario, and summarizes what was found, how soon, and how the board changed
    sampling_scenarios   simulates boards that are not sampled as declared
    audit_scenarios      runs cases for the audits of variants, fairness and claims
    tuned_variant        simulates a board with a variant that is tuned for chat
    baselines            contains detection rules that others have published
    baseline_comparison  compares `voter_bias` with the baselines at equal false-alarm rates

The results are a table with one row for each scenario. The same seed gives the same table. A scenario without an attack
must raise no alert. The table also shows requirements that are missed.
"""
