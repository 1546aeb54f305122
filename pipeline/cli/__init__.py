"""Defines the command line `integrity`: one module for each group of commands.

`integrity --help` lists the commands. `make up` (`pipeline/devstack`) starts the servers for tests and a local stack.

    main.py                   runs a command; turns errors into an exit status and a message (entry point)
    app.py                    defines the Typer application, the shared options and JSON output
    pasted_commands.py        completes commands in messages with --store
    terminal.py               prints all output, with hidden characters as escapes and without markup
    progress_columns.py       defines columns of progress bars, with hidden characters as escapes
    lazy_group.py             imports the module of a command when the command is run
    command_table.py          lists every command with its module and the first paragraph of its help
    commands.py               loads all commands
    publish_command.py        publish: sends battle files and growing logs to Kafka
    follow_logs.py            follows growing logs for publish
    ingest_notes.py           builds sentences about the votes that were read
    stream_options.py         defines the options that publish and work share
    worker_commands.py        work, monitor: read votes, close windows
    board_commands.py         refresh, diff: publish and compare boards
    leaderboard_command.py    leaderboard: shows a published board
    board_choice.py           finds the view or the board that options choose
    alert_commands.py         alerts, replay: show alerts and exclusions, and what one detector would raise
    alert_decision.py         carries out a decision about alerts or votes
    incident_commands.py      incidents: shows incidents, and decides about them
    incident_decision.py      carries out a decision about incidents
    on_call_text.py           prints lists of alerts and incidents within 80 columns
    exclusion_prompt.py       shows what a decision about exclusions would change, and asks
    verification_commands.py  verify, bundle, receipt: let a reader check published results
    ledger_commands.py        audit, retract, erase, rotate-key: carry out actions of the ledger's operator
    witness_commands.py       the group witness: init, watch, logs, sign, ask, keep
    store_commands.py         migrate, doctor, rejects, pseudonym: prepare and describe a store
    archive_command.py        archive: moves old sealed votes out of the hot tables
    backup_commands.py        backup, restore: write and restore a backup
    server_commands.py        serve, exporter: serve the API with its pages, and metrics
    token_commands.py         tokens: lists, adds and revokes tokens of operators
    operators_command.py      operators log: lists the operators' log
    notice_commands.py        notice add, notice list: correction notices
    rate_command.py           rate: rates a battle file, without a store
    report_command.py         report: says whether the board of a file of votes can be trusted, without a store
    report_text.py            prints a report for people
    convert_command.py        convert: writes a battle file in another format
    export_command.py         export: writes a public data set of the votes that count in a store
    output_file.py            writes an output file, which is complete or absent
    history_command.py        history: audits published snapshots of another board, without a store
    history_text.py           prints the results of history for people
    history_document.py       builds the JSON document of history
    backfill_command.py       backfill: evaluates votes that no snapshot preceded
    backfill_text.py          builds the lines that backfill and refresh print about such an evaluation
    sweep_command.py          sweep: runs the audits and evaluates the policy
    provider_command.py       provider: shows the facts about one provider
    demo_command.py           demo: runs the whole pipeline on real pair counts
    drill_command.py          drill: sends a simulated campaign of votes, and times how soon the pipeline excludes them
    redteam_command.py        redteam: runs known attacks against the detectors
    bench_group.py            defines the group `bench`, whose commands are in bench_stream.py, bench_ratings.py,
                              bench_evidence.py, bench_intervals.py, bench_selection.py, bench_sweep.py, bench_api.py,
                              bench_ledger.py, bench_formats.py, bench_report.py, bench_startup.py,
                              bench_scale.py, bench_incidents.py
    terminal_tables.py        builds tables of boards and alerts
"""
