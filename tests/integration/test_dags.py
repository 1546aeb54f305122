"""DAGs on the real Airflow with a migrated metadata database: rules for every DAG, and a run on each store."""

from __future__ import annotations

import ast
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline import jobs
from tests.command import called

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

DAGS = Path(__file__).parents[2] / "dags"
SCRIPT = Path(__file__).with_name("dag_run.py")
MODELS = ("m1", "m2", "m3", "m4")
VOTES = 480


def output(command: list[str], environment: dict[str, str]) -> str:
    """What a command prints; all it says if it fails."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def airflow_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an Airflow that talks to nobody. To read DAGs it needs no database."""
    return os.environ | {
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__METRICS__STATSD_ON": "false",
    }


@pytest.fixture(scope="session")
def migrated_airflow(airflow_environment: dict[str, str]) -> dict[str, str]:
    """The same with a migrated database, SQLite, for runs."""
    output([sys.executable, "-m", "airflow", "db", "migrate"], airflow_environment)
    return airflow_environment


@pytest.fixture(scope="session")
def bag(airflow_environment: dict[str, str]) -> dict[str, Any]:
    return last_document(output([sys.executable, str(SCRIPT), "list", str(DAGS)], airflow_environment))


def last_document(text: str) -> dict[str, Any]:
    """Airflow logs to stdout; the script's answer is the last line."""
    document: dict[str, Any] = json.loads(text.splitlines()[-1])
    return document


Settings = dict[str, str]
Run = Callable[..., dict[str, Any]]
# Imported by the DAG files.
BOARDS = "integrity_boards"
DAG_FILES = sorted(path for path in DAGS.glob("*.py") if path.stem != BOARDS)


@pytest.fixture(scope="session")
def run_dag(migrated_airflow: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run of a DAG with these variables beside Airflow's: a process of its own, forked where Airflow is imported."""
    folder = tmp_path_factory.mktemp("runs")
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), "serve"],
        env=migrated_airflow, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        assert server.stdin is not None
        assert server.stdout is not None

        def run(name: str, settings: Settings, conf: dict[str, Any] | None = None) -> dict[str, Any]:
            log = folder / f"{uuid.uuid4().hex}.log"
            words = ["run", str(DAGS), name, json.dumps(conf or {})]
            asked = {"environment": settings, "words": words, "log": str(log)}
            server.stdin.write(json.dumps(asked) + "\n")
            server.stdin.flush()
            while (printed_text := server.stdout.readline()).strip() not in ("0", "1"):
                assert printed_text, "expected an answer, got the end of the server"
            text = log.read_text(encoding="utf-8")
            assert printed_text.strip() == "0", f"{name}\n{text[-6000:]}"
            return last_document(text)

        yield run
        server.stdin.close()


def vote(n: int) -> dict[str, Any]:
    """Every ordered pair in turn; the earlier model wins three times in five, one vote in five is a tie."""
    pairs = [(a, b) for a in MODELS for b in MODELS if a != b]
    a, b = pairs[n % len(pairs)]
    stronger = "model_a" if a < b else "model_b"
    weaker = "model_b" if a < b else "model_a"
    return {
        "schema": 1,
        "vote_id": f"v{n}",
        "voter_id": f"voter-{n % 60}",
        "cast_at": (datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=10 * n)).isoformat(),
        "model_a": a,
        "model_b": b,
        "winner": (stronger, stronger, weaker, stronger, "tie")[n // len(pairs) % 5],
    }


@pytest.fixture
def vote_file(tmp_path: Path) -> Path:
    path = tmp_path / "votes.jsonl"
    path.write_text("".join(json.dumps(vote(n)) + "\n" for n in range(VOTES)), encoding="utf-8")
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty store of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'board.db'}"
    else:
        yield request.getfixturevalue("postgres_url")


