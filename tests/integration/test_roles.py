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
from pipeline.events.pseudonym import format_pseudonym
from pipeline.lab.simulate import HonestSpec, simulate_stream
from pipeline.lab.simulate.pair_rates import real_pair_rates
from pipeline.lab.simulate.targeted_attacks import TargetOnly
from pipeline.open_store import open_store
from pipeline.store.alerting import incident_grouping
from pipeline.store.db import schema
from tests.command import called
from tests.integration import readable

DEPLOY = Path(__file__).parents[2] / "deploy" / "postgres"
ROLES = ("migrate", "ingest", "rate", "publish", "read")


class Board:
    """A database with roles; verbs and statements as one of them."""

    def __init__(self, url: str) -> None:
        self.url = url

    def of(self, role: str) -> str:
        return self.url.replace("//postgres@", f"//integrity_{role}@")

    def run(self, role: str, *words: str) -> subprocess.CompletedProcess[str]:
        settings = {"INTEGRITY_STORE": self.of(role), "INTEGRITY_VOTER_KEY": "5c" * 32}
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
        assert board.result("migrate", "migrate", "--grant-roles")["roles_granted"] is True
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
    refreshed = board.result("publish", "refresh")
    assert refreshed["votes_excluded"]
    to = str(votes[0].parent / "export.jsonl.gz")
    exported = board.result("rate", "export", "--out", to, "--snapshot", "latest")
    assert exported["votes"] == refreshed["votes_counted"]
    swept = board.run("rate", "sweep")
    assert swept.returncode in (0, 1), swept.stderr[-3000:]  # 1: it found something
    vote = json.loads(votes[0].read_text().splitlines()[0])["vote_id"]
    board.result("rate", "retract", vote, "--reason", "cast by a test", "--name", "a person")
    assert board.result("publish", "refresh")["sequence"] == 3
    assert board.result("publish", "audit")["passed"]
    assert board.result("migrate", "erase", vote) == {"erased": 1}
    moved = board.result("migrate", "archive", "--older-than", "0")
    assert moved["votes"] == moved["archived"]
    # The monitor, the refresh and an erasure reach archived votes.
    again = votes[0].parent / "again.jsonl"
    again.write_text(votes[0].read_text().splitlines()[1] + "\n")
    assert board.result("ingest", "work", "--source", str(again))["duplicate"] == 1
    board.result("rate", "verify")
    assert board.result("migrate", "erase", json.loads(again.read_text())["vote_id"]) == {"erased": 1}
    # Moves need the votes of excluded voters, whom this role may not read: a refresh has stored them.
    opened = closing(open_store(board.of("read"), create=False, with_key=False))
    with opened as store, TestClient(create_app(store)) as client:
        ids = [row["snapshot"] for row in client.get("/api/v1/snapshots").json()["rows"]]
        assert len(client.get(f"/api/v1/diff/{ids[1]}..{ids[0]}").json()["rows"]) == 12
        assert client.get("/changes").status_code == 200
    for role, verb in (
        *(("read", verb) for verb in ("leaderboard", "alerts", "doctor", "rejects")), ("rate", "verify")
    ):  # fmt: skip
        done = board.run(role, verb)
        assert done.returncode == 0, f"{verb}: {done.stderr[-3000:]}"
    assert "permission denied" in board.run("read", "verify").stderr  # it reads the blinds of all votes


@pytest.mark.long
def test_no_role_does_anothers_work(board, votes):
    board.result("ingest", "work", "--source", str(votes[0]))
    for role in ("ingest", "read"):
        assert "permission denied" in board.run(role, "refresh").stderr
    for role in ("read", "rate"):
        assert "permission denied" in board.run(role, "work", "--source", str(votes[1])).stderr
    assert "permission denied" in board.run("rate", "refresh").stderr  # up to the publication
    for role in ("ingest", "read"):
        refused = board.run(role, "export", "--out", str(votes[0].parent / "export.csv"))
        assert refused.returncode in (2, 3)
        assert not (votes[0].parent / "export.csv").exists()
    assert "expected a database role that may read votes" in board.run("read", "export", "--out", "x.csv").stderr


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


