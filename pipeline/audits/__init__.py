"""Audits of a board: its registry, its vote counts and its published snapshots.

An audit is slower than a detector and is not tied to a vote. Each is a pure function: arrays in, frozen results out.

    shares            shares of groups, concentration (HHI), inequality (Gini)
    board_history     published snapshots: vote counts that fell, removed names, ranks under style control
    claims            benchmark_claim, perturbation_gap, arena_gap
    variants          variant_churn, best_of_n: private variants, disclosed N, the selection-corrected score
    families          names of one provider that are likely one model
    retraction        score_retraction: published scores that were withdrawn
    version_mismatch  the released model against the tested one
    sampling          how often models were shown, compared with the declared policy
    graph_health      components, λ₂, effective resistance, weak bridges
    lockstep          groups of voters with the same votes at the same time
    prompts           repeated prompts
    task_mix          deprecation under a shifting task mix
    second_opinion    rank agreement with another board
    facts             facts about a provider, each with definition, source and uncertainty
    share_facts       a provider's share of the votes, compared with the declared policy
    finding           the result of an audit; p-values as e-values
    top_churn         how often #1 changes, against what the intervals allow
    policy            rules for a board (a policy file), and the verdict on each rule

Laws: no clock, no randomness, no file. Every figure comes with its inputs; if it cannot be computed it is None or an
error.
"""
