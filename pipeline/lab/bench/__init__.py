"""Measures speed and accuracy. Speeds are ratios of times within one run, because a machine's speed varies.

    stream_throughput         measures votes per second of the worker and of a bare client loop
    ledger_costs              measures sealing, verifying and refreshing, compared with hashing and reading
    sweep_costs               measures a sweep, compared with one read of the same votes
    api_load                  measures requests per second of the API while a worker runs
    served_board              prepares the store, the requests and the processes for api_load
    rating_comparison         compares time, memory and error of the rating engine with its peers
    rating_tables             writes the tables of votes that every engine rates
    rating_tasks, peers       run the rating tasks with this project's code, and with the peers' code
    report_comparison         compares the probes of a report with the package arenakit
    report_tasks              runs the probes for report_comparison
    report_table              writes the table of votes for report_comparison
    format_speed              measures speed and memory of reading battle files, compared with bare readers
    battle_file_task          runs one reader of a battle file for format_speed
    startup_costs             measures processor time and memory of short commands
    peer_environment          creates the peers' environment .venv-bench
    interval_coverage         measures the coverage of 95% intervals that take votes as independent, by simulation
    taste_boards              simulates votes of voters with tastes, of whom few cast many votes
    clustered_coverage        measures the coverage of clustered intervals, by simulation
    sequence_coverage         measures the coverage of confidence sequences on growing boards, by simulation
    selection_bias            measures the correction of the winner's curse, by simulation
    selection_coverage        measures the coverage of intervals for the best of several variants, by simulation
    detector_accuracy         lists the measurements of false-alarm rates and detection delays
    voter_detector_accuracy   measures false alarms and delays of voter detectors
    window_detector_accuracy  measures false alarms and delays of window detectors
    accuracy_figure           holds a measured figure with its target
    real_boards               reads votes of real people: crowd workers, and judges of translations
    real_voter_accuracy       measures false alarms and power among real voters
    planted_attacks           adds attackers to real voters
    attack_oracle             computes how soon a test could find each attacker that knows the attack
    real_streams              runs the detectors of single voters over real votes
    incident_accuracy         measures how well incidents match simultaneous attacks
    incident_oracle           computes how many accounts of an attack a test could find that knows the attack
    annotator_ability         estimates abilities of voters as am-ELO does, for comparison
    backlog_stream            simulates votes for backlog_accuracy and cohort_accuracy
    backlog_accuracy          measures power and false findings of the evaluation of a backlog
    cohort_accuracy           measures power and false findings of the tests for cohorts and for habits of voters

A peer is another package that computes ratings. A backlog is a set of votes that are evaluated together afterwards,
such as those from before the first snapshot. Power is the share of the attackers that are found.

The time of a rating task begins with a table of strings in memory (a pandas DataFrame read from Parquet) and ends with
ratings; reading the file is not included. The first time is the time of the first call in a process. The warm time is
the shortest time of the later calls in the process. Peak memory is the largest resident set of the process, with table
and interpreter.
"""