@pytest.fixture
def filled_store(store: str, vote_file: Path) -> tuple[str, Settings]:
    """A store with VOTES votes in it, and the variables by which a DAG finds it."""
    settings = {"INTEGRITY_STORE": store}
    if store.startswith("postgresql"):  # an embedded store makes its own key
        settings["INTEGRITY_VOTER_KEY"] = "5e" * 32
    report = integrity(settings, "work", "--source", str(vote_file), "--until-end")
    assert (report["accepted"], report["rejected"]) == (VOTES, 0)
    return store, settings


def integrity(settings: Settings, *words: str, code: int = 0) -> Any:
    done = called(*words, "--json", settings=settings)
    assert done.returncode == code, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return json.loads(done.stdout)


CLOSED_GATE = """
from contextlib import nullcontext
class QualityGate(Exception): ...
class Usage(Exception): ...
def use_board(given): return nullcontext("nowhere")
def seal(store): return 7
def check(store, log_size): raise QualityGate("vote_id: expect_column_values_to_be_unique")
"""


@pytest.fixture
def closed_gate(tmp_path: Path, migrated_airflow: dict[str, str]) -> dict[str, str]:
    """An environment in which `pipeline.jobs.dag_api` is a stand-in whose check always fails."""
    root = tmp_path / "stand_in"
    package = root / "pipeline" / "jobs"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    (package / "dag_api.py").write_text(CLOSED_GATE, encoding="utf-8")
    return migrated_airflow | {"PYTHONPATH": str(root)}


def leaderboard(settings: Settings) -> dict[str, Any]:
    document: dict[str, Any] = integrity(settings, "leaderboard", "--view", "raw")
    return document


def imports(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Every import of a file: the node and the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, each.name) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [f".{each.name}" for each in node.names] if node.module == "pipeline.jobs" else [""]
            yield from ((node, f"{node.module}{name}") for name in names)


@pytest.mark.long
def test_every_file_is_a_dag_and_imports_without_error(bag):
    assert bag["errors"] == {}
    assert sorted(bag["files"].values()) == [path.name for path in DAG_FILES]


def test_every_dag_has_tags_owner_docs_and_retries(bag):
    for name, about in bag["dags"].items():
        assert about["tags"], name
        assert "What a failure means" in about["doc"], name
        assert about["catchup"] is False, name
        assert about["max_active_runs"] == 1, name
        for task in about["tasks"].values():
            assert task["owner"] not in ("", "airflow"), name
            assert task["retries"] >= 1, name
            assert task["retry_delay"] > 0, name


def test_the_refresh_is_seal_check_rate_check_publish_and_emits_the_snapshot(bag):
    tasks = bag["dags"]["refresh_ratings"]["tasks"]
    assert {name: task["downstream"] for name, task in tasks.items()} == {
        "seal": ["check", "rate"],
        "check": ["rate"],
        "rate": ["check_snapshot", "publish"],
        "check_snapshot": ["publish"],
        "publish": ["announce"],
        "announce": [],
    }
    assert tasks["announce"]["outlets"] == ["integrity_snapshot integrity://snapshots/latest"]