OWNER, RATE, PUBLISH = {"migrate"}, {"migrate", "rate", "publish"}, {"migrate", "publish"}
EVERY = {f"{role}" for role in ROLES}
LOG_ROW = "at, operator, via, origin, action, target, reason) VALUES (1, 'a', 'cli', 'b', 'c', 'd', 'e'"
FORGED_ROW = LOG_ROW.replace("VALUES (", "VALUES ('postgres', ")
# Every action: a statement that is it, and the roles that may. Each is tried as each role, in a transaction that is
# rolled back.
ACTIONS: dict[str, tuple[str, set[str]]] = {
    "read outcomes": ("SELECT partition_no, vote_id, outcome FROM vote", EVERY),
    "read votes whole": ("SELECT * FROM vote", EVERY - {"read"}),
    "read states of voters": ("SELECT voter, state FROM voter_state", EVERY - {"read"}),
    "read voters of alerts": ("SELECT subject FROM public.alert", EVERY - {"read"}),
    "read voters of exclusions": ("SELECT target FROM public.exclusion", EVERY - {"read", "ingest"}),
    "read blinds": ("SELECT blinds FROM blind", RATE),
    "read the keys of archived votes": ("SELECT data_key FROM cold_file", RATE | {"ingest"}),
    "archive votes": ("DELETE FROM vote_key", OWNER),
    "say that votes are archived": ("INSERT INTO cold_ids (ids, bytes, sha256) VALUES (0, 0, '')", OWNER),
    "read the copy of the newest votes": ("SELECT votes FROM kept_votes", RATE),
    "store the copy of the newest votes": (
        "INSERT INTO kept_votes (name, erasures, votes) VALUES ('newest', 0, '') "
        "ON CONFLICT (name) DO UPDATE SET votes = '' WHERE kept_votes.erasures = 0",
        RATE,
    ),
    "delete the copy of the newest votes": ("DELETE FROM kept_votes", OWNER),
    "read hashes of tokens": ("SELECT sha256 FROM token", RATE),
    "read samples of rejects": ("SELECT sample FROM reject", RATE),
    "read the outbox": ("SELECT value FROM outbox", EVERY - {"read"}),
    "read the operators' log": ("SELECT operator, target FROM operator_log", RATE),
    "append to the operators' log": (f"INSERT INTO operator_log ({LOG_ROW})", RATE | {"read"}),
    "choose the role in the log": (f"INSERT INTO operator_log (database_role, {FORGED_ROW})", OWNER),
    "change the operators' log": ("UPDATE operator_log SET reason = ''", set()),
    "delete from the operators' log": ("DELETE FROM operator_log", set()),
    "empty the operators' log": ("TRUNCATE operator_log", set()),
    "change a notice": ("UPDATE notice SET text = ''", set()),
    "add a notice": ("INSERT INTO notice (sequence, snapshot_id, text, name, at) VALUES (1, 's', 't', 'n', 1)", RATE),
    "change an alert's state": ("UPDATE public.alert SET state = 'resolved'", RATE | {"ingest"}),
    "exclude": (
        "INSERT INTO public.exclusion (action, kind, target, reason, name, at) "
        "VALUES ('exclude', 'vote', 'v', 'r', 'n', 1)",
        RATE,
    ),
    "revoke a token": ("UPDATE token SET revoked_at = 1", RATE),
    "widen a token": ("UPDATE token SET scopes = 'alerts'", OWNER),
    "publish": ("UPDATE snapshot SET sequence = 9", PUBLISH),
    "sign": (
        "INSERT INTO manifest (sequence, snapshot_id, sha256, leaf, body, checkpoint, votes_checkpoint) "
        "VALUES (9, 's', 'h', '', '', '', '')",
        PUBLISH,
    ),
    "release a held candidate": ("UPDATE publication_hold SET released_at = 1", PUBLISH),
    "erase": ("UPDATE vote SET voter = 0", OWNER),
    "lock votes": ("LOCK TABLE vote IN ACCESS EXCLUSIVE MODE", OWNER),
    "lock snapshots, however weakly": ("LOCK TABLE snapshot IN ACCESS SHARE MODE", EVERY - {"read"}),
    "lock what opens a store": ("LOCK TABLE meta IN EXCLUSIVE MODE", PUBLISH),
    "take the lock of publications": ("SELECT pg_advisory_xact_lock(23209)", RATE),
    "keep a lock beyond the transaction": ("SELECT pg_advisory_lock(23209)", set()),
    "make a large object": ("SELECT lo_create(0)", set()),
    "fill a large object": ("SELECT lo_from_bytea(0, 'x')", set()),
    "make a temporary table": ("CREATE TEMP TABLE own ()", set()),
    "make a table": ("CREATE TABLE own ()", OWNER),
    "make a schema": ("CREATE SCHEMA own", set()),
    "make a function": ("CREATE FUNCTION own() RETURNS int LANGUAGE sql AS 'SELECT 1'", OWNER),
    "run a block of code": ("DO $$ BEGIN LOOP EXIT; END LOOP; END $$", OWNER),
    "read a file of the server": ("SELECT pg_read_file('PG_VERSION')", set()),
    "run a program": ("COPY (SELECT 1) TO PROGRAM 'true'", set()),
    "become the owner": ("SET ROLE integrity_migrate", OWNER),
    "make a role": ("CREATE ROLE more", set()),
    "switch the triggers off": ("ALTER TABLE operator_log DISABLE TRIGGER ALL", OWNER),
}


