"""The hostile matrix: hostile strings × every verb, page, export and metric, over a store that holds all of them.

Verbs come from the command line's application, routes from the API's, export formats from their registries: a new one
without a line here fails `test_every_verb_is_in_the_matrix`, or is asked with the strings like all others.
"""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import uuid
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlencode

import pyarrow.parquet as pq
import pytest
import typer
from fastapi import FastAPI
from fastapi.testclient import TestClient
from kafka import KafkaProducer
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pipeline import jobs
from pipeline.api.app import create_app
from pipeline.api.request_params import TableFormat
from pipeline.cli import commands
from pipeline.cli.rate_command import _WRITERS
from pipeline.errors import Usage
from pipeline.ledger import verifier_command
from pipeline.metrics import StoreCollector
from pipeline.store import Store
from pipeline.store.alerting import alert_queries, incident_grouping, incident_table
from pipeline.store.boards import prepared_answers, snapshots
from pipeline.stream.source.kafka_url import parse_kafka_url
from pipeline.vocabulary.visible_text import visible
from tests.command import called
from tests.integration.board_of_votes import using
from tests.security.hostile import FILE, HIDDEN, NAMES, OPTIONS, SETTINGS, WORDS, bad_records, made, votes

pytestmark = pytest.mark.long

SHOWN = {
    "leaderboard": ["leaderboard"], "alerts": ["alerts"], "incidents": ["incidents"],
    "rejects": ["rejects"], "tokens": ["tokens"],
    "sweep": ["sweep"], "doctor": ["doctor"], "diff": ["diff", "{snapshot}"], "monitor": ["monitor", "--until-end"],
    "refresh": ["refresh"], "audit": ["audit"], "verify": ["verify"], "migrate": ["migrate"],
    "receipt": ["receipt", "{vote}"], "replay": ["replay", "--detector", "unknown_model"], "backfill": ["backfill"],
}  # fmt: skip
"""Verbs that are run once: the store holds every name."""

ASKED = {
    "leaderboard": [["--snapshot", "{word}"], ["--at", "{word}"], ["--view", "{word}"]],
    "diff": [["{word}"], ["{snapshot}", "{word}"]],
    "alerts": [["{word}"], ["show", "{word}"], ["exclude", "{word}", "--reason", "x"], ["list", "--state", "{word}"],
               ["list", "--since", "{word}"], ["list", "--about", "{word}"], ["ack", "{word}", "{word}"],
               ["exclude", "vote:{word}", "--name", "{word}", "--reason", "{word}"],
               ["ack", "{alert}", "--name", "{word}", "--reason", "{word}"]],
    "incidents": [["list", "{word}"], ["show", "{word}"], ["list", "--since", "{word}"], ["list", "--about", "{word}"],
                  ["exclude", "{word}", "--reason", "x"], ["note", "{word}", "--name", "{word}", "--reason", "{word}"],
                  ["merge", "{word}", "{word}", "--reason", "{word}"], ["split", "{word}", "{word}"]],
    "tokens": [["add", "{word}", "--scope", "{word}", "--reason", "{word}"], ["revoke", "{word}", "--reason", "x"]],
    "receipt": [["{word}"], ["--voter", "{word}"]],
    "retract": [["{word}", "--reason", "{word}", "--name", "{word}"]],
    "archive": [["--older-than", "{word}"]],
    "erase": [["{word}"], ["--voter", "{word}"]],
    "provider": [["{word}"], ["{word}", "--markdown"]],
    "pseudonym": [["{word}"]],
    "replay": [["--detector", "{word}"]],
    "verify": [["{word}"]],
    "backup": [["--out", "{folder}/{word}"], ["--out", "{folder}/{word}.tar"]],
    "export": [["--out", "{folder}/{word}"], ["--out", "{folder}/x.csv", "--snapshot", "{word}"],
               ["--out", "{folder}/{word}.json", "--until", "{word}"]],
    "mirror": [["{folder}/{word}"]],
    "bundle": [["--out", "{folder}/b", "--snapshot", "{word}"]],
    "sweep": [["--policy", "{word}"], ["--against", "{word}"]],
    "work": [["--source", "{word}"], ["--source", "kafka:{word}"], ["--source", "x", "--columns", "{word}"]],
    "witness keep": [["{word}"]],
    "notice add": [["{word}", "--text", "{word}"], ["{snapshot}", "--text", "{word}", "--name", "{word}"]],
    "notice list": [["{word}"]],
    "operators log": [["--action", "{word}"], ["--operator", "{word}"]],
}  # fmt: skip
"""What is asked of a verb with each hostile word, beside --store."""

