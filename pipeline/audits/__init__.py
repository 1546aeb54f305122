"""Audits of a board: its registry, its vote counts and its published snapshots.

An audit examines the whole board, is slower than a detector, and is a pure function of its arguments.

    shares            shares of groups, concentration (HHI), inequality (Gini)
    board_history     changes between published snapshots: vote counts that fell, removed names, style ranks
    common_movement   the movement that all ratings share between two published snapshots
    method_changes    changes of a published board's method, as opposed to moves of single models
    renamed_models    names of a published board that may be one model
    claims            benchmark_claim, perturbation_gap, arena_gap
    variants          variant_churn: private variants under test at the same time
    model_releases    best_of_n: the disclosed N of a release, and its score without the winner's curse
    families          names of one provider that are likely one model
    retraction        score_retraction: scores that were withdrawn
    version_mismatch  compares the released model with the tested model
    sampling          how often models were shown, compared with the declared policy
    graph_health      components, λ₂, effective resistance, weak bridges
    lockstep          groups of voters with the same votes at the same time
    prompts           repeated prompts
    task_mix          deprecation under a shifting task mix
    second_opinion    rank agreement with another board
    facts             facts about a provider, each with definition, source and uncertainty
    share_facts       a provider's share of the votes, compared with the declared policy
    finding           the result of an audit: an irregularity with its p-value and its e-value
    top_churn         how often the first place changes, compared with what the intervals allow
    policy            rules for a board (a policy file), and the verdict on each rule

Laws: an audit reads no clock and no file and uses no random numbers. Every figure is reported with its inputs. A figure
that cannot be computed is None or raises an error.
"""
