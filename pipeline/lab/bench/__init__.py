"""Measures speed and accuracy. Speeds are ratios of times within one run, because a machine's speed varies.

    stream_throughput         votes per second of the worker and of a bare client loop
    ledger_costs              sealing, verifying and refreshing relative to hashing and reading
    sweep_costs               a sweep relative to one read of the same votes
    api_load                  requests per second of the API while a worker runs
    served_board              the store, the requests and the processes for api_load
    rating_comparison         time, memory and error of the rating engine, compared with its peers
    rating_tables             the tables of votes that every engine rates
    rating_tasks, peers       the rating tasks with this project's code, and with the peers' code
    report_comparison         the probes of a report relative to arenakit, with report_tasks, on report_table
    format_speed              speed and memory of reading battle files, relative to bare reads
    startup_costs             processor time and memory of short commands
    battle_file_task          one reader of a battle file, in a process of its own
    peer_environment          the peers' environment .venv-bench
    interval_coverage         coverage of 95% intervals that take votes as independent, by simulation
    taste_boards              simulated votes for clustered_coverage: each voter has a taste, and few voters cast many
                              votes
    clustered_coverage        coverage of intervals clustered by voter, by simulation
    sequence_coverage         coverage of confidence sequences on growing boards, by simulation
    selection_bias            correction of the winner's curse, by simulation
    selection_coverage        coverage of intervals for the best of several variants of one model, by simulation
    detector_accuracy         false-alarm rates and detection delays, by voter_detector_accuracy and
                              window_detector_accuracy
    accuracy_figure           a measured figure with its target
    real_boards               votes of real people: crowd workers, and judges of translations
    real_voter_accuracy       false alarms and power among real voters
    planted_attacks           attackers who are added to real voters
    real_streams              runs the detectors of single voters over real votes, for real_voter_accuracy
    annotator_ability         abilities of voters as am-ELO estimates them, for comparison
    backlog_stream            simulated votes of honest voters and attackers, for backlog_accuracy and cohort_accuracy
    backlog_accuracy          power and false findings of the evaluation of a backlog
    cohort_accuracy           power and false findings of the tests of a backlog for cohorts (groups of votes, such as
                              those of a network) and for habits of voters

A peer is another package that computes ratings. A backlog is the set of votes that were cast before the first snapshot.
Power is the share of the attackers that are found. The time of a rating task begins with a table of strings in memory
(a pandas DataFrame read from Parquet) and ends with ratings; reading the file is not included. The first time is the
time of the first call in a process. The warm time is the shortest time of the later calls in the process. Peak memory
is the largest resident set of the process, with table and interpreter.
"""
