"""Lists all commands. The entry of a command has its module and the first paragraph of its help.

`integrity --help` prints this table, and imports no module of a command. A test compares the table with the commands.
"""

from pipeline.cli.app import app
from pipeline.cli.lazy_group import CommandEntry, lazy_group
from pipeline.cli.pasted_commands import remember_store

COMMANDS: dict[str, CommandEntry] = {
    "publish": CommandEntry(
        "publish_command",
        "Publish battle files to Kafka, or follow logs. Pseudonyms replace voter ids; every delivery is confirmed.",
    ),
    "work": CommandEntry(
        "worker_commands",
        "Read votes from files or from Kafka, evaluate and store them. SIGTERM stops the worker cleanly.",
    ),
    "monitor": CommandEntry(
        "worker_commands",
        "Close the five-minute windows of all partitions in order, and run the window detectors on each window.",
    ),
    "refresh": CommandEntry(
        "board_commands", "Seal new votes, check and rate them, and publish a snapshot if anything has changed."
    ),
    "leaderboard": CommandEntry("leaderboard_command", "Show a published board, by default the newest."),
    "diff": CommandEntry(
        "board_commands",
        "Show which models rose or fell between two snapshots, and why: new votes, exclusions, the method, settings.",
    ),
    "verify": CommandEntry(
        "verification_commands",
        "Check a bundle offline, or recompute everything that a store has published. Exit 4 if anything differs.",
    ),
    "bundle": CommandEntry(
        "verification_commands", "Write a snapshot together with everything needed to check it offline."
    ),
    "receipt": CommandEntry(
        "verification_commands",
        "Show whether a vote was counted: the proof that it is in the log, and which views count it.",
    ),
    "audit": CommandEntry(
        "ledger_commands", "Recompute the whole ledger and check its signed heads, as the daily DAG does."
    ),
    "mirror": CommandEntry(
        "ledger_commands",
        "Copy the public ledger to a folder or an object store, from which any web server can serve it.",
    ),
    "retract": CommandEntry("ledger_commands", "Retract a vote: from the next refresh on, no view counts it."),
    "erase": CommandEntry(
        "ledger_commands",
        "Erase the voter from one vote or from all votes of the voter. They still count, and all proofs stay valid.",
    ),
    "archive": CommandEntry(
        "archive_command",
        "Move sealed votes into encrypted files outside the database. They still count, and their repeats are found.",
    ),
    "rotate-key": CommandEntry(
        "ledger_commands", "Create a new signing key. The next snapshot is signed with both the old and the new key."
    ),
    "witness": CommandEntry("witness_commands", "Sign a log's heads as a third party; refuse forks and rollbacks."),
    "alerts": CommandEntry(
        "alert_commands",
        "List alerts by urgency, show one with its evidence, change its state, exclude or restore votes.",
    ),
    "replay": CommandEntry(
        "alert_commands", "Run one detector over all stored votes, and show the alerts that it would raise."
    ),
    "incidents": CommandEntry(
        "incident_commands",
        "List incidents by urgency, show one, or decide about one. An incident is one campaign of votes.",
    ),
    "rate": CommandEntry(
        "rate_command",
        "Rate a battle file without a store. The first invalid record is an error unless --skip-bad is given.",
    ),
    "report": CommandEntry(
        "report_command", "Say whether the board of a file of votes can be trusted, and why. No store is needed."
    ),
    "convert": CommandEntry(
        "convert_command",
        "Write the votes of a battle file in another format, with all fields that the file has for each vote.",
    ),
    "export": CommandEntry(
        "export_command",
        "Write the counted votes in the format of arena-human-preference-140k, with random labels for voters.",
    ),
    "history": CommandEntry(
        "history_command",
        "Audit published boards: falling vote counts, removed or renamed models, new methods, new leaders, vote "
        "shares.",
    ),
    "sweep": CommandEntry(
        "sweep_command", "Audit the board: variants, sampling, claims, connectivity, voters in lockstep, policy."
    ),
    "backfill": CommandEntry(
        "backfill_command", "Evaluate every vote that no snapshot preceded, by comparing voters with other voters."
    ),
    "provider": CommandEntry(
        "provider_command",
        "Show the facts about a provider, each with its source: variants, disclosures, share of votes, removals.",
    ),
    "redteam": CommandEntry(
        "redteam_command",
        "Run attacks from the literature; show what detectors find, how far the board moves, what baselines find.",
    ),
    "drill": CommandEntry(
        "drill_command",
        "Send the votes of a simulated campaign, and time what follows: alert, incident, page, exclusion, new board.",
    ),
    "migrate": CommandEntry("store_commands", "Create the store, or update its tables and rebuild stale windows."),
    "pseudonym": CommandEntry("store_commands", "Show the pseudonym of a voter in this store."),
    "rejects": CommandEntry(
        "store_commands", "List invalid records and contradictory registry events, each with its place and the reason."
    ),
    "doctor": CommandEntry(
        "store_commands",
        "Check this installation: versions, settings and where each comes from, the store, and the topics of Kafka.",
    ),
    "backup": CommandEntry(
        "backup_commands",
        "Back up a store: database, ledger files and keys, with the SHA-256 of each file. Workers may go on.",
    ),
    "restore": CommandEntry(
        "backup_commands",
        "Check a backup, restore it as a new store, and verify the store. Exit 4 if a file is damaged.",
    ),
    "serve": CommandEntry("server_commands", "Serve the API and the pages until SIGTERM."),
    "exporter": CommandEntry("server_commands", "Serve the store's state as Prometheus metrics until SIGTERM."),
    "tokens": CommandEntry("token_commands", "List, add or revoke the tokens with which operators decide over HTTP."),
    "operators": CommandEntry("operators_command", "Read who decided what, from where and when."),
    "notice": CommandEntry("notice_commands", "Correct a published snapshot by dated notes in a person's name."),
    "bench": CommandEntry("bench_group", "Benchmarks: each reports ratios measured within one run."),
    "demo": CommandEntry(
        "demo_command",
        "Run the whole pipeline on real pair counts with simulated attackers; show alerts and both boards.",
    ),
}


@app.callback(cls=lazy_group(app, COMMANDS))
def _group() -> None:
    """Keep the names of commands. Without a callback, Typer drops the name if only one command is registered."""
    remember_store(None)  # of an earlier command line in this process


__all__ = ["COMMANDS", "app"]
