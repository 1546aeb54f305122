"""Audits a board: its registry, its vote counts and its published snapshots.

An audit examines the whole board, is slower than a detector, and is a pure function of its arguments.

    shares            computes shares of groups, concentration (HHI), inequality (Gini)
    board_history     finds falls of vote counts and removed names between snapshots, and ranks that depend on style
    common_movement   estimates the movement that all ratings share between two published snapshots
    method_changes    distinguishes changes of a published board's method from moves of single models
    renamed_models    suggests names of a published board that may be one model
    claims            runs the audits benchmark_claim, perturbation_gap and arena_gap
    variants          runs the audit variant_churn: private variants under test at the same time
    model_releases    runs the audit best_of_n: releases of the best of N variants
    families          groups names of one provider that are likely one model
    retraction        runs the audit score_retraction: scores that were withdrawn
    version_mismatch  compares the released model with the tested model
    sampling          tests whether models appeared in battles as often as the sampling policy declares
    sampling_pauses   finds models that voters were not shown for weeks before any notice
    graph_health      measures how well models are connected by battles, and finds the weakest cut between them
    lockstep          finds groups of voters with the same votes at the same time
    prompts           measures repeated prompts
    task_mix          tests whether the order of models depends on a change of tasks over time
    second_opinion    measures the rank agreement with another board
    facts             computes facts about a provider, each with definition, source and uncertainty
    removal_facts     computes facts about removed models, models that were not shown, and refused registry events
    share_facts       computes a provider's share of the votes, compared with the declared policy
    finding           defines the result of an audit: an irregularity, with a p-value and an e-value if it was tested
    top_churn         tests whether the first place changed more often than the intervals allow
    policy            evaluates the rules of a policy file
    story_sentences   defines the sentences of the story about variants, claims and removals, with figure and proof
    variant_story     writes the story's sentences about private variants and releases
    removal_story     writes the story's sentences about claims, withdrawn scores and removed models

An audit reads no clock and no file and uses no random numbers. Every figure is reported with its inputs. A figure that
cannot be computed is None or raises an error.
"""