WITHOUT_STORE = {
    "rate": [["{word}"], ["{file}", "--anchor", "{word}"], ["{file}", "--columns", "{word}"]],
    "report": [["{word}"], ["{file}", "--out", "{folder}/{word}.html"], ["{file}", "--columns", "{word}"],
               ["{file}", "--method", "{word}"]],
    "convert": [["{word}", "{folder}/converted.csv"], ["{file}", "{folder}/{word}.csv"], ["{file}", "{word}"]],
    "history": [["{word}"], ["{file}", "--board", "{word}"], ["{file}", "--renames", "{word}"]],
    "restore": [["{word}", "--store", "{folder}/restored"], ["{folder}/no backup", "--store", "{word}"]],
    "publish": [
        ["--to", "{word}"],
        ["{word}", "--to", "kafka://localhost:1"],
        ["--follow", "{word}/none/log", "--to", "kafka://localhost:1", "--until-end"],
    ],
    "migrate": [["--store", "postgresql://{word}"], ["--store", "{word}://x"], ["--store", "{folder}/{word}"]],
    "witness init": [["{folder}/w", "--name", "{word}"]],
    "witness watch": [["{folder}/w2", "{word}"]],
    "witness logs": [["{folder}/{word}"]],
    "witness sign": [["{folder}/w3", "{word}"]],
    "redteam": [["--scenario", "{word}"]],
    "drill": [["--copy", "--store", "{folder}/{word}"], ["--to", "{word}", "--store", "{folder}/{word}"]],
    "bench ratings": [["--only", "{word}"]],
    "bench report": [["{folder}/{word}"]],
    "bench scale": [["--votes", "{word}"]],
    "bench evidence": [["--only", "{word}"], ["--real", "--wmt", "{word}"]],
}  # fmt: skip

# Servers, simulations and benchmarks have no word of their own; what they print of a store, others print too.
WORDLESS = {
    "serve", "exporter", "demo", "rotate-key", "witness ask", "bench stream", "bench intervals", "bench selection",
    "bench sweep", "bench api", "bench ledger", "bench formats", "bench startup", "bench incidents",
}  # fmt: skip
DESIGNED = {0, 1, 2, 3, 4}
# Kinds of answers that must show hidden characters as escapes.
TEXTS = ("text/html", "text/csv", "application/json", "application/problem", "image/svg", "application/atom")
# Found, redirected, not found, refused: neither a fault of the program nor a limit that would hide one.
ANSWERS = {200, 307, 401, 404, 422}


@dataclass(frozen=True)
class Scene:
    """The store and what the words stand for."""

    store: Store
    url: str
    folder: Path
    snapshot: str
    snapshots: tuple[str, ...]
    alert: str
    incident: str
    story: int


def scene_at(url: str, folder: Path) -> Iterator[Scene]:
    store = made(url, folder)
    with store.read() as connection:
        known = [one.snapshot_id for one in snapshots.read_published(connection)]
        alert = alert_queries.list_alerts(connection)[0]["id"]
    with store.write() as connection:
        incident_grouping.regroup(connection)
        incident = incident_table.incident_of(connection, alert)
        story = prepared_answers.newest_story(connection, known[-1])
        assert story is not None
    with using(OPTIONS):
        yield Scene(store, url, folder, known[0], tuple(known), alert, incident, story[1])
    store.close()


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Relative names that verbs make are made outside of the checkout."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("hostile")
    yield from scene_at(str(folder / "[bold] store.db"), folder)


