"""Leaderboard integrity: account for every vote, flag manipulation, publish ratings that anybody can recompute.

`make up` starts everything locally; README.md has the first steps, docs/architecture.md the way of one vote.
From the command line down, each package imports only from those below it:

    cli/                the command `integrity`
    lab/                simulated votes, benchmarks, the red team
    api/                the HTTP API and the pages
    jobs/               refresh, ledger custody, audits, moderation: what DAGs and commands run
    stream/             the worker and the monitor: votes from Kafka or a file into the store
    open_store.py       opens a store with the keys and folders that the settings name
    settings/           every setting, from the environment, .env and secret files
    alert_text.py       the text of an alert, for the terminal and the pages
    incident_text.py    the text of an incident, for the terminal and the pages
    store/              the database and the ledger's files; every SQL statement
    expectation_suites.py  expectations on votes, registry and snapshots (Great Expectations)
    metrics/            every Prometheus metric; metrics_server.py serves them
    devstack/           starts local servers: Kafka, PostgreSQL, Airflow, Prometheus
    backlog/            evaluates votes from before the first snapshot
    detectors/          evidence about voters, models, providers, networks
    audits/             slow checks of a whole board
    incidents/          groups the alerts of one campaign of votes into one incident
    scoring/            scores votes and windows without I/O; contracts of detectors
    ledger/             Merkle logs, signatures, manifests, bundles, the verifier
    formats/            readers of public battle files and published boards
    evidence/           e-values and sequential tests
    ratings/            Bradley-Terry ratings, intervals, style control
    registry.py         models and providers as of a time, from registry events
    events/             vote and registry events: decodes bytes to columns
    vocabulary/         outcomes, fates, times, array types
    errors.py           the error tree
    concurrency.py      runs work in a thread beside the caller's thread
    private_files.py    checks whether others can read a file with a secret
    data/               real pair counts, and the default policy of a sweep
"""
