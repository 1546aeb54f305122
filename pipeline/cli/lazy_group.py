"""Imports the module of one command only, so that a command starts fast.

Importing a module registers its commands. Importing all of them, with audits and benchmarks, would double the start
time of `integrity work`, which starts often and on many machines. The list of commands is printed from a table, so that
help imports none of them.
"""

from collections.abc import Callable, Sequence
from importlib import import_module

from pipeline.cli.app import app
from pipeline.errors import Usage

_BENCHMARKS = (
    "stream",
    "ratings",
    "evidence",
    "intervals",
    "selection",
    "sweep",
    "api",
    "ledger",
    "formats",
    "startup",
)
_COMMANDS: dict[str, tuple[tuple[str, ...], str]] = {
    "publish": (
        ("publish_command",),
        "Publish battle files to Kafka, or follow logs. Pseudonyms replace voter ids; every delivery is confirmed.",
    ),
    "work": (
        ("worker_commands",),
        "Read votes from files or from Kafka, evaluate and store them. SIGTERM stops the worker cleanly.",
    ),
    "monitor": (
        ("worker_commands",),
        "Close the five-minute windows of all partitions in order, and run the window detectors on each window.",
    ),
    "refresh": (
        ("board_commands",),
        "Seal new votes, check and rate them, and publish a snapshot if anything has changed.",
    ),
    "leaderboard": (
        ("board_commands",),
        "Show a published board, by default the newest.",
    ),
    "diff": (
        ("board_commands",),
        "Show which models rose or fell between two snapshots, and why: new votes, exclusions, the method, settings.",
    ),
    "verify": (
        ("verification_commands",),
        "Check a bundle offline, or recompute everything that a store has published. Exit 4 if anything differs.",
    ),
    "bundle": (
        ("verification_commands",),
        "Write a snapshot together with everything needed to check it offline.",
    ),
    "receipt": (
        ("verification_commands",),
        "Show whether a vote was counted: the proof that it is in the log, and which views count it.",
    ),
    "audit": (
        ("ledger_commands",),
        "Recompute the whole ledger and check its signed heads, as the daily DAG does.",
    ),
    "retract": (
        ("ledger_commands",),
        "Retract a vote: from the next refresh on, no view counts it.",
    ),
    "erase": (
        ("ledger_commands",),
        "Erase who cast a vote. The vote still counts, and all proofs stay valid. This cannot be undone.",
    ),
    "rotate-key": (
        ("ledger_commands",),
        "Create a new signing key. The next snapshot is signed with both the old and the new key.",
    ),
    "witness": (
        ("witness_commands",),
        "Sign a log's heads as a third party; refuse forks and rollbacks.",
    ),
    "alerts": (
        ("alert_commands",),
        "List alerts, show one with its evidence, change its state, exclude or restore votes.",
    ),
    "incidents": (
        ("incident_commands",),
        "List incidents by urgency, show one, or decide about one: one campaign of votes is one incident.",
    ),
    "replay": (
        ("alert_commands",),
        "Run one detector over all stored votes, and show the alerts that it would raise.",
    ),
    "rate": (
        ("rate_command",),
        "Rate a battle file without a store. The first invalid record is an error unless --skip-bad is given.",
    ),
    "convert": (
        ("convert_command",),
        "Write the votes of a battle file in another format, with all fields that the file has for each vote.",
    ),
    "export": (
        ("export_command",),
        "Write the votes that count in the schema of arena-human-preference-140k, with random labels for voters.",
    ),
    "history": (
        ("history_command",),
        "Audit published boards: falling vote counts, removed and renamed models, changes of the method, of "
        "#1, of shares.",
    ),
    "sweep": (
        ("sweep_command",),
        "Audit the board: variants, sampling, claims, connectivity, voters in lockstep, policy.",
    ),
    "provider": (
        ("provider_command",),
        "Show the facts about a provider, each with its source: variants, disclosures, share of votes, removals.",
    ),
    "redteam": (
        ("redteam_command",),
        "Run attacks from the literature; show what the detectors find, what the board loses, what baselines find.",
    ),
    "migrate": (
        ("store_commands",),
        "Create the store, or update its tables and rebuild stale windows.",
    ),
    "pseudonym": (
        ("store_commands",),
        "Show the pseudonym of a voter in this store.",
    ),
    "rejects": (
        ("store_commands",),
        "List invalid records and contradictory registry events, each with its place and the reason.",
    ),
    "doctor": (
        ("store_commands",),
        "Show versions, every setting with its source, and the state of store and topics. Exit 1 if one has a fault.",
    ),
    "backup": (
        ("backup_commands",),
        "Back up a store: database, ledger files and keys, with the SHA-256 of each file. Workers may go on.",
    ),
    "restore": (
        ("backup_commands",),
        "Check a backup, restore it as a new store, and verify the store. Exit 4 if a file is damaged.",
    ),
    "serve": (
        ("server_commands",),
        "Serve the API and the pages until SIGTERM.",
    ),
    "exporter": (
        ("server_commands",),
        "Serve the store's state as Prometheus metrics until SIGTERM.",
    ),
    "tokens": (
        ("token_commands",),
        "List, add or revoke the tokens with which operators decide over HTTP.",
    ),
    "operators": (
        ("operators_command",),
        "Read who decided what, from where and when.",
    ),
    "notice": (
        ("notice_commands",),
        "Correct a published snapshot by dated notes in a person's name.",
    ),
    "backfill": (
        ("backfill_command",),
        "Evaluate every vote that no snapshot preceded, by comparing voters with other voters.",
    ),
    "bench": (
        tuple(f"bench_{name}" for name in _BENCHMARKS),
        "Benchmarks: each reports ratios measured within one run.",
    ),
    "demo": (
        ("demo_command",),
        "Run the whole pipeline on real pair counts with simulated attackers; show alerts and both boards.",
    ),
}
"""For each command, the modules that register it, and the first paragraph of its help."""

COMMAND_MODULES = {name: modules for name, (modules, _) in _COMMANDS.items()}


def load(words: Sequence[str] = ()) -> None:
    """Import the modules that register a command.

    Args:
        words: the command line. If it is empty, all modules are imported. If its first word is not a command, none is
            imported: help and the message about an unknown command need the names only.
    """
    if words and words[0] not in COMMAND_MODULES:
        for name, (_, summary) in _COMMANDS.items():
            app.command(name, help=summary)(_named_only(name))
        return
    for modules in [COMMAND_MODULES[words[0]]] if words else COMMAND_MODULES.values():
        for module in modules:
            import_module(f"pipeline.cli.{module}")


def _named_only(name: str) -> Callable[[], None]:
    def command() -> None:
        raise Usage(f"expected the command {name} as the first word; try 'integrity {name} --help'")

    return command


@app.callback()
def _group() -> None:
    """Keep command names: without a callback, Typer would drop the name if only one command is registered."""


__all__ = ["COMMAND_MODULES", "app", "load"]