@pytest.mark.parametrize("role", ROLES)
def test_every_role_tries_every_action(board: Board, role: str) -> None:
    board.sql("migrate", f"INSERT INTO operator_log ({LOG_ROW})")
    may = set()
    with psycopg.connect(board.of(role).replace("+psycopg", "")) as connection:
        for action, (statement, _) in ACTIONS.items():
            try:
                connection.execute(statement.encode())
                may.add(action)
            except psycopg.errors.InsufficientPrivilege:
                pass
            connection.rollback()
    assert may == {action for action, (_, roles) in ACTIONS.items() if role in roles}


# Columns that the reading role does not see, by table; None for all.
HIDDEN: dict[str, set[str] | None] = {
    "alert": None,  # in the view reading.alert
    "blind": None,
    "cold_file": {"data_key"},
    "detector_state": None,
    "issued_window": None,
    "incident": None,  # in the view reading.incident
    "incident_event": {"alerts"},
    "exclusion": None,  # in the view reading.exclusion
    "kept_votes": None,
    "lease": None,
    "operator_log": {
        "entry_no", "operator", "via", "origin", "target", "reason", "before", "after", "database_role"
    },
    "outbox": None,
    "prompt_count": None,
    "registry_reject": {"sha256", "sample"},
    "reject": {"sha256", "sample"},
    "token": None,
    "vote": {"voter", "session"},
    "voter_state": None,
    "window": {"counts", "voters"},
}  # fmt: skip


def test_the_reading_role_reads_columns_and_no_table(board: Board) -> None:
    """A new column is either granted or hidden here."""
    with psycopg.connect(board.url.replace("+psycopg", "")) as connection:
        readable = {
            (row[0], row[1])
            for row in connection.execute(
                "SELECT relname, attname FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid AND attnum > 0 "
                "WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' "
                "AND has_column_privilege('integrity_read', c.oid, attnum, 'SELECT')"
            )
        }
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND "
            "(has_table_privilege('integrity_read', oid, 'SELECT') OR "
            " has_table_privilege('integrity_read', oid, 'INSERT, UPDATE, DELETE, TRUNCATE, MAINTAIN, TRIGGER'))"
        ).fetchall()
    shown = {
        (table.name, column.name)
        for table in schema.metadata.tables.values()
        for column in table.columns
        if (hidden := HIDDEN.get(table.name, set())) is not None and column.name not in hidden
    }
    assert tables == []
    assert readable == shown | {("alembic_version", "version_num")}