def test_parsing_is_quick_and_loads_nothing_of_ours(bag):
    assert bag["heavy"] == []
    assert bag["seconds"] < 5  # a file is parsed every 30 s; measured 0.1 to 0.3 s


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.stem)
def test_a_dag_imports_airflows_sdk_and_inside_its_tasks_jobs(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {node for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for node in ast.walk(f)}
    ours = [(node, name) for node, name in imports(tree) if name.split(".")[0] == "pipeline"]
    others = {name.split(".")[0] for _, name in imports(tree)} - {"pipeline"}
    assert {name for _, name in ours} == {"pipeline.jobs.dag_api"}
    assert all(node in inside for node, _ in ours)
    assert others <= {"__future__", "airflow", "datetime", BOARDS}
    assert all(name.startswith("airflow.sdk") for _, name in imports(tree) if name.startswith("airflow"))


@pytest.mark.long
def test_a_refresh_publishes_every_vote_and_a_second_one_publishes_nothing_new(filled_store, run_dag):
    _, settings = filled_store
    first = run_dag("refresh_ratings", settings)
    assert first["state"] == "success", first
    assert set(first["tasks"].values()) == {"success"}
    assert first["returned"]["seal"] == VOTES

    board = leaderboard(settings)
    assert board["snapshot"] == first["returned"]["publish"]["snapshot"]
    assert [row["model"] for row in board["rows"]] == list(MODELS)
    assert sum(row["votes"] for row in board["rows"]) == 2 * VOTES  # a battle counts for both its models

    second = run_dag("refresh_ratings", settings)
    assert second["state"] == "success", second
    published = {key: first["returned"]["publish"][key] for key in ("snapshot", "sequence", "log_size")}
    assert first["events"] == [{"asset": "integrity_snapshot", "extra": {"board": "", **published}}]
    assert (second["events"], second["tasks"]["announce"]) == ([], "skipped")
    # What `announce` goes by is kept with the task before it, so a person who clears it alone announces again.
    assert [one["returned"]["publish"]["new"] for one in (first, second)] == [True, False]
    for key in ("snapshot", "sequence"):
        assert second["returned"]["publish"][key] == first["returned"]["publish"][key]
    assert leaderboard(settings) == board


@pytest.mark.long
def test_a_sweep_reads_every_sealed_vote_and_a_second_one_reports_nothing_new(filled_store, run_dag):
    _, settings = filled_store
    first = run_dag("sweep_integrity", settings)
    assert first["state"] == "success", first
    assert set(first["tasks"].values()) == {"success"}
    reported = first["returned"]["sweep"]
    assert (reported["log_size"], reported["votes"]) == (VOTES, VOTES)
    assert reported["policy"]["no_retraction"] is True
    assert reported["policy"]["fair_sampling"] is None  # no policy is declared

    # The sixty voters of this file meet the same prompts and pairs in turn: whatever is found is found again.
    alerts = integrity(settings, "alerts")
    assert len(alerts) == reported["alerts"]["told"]
    assert run_dag("sweep_integrity", settings)["returned"]["sweep"] == reported
    assert [a["id"] for a in integrity(settings, "alerts")] == [a["id"] for a in alerts]


@pytest.mark.long
def test_the_nightly_evaluation_covers_every_vote_and_a_second_one_opens_nothing(filled_store, run_dag):
    _, settings = filled_store
    first = run_dag("reevaluate", settings)
    assert first["state"] == "success", first
    reported = first["returned"]["reevaluate"]
    assert (reported["votes"], reported["unchecked"]) == (VOTES, 0)
    alerts = integrity(settings, "alerts")
    assert run_dag("reevaluate", settings)["returned"]["reevaluate"] == reported
    assert integrity(settings, "alerts") == alerts


@pytest.mark.long
def test_the_audit_of_the_ledger_names_the_leaf_of_a_row_that_was_changed(filled_store, run_dag, monkeypatch):
    store, settings = filled_store
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    jobs.publish(store, jobs.rate(store, jobs.seal(store)))
    first = run_dag("audit_ledger", settings)
    assert first["state"] == "success", first
    assert first["returned"]["audit"]["votes"] == f"{VOTES} leaves in 1 segments, 1 snapshots"
    engine = sa.create_engine(store.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:  # as whoever owns the tables
        connection.execute(sa.text("UPDATE vote SET outcome = 3 WHERE vote_id = 'v77'"))
    engine.dispose()
    second = run_dag("audit_ledger", settings)
    assert (second["state"], second["tasks"], second["tries"]) == ("failed", {"audit": "failed"}, {"audit": 1})
    reported = {
        (one["detector"], one["severity"], one["evidence"].get("where")) for one in integrity(settings, "alerts")
    }
    assert ("audit_ledger", "critical", "leaf 77") in reported


def test_the_sweep_is_seal_then_sweep(bag):
    tasks = bag["dags"]["sweep_integrity"]["tasks"]
    assert {name: task["downstream"] for name, task in tasks.items()} == {"seal": ["sweep"], "sweep": []}


@pytest.mark.long
def test_a_closed_gate_ends_the_run_at_once_and_nothing_is_rated(closed_gate):
    command = [sys.executable, str(SCRIPT), "run", str(DAGS), "refresh_ratings"]  # with its own `pipeline`
    run = last_document(output(command, closed_gate))
    assert run["state"] == "failed"
    assert run["tasks"] == {
        "seal": "success",
        "check": "failed",
        "rate": "upstream_failed",
        "check_snapshot": "upstream_failed",
        "publish": "upstream_failed",
        "announce": "upstream_failed",
    }
    assert run["tries"]["check"] == 1


@pytest.mark.long
def test_a_board_without_votes_skips_the_run_and_leaves_no_verdict(tmp_path, run_dag):
    settings = {"INTEGRITY_STORE": f"sqlite:///{tmp_path / 'board.db'}"}
    integrity(settings, "migrate")
    run = run_dag("refresh_ratings", settings)
    assert run["state"] == "success"
    assert set(run["tasks"].values()) == {"skipped"}
    assert "expected votes in the log, got none yet" in integrity(settings, "refresh", code=2)["message"]
    with closing(sqlite3.connect(tmp_path / "board.db")) as connection:
        assert connection.execute("SELECT count(*) FROM verdict").fetchone() == (0,)


TWO_BOARDS = """
[[boards]]
name = "text"
connection = "board_text"
refresh_ratings = "*/20 * * * *"
sweep_integrity = ""

[[boards]]
name = "vision"
connection = "board_vision"
settings = { hold_places = 3, board = "vision" }
"""
FAULTS = {
    "[[boards]\n": ".toml: expected TOML, got: ",
    "": "expected a table [[boards]] for each board, got nothing",
    "boards = 3": "expected a table [[boards]] for each board, got 3",
    "board = 1\n" + TWO_BOARDS: "expected tables [[boards]] alone, got also 'board'",
    TWO_BOARDS.replace('"vision"\nc', '"text"\nc'): "name: expected a name of its own, got that of board 1",
    TWO_BOARDS.replace('"text"\n', '"Text!"\n'): "board 1 (Text!), name: expected 1 to 40 small letters",
    TWO_BOARDS.replace('name = "vision"', ""): "board 2, name: expected a text, got nothing",
    TWO_BOARDS.replace("connection = ", "conection = ", 1): "board 1 (text), conection: expected one of name",
    TWO_BOARDS.replace('"board_vision"', "7"): "board 2 (vision), connection: expected a text, got 7",
    TWO_BOARDS.replace('"board_vision"', '"postgres://a:b@c/d"'): "connection: expected the id of an Airflow",
    TWO_BOARDS.replace("*/20 * * * *", "hourly"): "board 1 (text), refresh_ratings: expected five fields of cron",
    TWO_BOARDS.replace("*/20", "99"): "board 1 (text), refresh_ratings: expected five fields of cron",
    TWO_BOARDS.replace("hold_places = 3", 'voter_key = "5e"'): "(vision), settings.voter_key: expected no keys",
    TWO_BOARDS.replace("hold_places = 3", "hold_places = [3]"): "(vision), settings.hold_places: expected a text",
    TWO_BOARDS: "2 boards",
}


@pytest.fixture(scope="module")
def copied_dags(airflow_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow finds in a copy of the folder, as on a managed Airflow; and what files of boards with faults say."""
    folder = tmp_path_factory.mktemp("managed") / "dags"
    shutil.copytree(DAGS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "boards.toml").write_text(TWO_BOARDS, encoding="utf-8")
    files = [folder.with_name(f"{number}.toml") for number in range(len(FAULTS))]
    for file, text in zip(files, FAULTS, strict=True):
        file.write_text(text, encoding="utf-8")
    missing = folder.with_name("nowhere.toml")
    environment = airflow_environment | {"AIRFLOW__CORE__DAGS_FOLDER": str(folder)}
    command = [sys.executable, str(SCRIPT), "list", str(folder), *map(str, [*files, missing])]
    return last_document(output(command, environment))


@pytest.mark.long
def test_a_fault_in_the_file_of_boards_is_named_with_its_place(copied_dags):
    *told, missing = copied_dags["boards"].items()
    for (file, found), (text, expected) in zip(told, FAULTS.items(), strict=True):
        assert expected in found, text
        assert found == "2 boards" or found.startswith(f"BoardsError: {file}"), text
    assert missing[1].startswith(f"BoardsError: {missing[0]}: expected a file of boards that can be read")


@pytest.mark.long
def test_a_file_of_boards_makes_each_dag_for_each_board_also_without_the_repository(copied_dags):
    bag = copied_dags
    assert (bag["errors"], bag["heavy"]) == ({}, [])
    assert sorted(bag["dags"]) == sorted(f"{path.stem}__{board}" for path in DAG_FILES for board in ("text", "vision"))
    dags = bag["dags"]
    assert dags["refresh_ratings__text"]["schedule"] == "*/20 * * * *"
    assert dags["refresh_ratings__vision"]["schedule"] == "0 * * * *"
    assert dags["sweep_integrity__text"]["schedule"] is None
    assert "board:vision" in dags["audit_ledger__vision"]["tags"]
    assert all(about["params"] == {"settings": "object"} for about in dags.values())
    announced = [dags[f"refresh_ratings__{name}"]["tasks"]["announce"]["outlets"] for name in ("text", "vision")]
    assert announced == [
        [f"integrity_snapshot_{name} integrity://snapshots/{name}/latest"] for name in ("text", "vision")
    ]


@pytest.mark.long
def test_each_board_is_published_in_the_store_of_its_connection_with_its_keys(
    vote_file, tmp_path, run_dag, postgres_url
):
    """One in PostgreSQL with a key in the Connection, one in SQLite with key files; the process has another key."""
    file = tmp_path / "boards.toml"
    file.write_text(TWO_BOARDS, encoding="utf-8")
    host, port = postgres_url.split("@")[1].split("/")[0].split(":")
    extra = {"voter_key": "5e" * 32, "ledger_key": "7a" * 32, "ledger": str(tmp_path / "ledger")}
    text = {"conn_type": "postgres", "host": host, "port": int(port), "login": "postgres"}
    text |= {"schema": postgres_url.rpartition("/")[2], "extra": extra}
    settings = {
        "AIRFLOW__INTEGRITY__BOARDS": str(file),
        "AIRFLOW_CONN_BOARD_TEXT": json.dumps(text),
        "AIRFLOW_CONN_BOARD_VISION": json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "vision.db")}),
        "INTEGRITY_STORE": f"sqlite:///{tmp_path / 'never.db'}",
        "INTEGRITY_VOTER_KEY": "11" * 32,
    }
    stores = {
        "text": {"INTEGRITY_STORE": postgres_url.replace("+psycopg", ""), "INTEGRITY_VOTER_KEY": "5e" * 32},
        "vision": {"INTEGRITY_STORE": f"sqlite:///{tmp_path / 'vision.db'}"},
    }
    refused = run_dag("refresh_ratings__text", settings, {"settings": {"hold_placs": 3}})
    assert (refused["state"], refused["tasks"]["seal"], refused["tries"]["seal"]) == ("failed", "failed", 1)
    for store in stores.values():
        integrity(store, "work", "--source", str(vote_file), "--until-end")
    run = run_dag("refresh_ratings__text", settings, {"settings": {"appeals": "text@board.example"}})
    assert run["state"] == "success", run
    (event,) = run["events"]
    assert (event["asset"], event["extra"]["board"]) == ("integrity_snapshot_text", "text")
    board = leaderboard(stores["text"])
    assert board["snapshot"] == event["extra"]["snapshot"] == run["returned"]["publish"]["snapshot"]
    evaluated = run_dag("reevaluate__vision", settings, {"settings": {"nightly_weeks": 2}})
    assert evaluated["returned"]["reevaluate"]["votes"] == VOTES
    assert not (tmp_path / "never.db").exists()
    assert (tmp_path / "ledger").is_dir()