# --- verbs


def verbs() -> list[str]:
    """Every command that is no group, from the application."""

    def below(command: object, words: list[str]) -> list[str]:
        children = getattr(command, "commands", None)
        if children is None:
            return [" ".join(words)]
        return [line for name, child in children.items() for line in below(child, [*words, name])]

    return below(typer.main.get_command(commands.app), [])


def test_every_verb_is_in_the_matrix() -> None:
    assert sorted({*SHOWN, *ASKED, *WITHOUT_STORE, *WORDLESS}) == sorted(verbs())


def checked(*words: str) -> subprocess.CompletedProcess[str]:
    """Call a command: it ends as designed and prints no control character."""
    answer = called(*words, settings=SETTINGS)
    assert answer.returncode in DESIGNED, (words, answer.stderr)
    assert "Traceback" not in answer.stderr, words
    for printed in (answer.stdout, answer.stderr):
        assert visible(printed, lines=True) == printed, words
    return answer


@pytest.mark.parametrize("verb", SHOWN)
def test_a_verb_shows_a_store_of_hostile_names(scene: Scene, verb: str) -> None:
    words = [{"{snapshot}": scene.snapshot, "{vote}": f"0 {NAMES[0]}"}.get(word, word) for word in SHOWN[verb]]
    text = checked(*words, "--store", scene.url)
    document = checked(*words, "--store", scene.url, "--json")
    assert text.returncode == document.returncode
    parsed = json.loads(document.stdout)
    if verb == "leaderboard":
        assert {row["model"] for row in parsed["rows"]} == set(NAMES)
    if verb in {"leaderboard", "alerts", "tokens"}:
        assert [name for name in NAMES if name not in text.stdout] == []
    if verb == "rejects":
        assert len(parsed) == len(HIDDEN) + 2 * len(NAMES) + 1
        assert [name for name in NAMES if f"got {name}"[:160] not in text.stdout] == []


def filled(scene: Scene, words: list[str], word: str, folder: Path) -> list[str]:
    stands = {"{word}": word, "{snapshot}": scene.snapshot, "{alert}": scene.alert, "{folder}": str(folder)}
    stands["{file}"] = str(scene.folder / "small.jsonl")
    done = []
    for text in words:
        for name, value in stands.items():
            text = text.replace(name, value)  # noqa: PLW2901
        done.append(text)
    return done


@pytest.mark.parametrize("verb", [*ASKED, *WITHOUT_STORE])
def test_a_verb_takes_hostile_words(scene: Scene, verb: str, tmp_path: Path) -> None:
    (scene.folder / "small.jsonl").write_text("".join(json.dumps(one) + "\n" for one in votes(2 * len(NAMES))))
    store = ["--store", scene.url] if verb in ASKED else []
    for line in {**ASKED, **WITHOUT_STORE}[verb]:
        for number, word in enumerate(WORDS):
            words = filled(scene, line, word, tmp_path / str(number))
            # A line break would end an option's value at no shell; a word that begins with - is an option to all.
            checked(*verb.split(), *words, *store)


def test_every_verb_refuses_a_hostile_option() -> None:
    for verb in verbs():
        for word in (*HIDDEN, *NAMES[:8]):
            answer = checked(*verb.split(), f"--x{word}")
            assert answer.returncode == 2
            assert "Usage" in answer.stderr


def test_what_is_published_of_a_decision_has_no_hidden_character(scene: Scene) -> None:
    """A reason and an author reach signed bytes, which are shown as they are."""
    target = f"vote:0 {NAMES[0]}"
    for word in HIDDEN:
        for given in (("--name", "x", "--reason", word), ("--name", word, "--reason", "x")):
            answer = checked("alerts", "exclude", target, *given, "--store", scene.url)
            assert answer.returncode == 2, (word, answer.stdout)