def test_ingest_reads_of_a_vote_what_folding_states_and_telling_repeats_takes_and_nothing_of_the_log(board):
    board.sql("ingest", 'SELECT partition_no, "offset", vote_id, voter, cast_at, model_a, outcome, fate FROM vote')
    board.sql("ingest", "SELECT language, category, network, prompt, voter_since, style FROM vote")
    board.sql("ingest", "SELECT flags, turn, session, categories FROM vote")
    for query in ("* FROM segment", "* FROM snapshot_row", "* FROM exclusion"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            board.sql("ingest", f"SELECT {query}")


@pytest.mark.long
def test_the_reading_role_serves_every_page_without_voters_and_without_the_key(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = bytes.fromhex("5c" * 32)
    monkeypatch.setenv("INTEGRITY_VOTER_KEY", "5c" * 32)
    made = readable.made(board.of("migrate"), tmp_path)
    pseudonym = format_pseudonym(made.pseudonym(readable.BAD_VOTER))
    with made.write() as connection:
        incident_grouping.regroup(connection)
    made.close()
    board.sql("migrate", (DEPLOY / "grants.sql").read_text())
    monkeypatch.delenv("INTEGRITY_VOTER_KEY")
    shown: dict[str, dict[str, str]] = {}
    for role, options in (("rate", {"voter_key": key}), ("read", {"with_key": False})):
        opened = closing(open_store(board.of(role), create=False, **options))  # type: ignore[arg-type]
        with opened as store, TestClient(create_app(store)) as client:
            shown[role] = {}
            for address in addresses(client):
                answer = client.get(address)
                assert answer.status_code == 200, f"{role}: {address}: {answer.text[:300]}"
                shown[role][address] = answer.text
                assert pseudonym not in answer.text, f"{role}: {address}"
    differ = {address for address, text in shown["read"].items() if text != shown["rate"][address]}
    # Numbers of voters are not counted by a role that may not read them; the status names the moment.
    assert {address for address in differ if "/alerts/" not in address and "status" not in address} == set()
    # Battles that no refresh has stored are counted without the voters.
    board.sql("postgres", "DELETE FROM prepared WHERE kind = 'battles'")
    with (
        closing(open_store(board.of("read"), create=False, with_key=False)) as store,
        TestClient(create_app(store)) as client,
    ):
        compared = "/api/v1/compare?a=alpha&b=zeta"
        assert client.get(compared).text == shown["read"][compared]


def addresses(client: TestClient) -> list[str]:
    """Every page and every route that is read without a token, with ids that exist."""
    rows = client.get("/api/v1/snapshots").json()["rows"]
    newest, older = rows[0]["snapshot"], rows[1]["snapshot"]
    alerts = [row["id"] for row in client.get("/api/v1/alerts").json()["rows"]]
    incidents = [f"incidents/{row['id']}" for row in client.get("/api/v1/incidents").json()["rows"]]
    assert alerts
    assert incidents
    api = [
        f"snapshots/{newest}", f"snapshots/{newest}/leaderboard", f"snapshots/{newest}/standings",
        f"snapshots/{newest}/notices", f"snapshots/{newest}/manifest", f"snapshots/{newest}/proof", "snapshots",
        "notices",
        f"diff/{older}..{newest}", "alerts", "exclusions", "status", "keys", "checkpoint", "receipt?vote=v0-1",
        "model?model=alpha", "provider?provider=Beta", "history?model=alpha", "latest", "incidents", *incidents,
        "compare?a=alpha&b=zeta", f"snapshots/{newest}/citation", f"snapshots/{newest}/citation.bib",
        "variants",
        *(f"alerts/{one}" for one in alerts),
    ]  # fmt: skip
    pages = [
        "", f"snapshots/{newest}", f"snapshots/{newest}/board", "snapshots", f"diff/{older}..{newest}", "changes",
        "alerts", "exclusions", "incidents", *incidents, "providers", "provider?provider=Beta",
        "model?model=alpha", "verify", "api", "compare", "compare?a=alpha&b=zeta", "method", "glossary", "share",
        "variants", f"snapshots/{newest}/variants",
        "embed/board", "badges/board.svg", "badges/model.svg?model=zeta",
        "feeds/snapshots.atom", "feeds/moves.atom", "feeds/incidents.atom",
        *(f"alerts/{one}" for one in alerts),
    ]  # fmt: skip
    return [*(f"/api/v1/{one}" for one in api), *(f"/{one}" for one in pages)]


def test_the_page_of_the_reading_role_decides_nothing(board: Board, tmp_path: Path) -> None:
    vote = {"schema": 1, "vote_id": "v1", "model_a": "a", "model_b": "b", "winner": "tie",
            "cast_at": "2026-03-01T00:00:00Z"}  # fmt: skip
    (tmp_path / "vote.jsonl").write_text(json.dumps(vote) + "\n")
    board.result("ingest", "work", "--source", str(tmp_path / "vote.jsonl"))
    made = board.result(
        "rate", "tokens", "add", "ada", "--scope", "exclusions", "--reason", "a test", "--name", "a tester"
    )
    body = {"action": "exclude", "kind": "vote", "target": "v1", "reason": "a test"}
    statuses, entered = {}, {}
    for role in ("read", "rate"):
        opened = closing(open_store(board.of(role), voter_key=bytes.fromhex("5c" * 32), create=False))
        with opened as store, TestClient(create_app(store)) as client:
            assert client.get("/alerts").status_code == 200
            headers = {"Authorization": f"Bearer {made['token']}"}
            answer = client.post("/api/v1/exclusions", json=body, headers=headers)
            statuses[role] = (answer.status_code, answer.headers["content-type"])
            form = client.get("/sign-in").text
            fields = {"csrf": form.split('name="csrf" value="')[1][:64], "token": str(made["token"])}
            entered[role] = client.post("/sign-in", data=fields, follow_redirects=False).status_code
    assert entered == {"read": 403, "rate": 303}
    assert statuses == {"read": (403, "application/problem+json"), "rate": (200, "application/json")}


def test_rights_need_the_roles_and_a_database_that_has_roles(postgres_url, tmp_path):
    board = Board(postgres_url)
    refused = called("migrate", "--grant-roles", "--store", board.url, settings={"INTEGRITY_VOTER_KEY": "5c" * 32})
    assert refused.returncode == 3
    assert "deploy/postgres/roles.sql" in refused.stderr
    assert "does not exist" in refused.stderr
    file = called("migrate", "--grant-roles", "--store", str(tmp_path / "board.db"), settings={})
    assert file.returncode == 2
    assert "expected a PostgreSQL store" in file.stderr


@pytest.mark.long
def test_an_administrator_who_is_no_superuser_makes_the_roles_and_is_told_what_stays_open(postgres_server):
    """As on managed servers."""
    whole = Board(postgres_server.url)
    admin = Board(whole.url.replace("//postgres@", "//admin@").rpartition("/")[0] + "/managed")
    whole.sql("postgres", "CREATE ROLE admin LOGIN CREATEROLE CREATEDB")
    whole.sql("postgres", "CREATE DATABASE managed OWNER admin")
    told: list[str | None] = []
    with psycopg.connect(admin.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: told.append(notice.message_primary))
        connection.execute("SET createrole_self_grant = 'set, inherit'")
        connection.execute((DEPLOY / "roles.sql").read_bytes())
    assert any("not a superuser" in (line or "") for line in told)
    settings = {
        "INTEGRITY_STORE": admin.url.replace("//admin@", "//integrity_migrate@"),
        "INTEGRITY_VOTER_KEY": "5c" * 32,
    }
    assert called("migrate", "--grant-roles", settings=settings).returncode == 0
    reading = settings | {"INTEGRITY_STORE": admin.url.replace("//admin@", "//integrity_read@")}
    assert called("alerts", settings=reading).returncode == 0
    whole.sql("postgres", "DROP DATABASE managed WITH (FORCE)")
    for role in (*(f"integrity_{name}" for name in ROLES), "admin"):
        whole.sql("postgres", f"DROP OWNED BY {role} CASCADE")
    for role in (*(f"integrity_{name}" for name in reversed(ROLES)), "admin"):
        whole.sql("postgres", f"DROP ROLE {role}")
