"""Audits: what can be said of a board from its registry, its counts and its published snapshots.

Slower than a detector and not tied to a vote: each is a function of what it is given, arrays and frozen results.

    shares            who got how much: shares of groups, concentration (HHI), inequality (Gini)
    history           published snapshots: votes that fell, names that vanished, ranks under style control
    claims            benchmark_claim, perturbation_gap, arena_gap
    variants          variant_churn, best_of_n: private variants, disclosed N, the selection-corrected score
    families          names of one provider that are likely one model
    retraction        score_retraction: scored and taken back
    version           version_mismatch: the released model against the tested one
    sampling          sampling-fairness ledger: rates and shares against the policy
    graph_health      components, λ₂, effective resistance, weak bridges
    lockstep          voters who vote on the same things at the same time
    prompts           prompt duplication
    task_mix          deprecation under a shifting task mix
    second_opinion    rank agreement with another board
    facts             a provider's page of facts: each figure with definition, source and uncertainty
    finding           what an audit says, and p-values as evidence
    top_churn         how often #1 changes, against what the intervals allow

Laws: pure: no clock, no chance, no file; a figure comes with what it was computed from; what cannot be computed is
None or an error, never a guess.
"""