def test_markdown_of_a_provider_has_no_markup_links_or_mentions(scene: Scene) -> None:
    for name in NAMES:
        if name.startswith("-"):
            continue
        answer = checked("provider", name, "--markdown", "--store", scene.url)
        assert answer.returncode == 0, (name, answer.stderr)
        for live in ("https://", "](http", "<script", "<img", "@everyone", "**bold**", " www."):
            assert not re.search(r"(?<!\\)" + re.escape(live), answer.stdout), name


def test_a_hostile_address_of_a_broker_is_a_host_or_refused() -> None:
    for word in WORDS:
        for url in (f"kafka://{word}", f"kafka://host:{word}", f"kafka://host:9092/{word}"):
            with suppress(Usage):
                assert parse_kafka_url(url)


# --- pages and the API


class Page(HTMLParser):
    """What a browser makes of a page: its elements, their links and handlers, its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.scripts: set[str] = set()
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "script":
            self.scripts.add(dict(attrs).get("src") or "in the page")
        for name, value in attrs:
            if name in {"href", "src", "action", "srcset"}:
                self.links.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_data(self, data: str) -> None:
        self.text += data


def asked_routes(app: FastAPI) -> list[Any]:
    """Every route of the API and the pages that answers GET."""
    found: list[Any] = []

    def walk(routes: list[Any]) -> None:
        for route in routes:
            if hasattr(route, "dependant") and "GET" in route.methods:
                found.append(route)
            elif hasattr(route, "routes"):
                walk(route.routes)

    walk(app.routes)
    return found


NAMED = {"charts": "rating", "runbooks": "offset-gap"}


def addresses(scene: Scene, route: Any, words: Sequence[str]) -> Iterator[str]:
    """A route with the store's own ids in its path, and every text parameter of its query as each hostile word."""
    path = str(route.path)
    own = {
        "{snapshot}": scene.snapshots[-1], "{pair}": "..".join(scene.snapshots[-2:]), "{alert}": scene.alert,
        "{events}": str(scene.story),
        "{incident}": scene.incident, "{action}": "resolve", "{log}": "votes",
        "{tile:path}": "tile/0/000.p/1", "{name}": NAMED.get(path.split("/")[1], "site.css"),
    }  # fmt: skip
    for name, value in own.items():
        path = path.replace(name, value)
    assert "{" not in path, f"{path}: the matrix knows no value for it"
    required = {p.alias: "1" for p in route.dependant.query_params if p.field_info.is_required()}
    for parameter in route.dependant.query_params:
        for word in words:
            yield f"{path}?{urlencode({**required, parameter.alias: word})}"
    yield path if not required else f"{path}?{urlencode(required)}"


def check_page(answer: Any, where: str) -> None:
    page = Page(answer.text)
    assert not page.tags & {"iframe", "object"}, where
    assert page.scripts <= {"/static/board.js"}, where
    assert page.handlers == [], where
    assert [link for link in page.links if link and link[0] not in "/?#" and not link.startswith("http://x")] == [], (
        where
    )
    assert [link for link in page.links if link.startswith("//")] == [], where


@pytest.mark.parametrize("accept", ["text/html", "application/json", "text/csv"])
def test_every_route_answers_hostile_words(scene: Scene, accept: str) -> None:
    app = create_app(scene.store, OPTIONS.model_copy(update={"costly_per_minute": 0}))  # without a limit
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as client:
        for route in asked_routes(app):
            for where in addresses(scene, route, WORDS if accept == "text/html" else WORDS[::3]):
                answer = client.get(where, headers={"accept": accept})
                asks_to_sign_in = answer.status_code == 303 and answer.headers["location"].startswith("/sign-in?next=/")
                assert answer.status_code in ANSWERS or asks_to_sign_in, (where, answer.text[:300])
                for name, value in answer.headers.items():
                    assert visible(value) == value, (where, name)
                kind = answer.headers.get("content-type", "")
                if kind.startswith(TEXTS):
                    text = answer.text.replace("\r\n", "\n")
                    assert visible(text, lines=True) == text, where
                if "html" in kind:
                    check_page(answer, where)


