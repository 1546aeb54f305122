"""Leaderboard integrity: account for every vote, flag manipulation, publish ratings that anybody can recompute.

`make up` starts everything locally; README.md has the first steps; docs/architecture.md follows one vote through the
system. docs/glossary.md explains each term. From the command line down, each package imports only from those below it:

    cli/                implements the command `integrity`
    lab/                simulates votes, runs benchmarks and simulated attacks (the red team)
    api/                serves the HTTP API and the pages
    vote_files/         reads a file of votes for a rating or a report, for commands and notebooks
    jobs/               runs refreshes, ledger custody, audits, moderation: what DAGs and commands start
    stream/             reads votes from Kafka or a file into the store (worker), closes windows (monitor)
    open_store.py       opens a store with the keys and folders that the settings name
    settings/           reads every setting from the environment, .env and secret files
    incident_text.py    writes the text of an incident, for the terminal and the pages
    incident_standing.py  describes the accounts of an incident: which of their votes count, what to do
    incident_headline.py  writes the headline of an incident: one sentence about what happened
    alert_text.py       writes the text of an alert, for the terminal and the pages
    store/              keeps the database and the ledger's files; has every SQL statement
    expectation_suites.py  checks expectations on votes, registry and snapshots (Great Expectations)
    metrics/            defines every Prometheus metric; metrics_server.py serves them
    devstack/           starts local servers: Kafka, PostgreSQL, Airflow, Prometheus
    report/             reports what a file of votes supports, without a store
    backlog/            evaluates votes that were cast before the first snapshot was published
    detectors/          computes evidence about voters, models, providers, networks
    audits/             runs slow checks of a whole board
    incidents/          groups the alerts of one campaign of votes into one incident
    compute/            computes counts of votes from the sealed segments of the vote log
    scoring/            scores votes and windows without I/O; defines the contracts of detectors
    ledger/             computes Merkle logs, signatures, manifests and bundles; verifies them
    formats/            reads public battle files and published boards
    evidence/           computes e-values and sequential tests
    ratings/            computes Bradley-Terry ratings, intervals, style control
    registry.py         computes models and providers as of a time, from registry events
    events/             defines vote and registry events; decodes bytes to columns
    vocabulary/         defines outcomes, fates, times, array types
    errors.py           defines the error tree
    concurrency.py      runs work in a thread beside the caller's thread
    spilled_arrays.py   keeps large arrays in temporary files
    private_files.py    checks whether others can read a file with a secret
    data/               contains real pair counts, and the default policy of a sweep
"""
