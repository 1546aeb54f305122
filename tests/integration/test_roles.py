"""deploy/postgres: every verb does its work as its role, and no role does another's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from fastapi.testclient import TestClient

from pipeline.api.app import create_app
from pipeline.lab.simulate import HonestSpec, simulate_stream
from pipeline.lab.simulate.pair_rates import real_pair_rates
from pipeline.lab.simulate.targeted_attacks import TargetOnly
from pipeline.open_store import open_store
from tests.command import called

DEPLOY = Path(__file__).parents[2] / "deploy" / "postgres"
ROLES = ("migrate", "ingest", "rate", "publish", "read")


class Board:
    """A database with roles; verbs and statements as one of them."""

    def __init__(self, url: str) -> None:
        self.url = url

    def of(self, role: str) -> str:
        return self.url.replace("//postgres@", f"//integrity_{role}@")

    def run(self, role: str, *words: str) -> subprocess.CompletedProcess[str]:
        settings = {"INTEGRITY_STORE": self.of(role), "INTEGRITY_VOTER_KEY": "5e" * 32}
        return called(*words, "--json", settings=settings)

    def result(self, role: str, *words: str) -> dict[str, object]:
        done = self.run(role, *words)
        assert done.returncode == 0, f"{role}: {words}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        document: dict[str, object] = json.loads(done.stdout)
        return document

    def sql(self, role: str, statement: str) -> None:
        url = (self.of(role) if role != "postgres" else self.url).replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement.encode())


@pytest.fixture
def board(postgres_url: str) -> Iterator[Board]:
    """A store made by the migrating role, with the grants."""
    board = Board(postgres_url)
    board.sql("postgres", (DEPLOY / "roles.sql").read_text())
    for _ in range(2):  # a second time it changes nothing
        board.result("migrate", "migrate")
    for _ in range(2):
        board.sql("migrate", (DEPLOY / "grants.sql").read_text())
    yield board
    # Roles belong to the whole server: other tests' databases must not keep ours from being dropped.
    for role in ROLES:
        board.sql("postgres", f"DROP OWNED BY integrity_{role} CASCADE")
    for role in ROLES:
        board.sql("postgres", f"DROP ROLE integrity_{role}")


@pytest.fixture
def votes(tmp_path: Path) -> list[Path]:
    """Honest votes, then votes with a promoter of one model among them."""
    spec = HonestSpec(votes=12_000, seed=7, days=20.0, models=12)
    attack = TargetOnly(
        target=real_pair_rates(12).models[5], voters=3, votes_each=(150, 200), sampling=0.3, from_day=10.0
    )
    stream = simulate_stream(spec, (attack,))
    half = len(stream) // 2
    files = []
    for name, rows in (("before", slice(None, half)), ("after", slice(half, None))):
        part = stream.take(range(len(stream))[rows])  # type: ignore[arg-type]
        part.write_jsonl(tmp_path / f"{name}.jsonl")
        files.append(tmp_path / f"{name}.jsonl")
    return files


@pytest.mark.long
def test_every_verb_does_its_work_as_its_role(board, votes):
    board.result("ingest", "work", "--source", str(votes[0]))
    board.result("publish", "refresh")
    assert board.result("ingest", "work", "--source", str(votes[1]))["alerts"]
    assert board.result("ingest", "monitor", "--close")["windows_closed"]
    assert board.result("publish", "refresh")["votes_excluded"]
    swept = board.run("rate", "sweep")
    assert swept.returncode in (0, 1), swept.stderr[-3000:]  # 1: it found something
    vote = json.loads(votes[0].read_text().splitlines()[0])["vote_id"]
    board.result("rate", "retract", vote, "--reason", "cast by a test", "--name", "a person")
    assert board.result("publish", "refresh")["sequence"] == 3
    assert board.result("publish", "audit")["passed"]
    assert board.result("migrate", "erase", vote) == {"erased": 1}
    for verb in ("leaderboard", "alerts", "verify", "doctor", "rejects"):
        done = board.run("read", verb)
        assert done.returncode == 0, f"{verb}: {done.stderr[-3000:]}"


@pytest.mark.long
def test_no_role_does_anothers_work(board, votes):
    board.result("ingest", "work", "--source", str(votes[0]))
    for role in ("ingest", "read"):
        assert "permission denied" in board.run(role, "refresh").stderr
    for role in ("read", "rate"):
        assert "permission denied" in board.run(role, "work", "--source", str(votes[1])).stderr
    assert "permission denied" in board.run("rate", "refresh").stderr  # up to the publication


FORBIDDEN = (
    "UPDATE vote SET outcome = 0",
    "DELETE FROM vote",
    "TRUNCATE vote",
    'UPDATE vote_key SET "offset" = 0',
    "DELETE FROM segment",
    "UPDATE segment SET root = ''",
    "UPDATE blind SET blinds = ''",
    "UPDATE manifest SET body = ''",
    "DELETE FROM manifest",
    "DELETE FROM retraction",
    "DELETE FROM exclusion",
    "UPDATE snapshot SET body = ''",
    "UPDATE snapshot_row SET rating = 0",
    "DELETE FROM alert_event",
    "CREATE TABLE more ()",
    "DROP TABLE vote",
)


def test_nobody_changes_what_is_stored(board):
    for role in ("ingest", "rate", "publish", "read"):
        for statement in FORBIDDEN:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                board.sql(role, statement)


def test_ingest_reads_of_a_vote_what_folding_states_and_telling_repeats_takes_and_nothing_of_the_log(board):
    board.sql("ingest", 'SELECT partition_no, "offset", vote_id, voter, cast_at, model_a, outcome, fate FROM vote')
    board.sql("ingest", "SELECT language, category, network, prompt, voter_since, style FROM vote")
    for query in ("* FROM segment", "* FROM snapshot_row", "* FROM exclusion"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            board.sql("ingest", f"SELECT {query}")


def test_the_page_of_the_reading_role_decides_nothing(board: Board) -> None:
    made = board.result(
        "rate", "tokens", "add", "ada", "--scope", "exclusions", "--reason", "a test", "--name", "a tester"
    )
    body = {"action": "exclude", "kind": "vote", "target": "v1", "reason": "a test"}
    statuses = {}
    for role in ("read", "rate"):
        opened = closing(open_store(board.of(role), voter_key=bytes.fromhex("5e" * 32), create=False))
        with opened as store, TestClient(create_app(store)) as client:
            assert client.get("/alerts").status_code == 200
            headers = {"Authorization": f"Bearer {made['token']}"}
            answer = client.post("/api/v1/exclusions", json=body, headers=headers)
            statuses[role] = (answer.status_code, answer.headers["content-type"])
    assert statuses == {"read": (403, "application/problem+json"), "rate": (200, "application/json")}