def test_pages_show_every_name_as_it_is(scene: Scene) -> None:
    with TestClient(create_app(scene.store)) as client:
        for path in ("/", "/providers"):
            text = Page(client.get(path).text).text
            assert [name for name in NAMES if name not in text] == [], path
        told = Page(client.get("/variants").text).text
        assert [name for name in NAMES[2::4] if f"{name} was claimed to solve 90.0% of {name}" not in told] == []
        for name in NAMES:
            for page in ("model", "provider"):
                answer = client.get(f"/{page}", params={page: name})
                assert answer.status_code == 200
                assert name in Page(answer.text).text


TABLES = ("/api/v1/models", "/api/v1/alerts", "/api/v1/exclusions", "/api/v1/snapshots/{snapshot}/leaderboard",
          "/api/v1/snapshots/{snapshot}/standings", "/api/v1/diff/{pair}")  # fmt: skip


@pytest.mark.parametrize("table_format", get_args(TableFormat))
@pytest.mark.parametrize("path", TABLES)
def test_exports_change_no_name_and_execute_nothing(scene: Scene, path: str, table_format: str) -> None:
    path = path.replace("{snapshot}", scene.snapshots[-1]).replace("{pair}", "..".join(scene.snapshots[-2:]))
    with TestClient(create_app(scene.store)) as client:
        answer = client.get(path, params={"format": table_format, **({} if "diff" in path else {"limit": 1000})})
    assert answer.status_code == 200
    if table_format == "json":
        names = {row.get("model") or row.get("target") or row["subject"]["id"] for row in answer.json()["rows"]}
    elif table_format == "parquet":
        rows = pq.read_table(io.BytesIO(answer.content)).to_pylist()
        names = {row.get("model") or row.get("target") or row["subject_id"] for row in rows}
    else:
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        for row in rows:
            assert [
                v for v in row.values() if v.startswith(("=", "+", "@", "\t", "\r", "-")) and not is_number(v)
            ] == []
        names = {(row.get("model") or row.get("target") or row["subject_id"]) for row in rows}
        names = {name.removeprefix("'") if name.startswith(("'=", "'+", "'-", "'@")) else name for name in names}
    expected = {f"{n} {text}" for n, text in enumerate(NAMES)} if "exclusions" in path else set(NAMES)
    if table_format == "csv":
        expected = {visible(name, lines=True) for name in expected}
    assert expected <= {name for name in names if name}


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("suffix", _WRITERS)
def test_rate_exports_every_name(tmp_path: Path, suffix: str) -> None:
    file, saved = tmp_path / "votes.jsonl", tmp_path / f"board{suffix}"
    file.write_text("".join(json.dumps(one) + "\n" for one in votes(4 * len(NAMES))))
    answer = checked(
        "rate", str(file), "--out", str(saved), "--group", "language", "--fragility", "3", "--influence", "3"
    )
    assert answer.returncode == 0
    assert [name for name in NAMES if name not in answer.stdout] == []
    if suffix == ".csv":
        rows = list(csv.DictReader(io.StringIO(saved.read_text())))
        assert not any(row["model"].startswith(("=", "+", "-", "@")) for row in rows)
    else:
        assert {row["model"] for row in pq.read_table(saved).to_pylist()} == set(NAMES)


# --- metrics


def test_metrics_have_every_name_in_its_label(scene: Scene) -> None:
    collector = StoreCollector(lambda: jobs.read_store_status(scene.store))
    text = generate_latest(collector.own_registry()).decode()
    assert collector.error is None
    assert visible(text, lines=True) == text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert {s.labels["model"] for s in families["integrity_rating_points"].samples} == set(NAMES)


# --- what readers verify


