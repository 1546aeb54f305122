"""Measures speed and accuracy. Speeds are ratios of times within one run, because a machine's speed varies.

    stream_throughput         votes per second of the worker and of a bare client loop
    ledger_costs              sealing, verifying and refreshing relative to hashing and reading
    sweep_costs               a sweep relative to one read of the same votes
    api_load                  requests per second of the API while a worker runs
    served_board              the store, the requests and the processes for api_load
    rating_comparison         the rating engine relative to its peers, each run in its own process
    rating_tables             the tables of votes that every engine rates
    rating_tasks, peers       the project's tasks, and the peers' tasks
    format_speed              speed and memory of reading battle files, relative to bare reads
    battle_file_task          one reader of a battle file, in a process of its own
    peer_environment          the peers' environment .venv-bench
    interval_coverage         coverage of 95% intervals, by simulation
    taste_boards              votes of voters with tastes and power-law numbers of votes
    clustered_coverage        coverage of intervals clustered by voter, by simulation
    sequence_coverage         coverage of confidence sequences on growing boards, by simulation
    selection_bias            correction of the winner's curse, by simulation
    selection_coverage        coverage of the intervals of a selected variant, by simulation
    detector_accuracy         false-alarm rates and detection delays, by voter_detector_accuracy and
                              window_detector_accuracy
    accuracy_figure           a measured figure with its target
    real_boards               votes of real people: crowd workers, and judges of translations
    real_voter_accuracy       false alarms and power among real voters
    planted_attacks           attackers who are added to real voters
    real_streams              the detection of single voters, run over real votes
    annotator_ability         abilities of voters as am-ELO estimates them, for comparison
    backlog_accuracy          power and false findings of the evaluation of a backlog, on a backlog_stream
    cohort_accuracy           power and false findings of the tests of cohorts and habits in a backlog

A peer is another package that computes ratings. A backlog is the set of votes that were cast before the first snapshot.
The time of a rating task begins with a table of strings in memory (a pandas DataFrame read from Parquet) and ends with
ratings; reading the file is not included. "First" is the first call in a process, and "warm" is the fastest later call.
Peak memory is the largest resident set of the process, with table and interpreter.
"""
