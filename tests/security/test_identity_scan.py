"""A thousand marked voters over every road: no raw id anywhere, no pseudonym in public, no link after an erasure."""

import base64
import json
import re
import sqlite3
import uuid
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from kafka import KafkaConsumer, TopicPartition

from pipeline import settings as configuration
from pipeline.api.app import create_app
from pipeline.events.pseudonym import format_pseudonym, pseudonym, session_name
from pipeline.jobs.store_status import read_store_status
from pipeline.metrics import StoreCollector
from pipeline.open_store import open_store
from pipeline.settings import Settings
from tests.command import called

KEY = "5c" * 32
MARK = "marked-voter-"
FAN = f"{MARK}0000"
MODELS = ("alder", "birch", "cedar", "doum", "elm", "fir")
START = 1_772_323_200
VOTES = 6_000
MAX_PAGES = 400


class Run:
    """The commands of one board, and everything that they print."""

    def __init__(self, folder: Path, kafka_url: str) -> None:
        self.folder, self.url = folder, kafka_url
        self.server, name = kafka_url.removeprefix("kafka://"), uuid.uuid4().hex[:8]
        self.topics = {kind: f"{kind}.{name}" for kind in ("votes", "registry", "alerts", "rejected")}
        self.settings = {
            "INTEGRITY_STORE": str(folder / "s.db"), "INTEGRITY_VOTER_KEY": KEY, "INTEGRITY_ANCHOR": "",
            "INTEGRITY_SESSION_SECONDS": "6",
            **{f"INTEGRITY_TOPIC_{kind.upper()}": topic for kind, topic in self.topics.items()},
        }  # fmt: skip
        self.printed: list[str] = []

    def __call__(self, *words: str, code: int = 0) -> str:
        done = called(*words, settings=self.settings)
        self.printed += [done.stdout, done.stderr]
        assert done.returncode == code, (words, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json"))

    def stored(self) -> Iterator[tuple[str, bytes]]:
        """Every file of the store: database, journal, ledger, keys."""
        for found in self.folder.glob("s.db*"):
            for path in (found, *found.rglob("*")):
                if path.is_file():
                    yield str(path), path.read_bytes()

    def on_topics(self) -> Iterator[tuple[str, bytes]]:
        """Every record of every topic, samples of rejects decoded."""
        for topic in self.topics.values():
            consumer = KafkaConsumer(bootstrap_servers=self.server, auto_offset_reset="earliest", group_id=None)
            partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
            consumer.assign(partitions)
            left = sum(consumer.end_offsets(partitions).values())
            while left > 0:
                for records in consumer.poll(timeout_ms=500).values():
                    left -= len(records)
                    yield from ((topic, _all_bytes(record)) for record in records)
            consumer.close()

    def public(self) -> Iterator[tuple[str, bytes]]:
        """What readers without a token get: every page and every answer that a page or the list of routes leads to."""
        with (
            configuration.override(Settings(anchor="", voter_key=KEY)),
            closing(open_store(self.settings["INTEGRITY_STORE"], voter_key=bytes.fromhex(KEY))) as store,
            TestClient(create_app(store)) as client,
        ):
            waiting, seen = ["/", "/alerts", "/exclusions", "/snapshots", *_api_paths(client)], set()
            while waiting and len(seen) < MAX_PAGES:
                path = waiting.pop(0)
                if path in seen:
                    continue
                seen.add(path)
                answer = client.get(path)
                yield path, answer.content
                if "html" in answer.headers.get("content-type", ""):
                    waiting += _links(answer.text)
            with closing(iter(StoreCollector(lambda: read_store_status(store)).collect())) as metrics:
                yield "metrics", repr(list(metrics)).encode()

    def bundle(self, name: str) -> Iterator[tuple[str, bytes]]:
        """Every file of a bundle of the newest snapshot; Parquet has no compression of ids that a scan would miss."""
        self("bundle", "--out", str(self.folder / name))
        with zipfile.ZipFile(self.folder / name) as archive:
            for entry in archive.namelist():
                yield entry, archive.read(entry)


def _all_bytes(record: Any) -> bytes:
    """Key, value, headers and the decoded sample of a record."""
    headers = [name.encode() + b"=" + value for name, value in record.headers or ()]
    try:
        sample = base64.b64decode(json.loads(record.value)["sample"])
    except (ValueError, KeyError, TypeError):
        sample = b""
    return b"\n".join([record.key or b"", record.value or b"", sample, *headers])


def _links(page: str) -> list[str]:
    found = (unescape(link) for link in re.findall(r'href="(/[^"#]*)', page))
    return [link for link in found if not link.startswith(("/static", "/bundles")) and "bundle" not in link]


def _api_paths(client: TestClient) -> list[str]:
    """Routes without parameters, the alerts one by one, and tables of alerts and exclusions in every form."""
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    plain = [path for path, methods in paths.items() if "get" in methods and "{" not in path]
    alerts = client.get("/api/v1/alerts?limit=1000").json()["rows"]
    tables = [f"/api/v1/{name}?format={kind}" for name in ("alerts", "exclusions") for kind in ("csv", "parquet")]
    pages = [f"/api/v1/alerts?limit=1&cursor={client.get('/api/v1/alerts?limit=1').json()['next']}"]
    return [*plain, *tables, *pages, *(f"{root}/alerts/{one['id']}" for one in alerts for root in ("/api/v1", ""))]


def votes() -> list[dict[str, Any]]:
    """Votes of a thousand marked voters; in the second half one of them votes for doum alone."""
    rng = np.random.default_rng(7)
    strength = dict(zip(MODELS, np.linspace(1.0, -1.0, len(MODELS)), strict=True))
    found = []
    for n in range(VOTES):
        a, b = (str(model) for model in rng.choice(MODELS, 2, replace=False))
        judge = f"{MARK}{int(rng.integers(1, 1000)):04d}" if n >= 999 else f"{MARK}{n + 1:04d}"
        first = rng.random() < 1 / (1 + np.exp(strength[b] - strength[a]))
        winner = "tie" if rng.random() < 0.2 else "model_a" if first else "model_b"
        if n >= VOTES // 2 and n % 20 == 0:
            judge, a, b, winner = FAN, "doum", str(rng.choice(("alder", "birch", "cedar"))), "model_a"
        found.append(
            {"question_id": f"q{n}", "model_a": a, "model_b": b, "winner": winner, "judge": judge,
             "tstamp": START + 60 * n, "conversation": [f"I am {judge}"], "ip": judge}
        )  # fmt: skip
    return found


def sessions() -> list[dict[str, Any]]:
    """Votes in our own form, with marked sessions."""
    return [
        {"schema": 1, "vote_id": f"s{n}", "cast_at": "2026-03-03T00:00:00Z", "model_a": "elm", "model_b": "fir",
         "winner": "tie", "voter_id": f"{MARK}{n:04d}", "session": f"{MARK}session-{n // 3}", "turn": 1 + n % 3}
        for n in range(300)
    ]  # fmt: skip


def rejected() -> list[bytes]:
    """Records that are no votes, with marked ids in every place."""
    records: list[dict[str, Any]] = [
        {"question_id": f"bad{n}", "model_a": "alder", "model_b": "alder", "winner": "tie", "judge": f"{MARK}{n:04d}",
         "user": f"{MARK}{n:04d}", "tstamp": START}
        for n in range(30)
    ]  # fmt: skip
    whole = [json.dumps(one).encode() for one in records]
    broken = [raw[:-4] for raw in whole[:10]]
    foreign = [f"alder,birch,tie,{MARK}0007".encode(), json.dumps([f"{MARK}0008"]).encode()]
    return [*whole, *broken, *foreign, json.dumps({**records[0], "winner": f"{MARK}0000", "model_b": "birch"}).encode()]


def write(path: Path, lines: Iterable[bytes]) -> Path:
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def found_in(places: Iterable[tuple[str, bytes]], needles: Iterable[bytes]) -> list[tuple[str, bytes]]:
    """The places that contain one of the needles, with the first of them."""
    pattern = re.compile(b"|".join(map(re.escape, needles)))
    return [(place, hit[0]) for place, data in places if (hit := pattern.search(data))]


@pytest.mark.long
def test_a_thousand_marked_voters_leave_no_raw_id_and_no_public_pseudonym(tmp_path: Path, kafka_url: str) -> None:
    run, everything = Run(tmp_path, kafka_url), [json.dumps(vote).encode() for vote in votes()]
    half = VOTES // 2
    first = write(tmp_path / "first.jsonl", everything[:half])
    second = write(
        tmp_path / "second.jsonl", [*everything[half:], *(json.dumps(one).encode() for one in sessions()), *rejected()]
    )
    run("publish", str(first), "--to", run.url)
    run("work", "--source", run.url, "--until-end")
    run("refresh")
    run("publish", str(second), "--to", run.url)
    run("work", "--source", run.url, "--until-end")
    run("monitor", "--close")
    run("refresh")
    run("sweep")
    run("rejects", "--limit", "5")
    listed = run.json("alerts")
    run("doctor")
    repeat = {"schema": 1, "vote_id": "q7", "cast_at": "2026-03-01T00:00:00Z", "model_a": "elm", "model_b": "fir"}
    forged = json.dumps({**repeat, "winner": "tie", "voter_id": FAN}).encode()
    run("work", "--source", str(write(tmp_path / "forged.jsonl", [forged])))
    assert any(one["detector"] == "voter_bias" and one["severity"] == "critical" for one in listed)

    raw = [MARK.encode()]
    texts = [(f"output {n}", text.encode()) for n, text in enumerate(run.printed)]
    public, bundle = list(run.public()), list(run.bundle("bundle.zip"))
    assert len(public) > 60
    topics = list(run.on_topics())
    for places in (run.stored(), topics, public, bundle, texts):
        assert found_in(places, raw) == []

    known = [format_pseudonym(pseudonym(bytes.fromhex(KEY), f"{MARK}{n:04d}")).encode() for n in range(1000)]
    names = [session_name(f"{MARK}session-{n}") or "" for n in range(100)]
    known += [format_pseudonym(pseudonym(bytes.fromhex(KEY), name)).encode() for name in names]
    assert found_in(topics, known[-10:])
    alerts = [(topic, data) for topic, data in topics if topic == run.topics["alerts"]]
    assert alerts
    assert any(b"voter-" in data for _, data in public)
    for places in (public, bundle, alerts):
        assert found_in(places, known) == []

    erased = run.json("erase", "--voter", FAN, "--name", "ann", "--reason", "asked for it")
    assert erased["erased"] > 100
    assert sum(one["records"] for one in erased["kafka"]) == erased["erased"]
    record = next(row for row in run.json("operators", "log") if row["action"] == "voter.erase")
    assert (record["operator"], record["reason"], record["after"]) == (
        "ann",
        "asked for it",
        {"erased": erased["erased"]},
    )
    fan = pseudonym(bytes.fromhex(KEY), FAN)
    traces = [format_pseudonym(fan).encode(), fan.to_bytes(8, "big", signed=True)]
    assert found_in(run.stored(), traces) == []
    run("refresh")
    run("verify")
    assert found_in([*run.stored(), *run.public(), *run.bundle("after.zip")], traces) == []
    with closing(sqlite3.connect(run.settings["INTEGRITY_STORE"])) as database:
        left = database.execute("SELECT evidence FROM alert WHERE subject LIKE 'voter-%'").fetchall()
    assert left
    assert not [text for (text,) in left if "vote_id" in text]