def test_a_bundle_of_hostile_names_is_verified_and_a_hostile_zip_is_refused(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "[bold] bundle.zip"
    assert checked("bundle", "--out", str(path), "--store", scene.url).returncode == 0
    assert verifier_command.run([str(path)]) == 0
    assert checked("verify", str(path)).returncode == 0
    for number, word in enumerate(WORDS):
        bad = tmp_path / f"{number}.zip"
        with zipfile.ZipFile(bad, "w") as packed:
            packed.writestr(word.replace("\x00", "") or "x", b"x")
        assert verifier_command.run([str(bad)]) == 4
        assert checked("verify", str(bad)).returncode == 4
        with pytest.raises(SystemExit) as end:
            verifier_command.run([str(bad), f"--x{word}"])
        assert end.value.code == 2
    told = capsys.readouterr()
    assert visible(told.err + told.out, lines=True) == told.err + told.out


# --- files


def test_files_of_hostile_names_and_contents(tmp_path: Path) -> None:
    for number, word in enumerate(WORDS):
        name = f"{number} {word}".replace("/", "_").replace("\x00", "")[:120]
        file = tmp_path / f"{name}.csv"
        file.write_text(f"snapshot,model,score,votes\n{word},ant,1,1\n", encoding="utf-8")
        assert checked("history", str(file)).returncode == 2
        file.write_text(f'snapshot,board,model,score,votes,organization\n2026-03-01,"{number}{{}}","{{}}",1000,10,"{{}}"\n'
                        .replace("{}", word.replace('"', '""')), encoding="utf-8", newline="")  # fmt: skip
        answer = checked("history", str(file))
        assert answer.returncode == 0, (word, answer.stderr)
        assert visible(word.strip()) in answer.stdout
        votes_file = tmp_path / f"{name}.jsonl"
        votes_file.write_text(json.dumps({"model_a": word, "model_b": "b", "winner": word}) + "\n")
        assert checked("rate", str(votes_file)).returncode == 2
        assert checked("work", "--source", str(votes_file), "--store", str(tmp_path / "s.db")).returncode == 0
    assert checked("rejects", "--store", str(tmp_path / "s.db")).returncode == 0


# --- the other roads: PostgreSQL and Kafka


def test_a_postgresql_store_of_hostile_names_is_shown_as_the_file_is(postgres_url: str, tmp_path: Path) -> None:
    for scene in scene_at(postgres_url, tmp_path):
        for verb, line in SHOWN.items():
            words = [{"{snapshot}": scene.snapshot, "{vote}": f"0 {NAMES[0]}"}.get(word, word) for word in line]
            answer = checked(*words, "--store", scene.url)
            if verb in {"leaderboard", "alerts", "tokens"}:
                assert [name for name in NAMES if name not in answer.stdout] == []
        with TestClient(create_app(scene.store)) as client:
            for path in ("/", "/providers"):
                text = Page(client.get(path).text).text
                assert [name for name in NAMES if name not in text] == [], path


def test_headers_and_files_from_kafka_are_shown_as_escapes(kafka_url: str, tmp_path: Path) -> None:
    topic, store = f"hostile-{uuid.uuid4().hex[:8]}", str(tmp_path / "s.db")
    file = tmp_path / f"x{FILE}"
    file.write_text("".join(json.dumps(one) + "\n" for one in [*bad_records(), *votes(2 * len(NAMES))]))
    published = checked("publish", "--to", kafka_url, str(file), "--topic", topic, "--partitions", "1")
    assert published.returncode == 0, published.stderr
    producer = KafkaProducer(bootstrap_servers=kafka_url.removeprefix("kafka://"), acks="all")
    for header in (*(word.encode() for word in WORDS), b"\xff\xfe\x00", b"", b"\x00" * 600):
        producer.send(
            topic, value=b"no vote", key=header or None, headers=[("ce_origin", header), ("\x1b[31m", header)]
        )
    producer.flush()
    producer.close()
    settings = {"INTEGRITY_MAX_CONSECUTIVE_REJECTS": "100000", "INTEGRITY_MAX_REJECT_RATIO": "1"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        words = ("work", "--source", f"{kafka_url}/{topic}", "--store", store, "--until-end")
        worked = checked(*words)
    assert worked.returncode == 0, worked.stderr
    assert f"accepted {2 * len(NAMES)}" in worked.stderr
    listed = checked("rejects", "--store", store)
    assert f"{visible(file.name)}#0" in listed.stdout
    for word in WORDS:
        assert visible(word) in listed.stdout
