"""The command line `integrity`: one module for each group of commands.

`integrity --help` lists the commands. `make up` (`pipeline/devstack`) starts the servers for tests and a local stack.

    main.py                   entry point: runs a command; errors become an exit status and a message
    app.py                    the Typer application, the shared options, JSON output
    terminal.py               the gate to the terminal: no markup, no hidden characters
    lazy_group.py             which module defines which command; loads only that module
    commands.py               the application with all commands loaded
    publish_command.py        publish: battle files and growing logs to Kafka
    follow_logs.py            the part of publish that follows logs
    battle_input.py           reads a battle file for a command, and notes how it was read
    ingest_notes.py           sentences about the votes that were read
    stream_options.py         the options of publish and work, the kafka:// URL
    worker_commands.py        work, monitor: read votes, close windows
    board_commands.py         refresh, leaderboard, diff
    alert_commands.py         alerts, replay: alerts, exclusions, what one detector would raise
    incident_commands.py      incidents: one campaign of votes is one incident
    verification_commands.py  verify, bundle, receipt: checks that readers make
    ledger_commands.py        audit, retract, erase, rotate-key: actions of the operator
    witness_commands.py       the group witness: init, watch, logs, sign, ask, keep
    store_commands.py         migrate, doctor, rejects, pseudonym
    backup_commands.py        backup, restore
    server_commands.py        serve (API and pages), exporter (metrics)
    token_commands.py         tokens: who may decide over HTTP
    operators_command.py      operators log
    notice_commands.py        notice add, notice list
    rate_command.py           rate: ratings of a battle file, without a store
    convert_command.py        convert: writes a battle file in another format
    export_command.py         export: writes the votes of a store that count as a public data set
    output_file.py            writes an output file, which is complete or absent
    history_command.py        history: published snapshots of another board, without a store
    history_text.py           prints the results of history for people
    history_document.py       the results of history for each board, and their JSON document
    backfill_command.py       backfill: evaluates votes that no snapshot preceded
    backfill_text.py          what backfill and refresh print about such an evaluation
    sweep_command.py          sweep: runs the audits and evaluates the policy
    provider_command.py       provider: the facts about one provider
    demo_command.py           demo: the whole pipeline on real pair counts
    redteam_command.py        redteam: known attacks against the detectors
    bench_group.py            the group `bench`; its commands: bench_stream.py, bench_ratings.py, bench_evidence.py,
                              bench_intervals.py, bench_selection.py, bench_sweep.py, bench_api.py, bench_ledger.py,
                              bench_formats.py
    terminal_tables.py        tables for boards and alerts
"""
