"""Benchmarks, as ratios within one run because a machine's speed drifts.

    stream_throughput         votes per second of the worker and of a bare client loop
    ledger_costs              sealing, verifying and refreshing relative to hashing and reading
    sweep_costs               a sweep relative to one read of the same votes
    api_load, served_board    requests per second while a worker runs; the store and the requests for it
    rating_comparison         the rating engine relative to its peers, each run in its own process
    rating_tables             the tables of votes that every engine gets
    rating_tasks, peers       the project's tasks, and the peers' tasks
    peer_environment          the peers' environment .venv-bench
    interval_coverage         coverage of 95% intervals, by simulation
    selection_bias            correction of the winner's curse, by simulation
    detector_accuracy         false-alarm rates and detection delays: voter_detector_accuracy,
                              window_detector_accuracy; accuracy_figure is a figure with its target

A peer is another package that computes ratings. A rating task is timed from a table of strings in memory (a pandas
DataFrame, as read from Parquet) to ratings; reading the file is not timed. "First" is the first call of a process,
"warm" the fastest later call. Peak memory is the process's largest resident set, table and interpreter included.
"""
