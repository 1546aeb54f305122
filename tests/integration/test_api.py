"""The API over SQLite and PostgreSQL."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import rfc8785
import sqlalchemy as sa
from fastapi.testclient import TestClient

from pipeline.api.app import create_app
from pipeline.ledger import merkle, merkle_proofs, signed_note, verifier_command
from pipeline.ledger.bundle_archive import open_bundle
from pipeline.ledger.bundle_verification import verify_bundle
from pipeline.ledger.signed_note import VerifierKey
from pipeline.open_store import now
from pipeline.store import Store
from pipeline.store.alerting import operator_tokens
from pipeline.store.db import schema
from tests.integration import readable

API = "/api/v1"
KINDS = {"text/csv": "text/csv; charset=utf-8", "application/vnd.apache.parquet": "application/vnd.apache.parquet"}


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("readable")
    url = str(folder / "board.db")
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_server").create_database("readable")
    made = readable.made(url, folder)
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(store: Store) -> Iterator[TestClient]:
    with TestClient(create_app(store)) as client:
        yield client


@pytest.fixture(scope="module")
def ids(client: TestClient) -> list[str]:
    """The snapshots, oldest first."""
    return [row["snapshot"] for row in reversed(client.get(f"{API}/snapshots").json()["rows"])]


@pytest.mark.long
def test_latest_redirects_to_a_snapshot_named_by_its_digest(client: TestClient, ids: list[str]) -> None:
    found = client.get(f"{API}/latest").json()
    assert found["snapshot"] == ids[-1]
    assert hashlib.sha256(rfc8785.dumps(found["body"])).hexdigest() == ids[-1]
    assert client.get(f"{API}/snapshots/{ids[0][:12]}").json()["snapshot"] == ids[0]


def test_a_snapshot_never_changes_and_says_so(client: TestClient, ids: list[str]) -> None:
    first = client.get(f"{API}/snapshots/{ids[0]}/leaderboard")
    assert "immutable" in first.headers["cache-control"]
    again = client.get(f"{API}/snapshots/{ids[0]}/leaderboard", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = client.head(f"{API}/snapshots/{ids[0]}/leaderboard")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == first.headers["etag"]


def test_every_format_has_the_same_rows(client: TestClient, ids: list[str]) -> None:
    where = f"{API}/snapshots/{ids[-1]}/leaderboard"
    rows = client.get(where).json()["rows"]
    assert [row["rank"] for row in rows] == sorted(row["rank"] for row in rows)
    assert {row["model"] for row in rows} == set(readable.MODELS)
    answers = {kind: client.get(where, headers={"Accept": kind}) for kind in KINDS}
    assert {kind: answer.headers["content-type"] for kind, answer in answers.items()} == KINDS
    assert pq.read_table(io.BytesIO(answers["application/vnd.apache.parquet"].content)).to_pylist() == rows
    lines = list(csv.DictReader(io.StringIO(answers["text/csv"].text)))
    assert [float(line["rating"]) for line in lines] == [row["rating"] for row in rows]
    # A spreadsheet would execute a name that begins with "=".
    assert [line["model"] for line in lines] == [row["model"].replace("=cmd", "'=cmd") for row in rows]


@pytest.mark.parametrize("where", ["snapshots", "models", "alerts", "exclusions", "latest/leaderboard"])
def test_pages_contain_every_row_once(client: TestClient, ids: list[str], where: str) -> None:
    where = f"{API}/{where.replace('latest', f'snapshots/{ids[-1]}')}"
    whole = client.get(where, params={"limit": 1000}).json()
    assert whole["next"] is None
    assert whole["rows"]
    walked: list[Any] = []
    cursor: dict[str, str] = {}
    while cursor is not None:
        page = client.get(where, params={"limit": 1, **cursor}).json()
        walked += page["rows"]
        cursor = {"cursor": page["next"]} if page["next"] else None
    assert walked == whole["rows"]


@pytest.mark.parametrize("what", ["alerts?", "exclusions?", "history?model=zeta&"])
def test_a_table_has_the_same_columns_with_rows_and_without(client: TestClient, what: str) -> None:
    nothing = {"alerts?": "state=snoozed&", "exclusions?": "cursor=WzFd&", "history?model=zeta&": "view=style&"}[what]
    full, empty = (f"{API}/{what}{more}format=" for more in ("", nothing))
    tables = [pq.read_table(io.BytesIO(client.get(where + "parquet").content)) for where in (full, empty)]
    assert len(tables[0]) > len(tables[1]) == 0
    assert tables[0].schema == tables[1].schema
    heads = {client.get(where + "csv").text.splitlines()[0] for where in (full, empty)}
    assert heads == {",".join(tables[0].column_names)}


def test_views_stand_side_by_side(client: TestClient, ids: list[str]) -> None:
    rows = client.get(f"{API}/snapshots/{ids[-1]}/standings").json()["rows"]
    zeta = next(row for row in rows if row["model"] == "zeta")
    assert zeta["raw"]["rating"] > zeta["defended"]["rating"]
    assert zeta["style"] is None
    columns = client.get(f"{API}/snapshots/{ids[-1]}/standings?format=csv").text.splitlines()[0]
    assert "raw_rank,raw_rating" in columns


def test_the_points_of_a_move_are_attributed_to_exclusions_and_votes(client: TestClient, ids: list[str]) -> None:
    found = client.get(f"{API}/diff/{ids[1]}..{ids[2]}").json()
    rows = {row["model"]: row for row in found["rows"]}
    for row in found["rows"]:
        assert sum(row["points"].values()) == pytest.approx(row["rating"], abs=0.021)
        assert row["places"] == row["before"]["rank"] - row["after"]["rank"]
    # The votes of its supporter are excluded; no other model loses as much by that.
    assert rows["zeta"]["points"]["exclusions"] == min(row["points"]["exclusions"] for row in found["rows"]) < -5
    assert [entry["name"] for entry in found["excluded"]] == ["an operator"]
    assert "by exclusions" in rows["zeta"]["reason"]
    raw = client.get(f"{API}/diff/{ids[1]}..{ids[2]}?view=raw").json()
    assert {row["points"]["exclusions"] for row in raw["rows"]} == {0.0}
    assert sum(row["battles"]["votes"] for row in raw["rows"]) == 2 * readable.WEEK


def test_a_models_history_and_what_the_registry_says(client: TestClient, ids: list[str]) -> None:
    history = client.get(f"{API}/history", params={"model": "gamma/7b"}).json()["rows"]
    assert [row["snapshot"] for row in history] == ids
    assert all(0 < row["share"] < 1 for row in history)
    assert [row["data_until"][:10] for row in history] == ["2026-03-07", "2026-03-14", "2026-03-21"]
    assert client.get(f"{API}/model", params={"model": "gamma/7b"}).json()["provider"] == "Acme & Sons"
    facts = client.get(f"{API}/provider", params={"provider": "Acme & Sons"}).json()["facts"]
    assert {fact["about"] for fact in facts} >= {"Acme & Sons"}
    assert client.get(f"{API}/provider", params={"provider": "nobody"}).status_code == 404


def test_alerts_are_filtered_by_subject(client: TestClient) -> None:
    found = client.get(f"{API}/alerts", params={"subject_kind": "provider"}).json()["rows"]
    assert [alert["subject"]["id"] for alert in found] == ["Beta"]
    whole = client.get(f"{API}/alerts/{found[0]['id']}").json()
    assert [entry["action"] for entry in whole["history"]] == ["opened"]
    assert client.get(f"{API}/alerts", params={"detector": "no such"}).json()["rows"] == []


@pytest.mark.parametrize(
    ("where", "status", "says"),
    [
        ("/snapshots/" + "0" * 64, 404, "expected the digest of a published snapshot"),
        ("/snapshots/NOT-A-DIGEST", 422, "path snapshot"),
        ("/snapshots?limit=0", 422, "query limit"),
        ("/snapshots?limit=1001", 422, "query limit"),
        ("/snapshots?cursor=WzFd!", 422, "query cursor"),
        ("/alerts?cursor=W10", 422, "query cursor"),
        ("/alerts/0000000000000000", 404, "expected the id of an alert"),
        ("/alerts?state=asleep", 422, "query state"),
        ("/alerts?detector=%00", 422, "query detector"),
        ("/model?model=nobody", 404, "expected the name of a model"),
        ("/model", 422, "query model"),
        ("/snapshots?limits=5", 422, "query limits: expected one of"),
        ("/latest?limit=5", 422, "query limit: expected one of nothing"),
        ("/snapshots?limit=5&limit=6", 422, "query limit: expected it once"),
        ("/leaderboard?at=yesterday", 422, "ISO 8601"),
        ("/leaderboard?at=1999-01-01", 404, "no snapshot was published by"),
        ("/leaderboard?view=rosy", 422, "query view"),
        ("/diff/a..b", 422, "path pair"),
        ("/no/such/thing", 404, "nothing at this address"),
    ],
)
def test_bad_input_is_a_problem_document(client: TestClient, where: str, status: int, says: str) -> None:
    answer = client.get(API + where)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert (document["status"], document["instance"]) == (status, API + where.partition("?")[0])
    assert says in document["detail"]


def test_a_diff_in_reverse_and_a_missing_view_are_refused(client: TestClient, ids: list[str]) -> None:
    assert client.get(f"{API}/diff/{ids[2]}..{ids[1]}").status_code == 422
    assert client.get(f"{API}/snapshots/{ids[0]}/leaderboard?view=style").status_code == 404
    assert client.post(f"{API}/snapshots").status_code == 405


@pytest.mark.long
def test_a_new_snapshot_is_shown_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.api import change_token
    from pipeline.store.boards import exclusion_list

    monkeypatch.setattr(change_token, "PERIOD", 0.0)
    store = readable.made(str(tmp_path / "board.db"), tmp_path)
    with TestClient(create_app(store)) as client:
        before = client.get("/").text
        assert client.get("/").text == before
        with store.write() as connection:
            exclusion_list.add_entry(connection, "exclude", "vote", "v0-1", "a test", "a tester", 1)
        readable.published(str(tmp_path / "board.db"))
        assert client.get("/").text != before
        assert client.get(f"{API}/snapshots").json()["rows"][0]["sequence"] == 4
    store.close()


@pytest.mark.long
def test_a_decision_needs_a_valid_token_with_the_scope(tmp_path: Path) -> None:
    store = readable.made(str(tmp_path / "board.db"), tmp_path)
    at = now()
    with store.write() as connection:
        moves = operator_tokens.create(connection, "moves", ["alerts"], "a tester", "a test", at, at + 10**9)
        counts = operator_tokens.create(connection, "counts", ["exclusions"], "a tester", "a test", at, at + 10**9)
        late = operator_tokens.create(connection, "late", ["alerts"], "a tester", "a test", at, at)
    with TestClient(create_app(store)) as client:
        alert = client.get(f"{API}/alerts?subject_kind=model").json()["rows"][0]["id"]
        where, why = f"{API}/alerts/{alert}/ack", {"reason": "seen"}

        def status(path: str, token: str, body: dict[str, Any] = why) -> int:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return client.post(path, json=body, headers=headers).status_code

        assert [status(where, token) for token in ("", "wrong", late, counts, moves)] == [401, 401, 401, 403, 200]
        assert status(where, moves, {"reason": " "}) == 422
        assert status(f"{API}/alerts/{'0' * 16}/ack", moves) == 404
        shown = client.get(f"{API}/alerts/{alert}").json()
        assert shown["state"] == "acknowledged"
        assert shown["history"][-1] | {"at": ""} == {"at": "", "action": "ack", "name": "moves", "reason": "seen"}
        assert status(f"{API}/alerts/{alert}/votes/exclude", moves) == 403
        assert status(f"{API}/alerts/{alert}/votes/exclude", counts) == 200
        assert client.get(f"{API}/exclusions").json()["rows"][0]["name"] == "counts"
        excluded = {"action": "exclude", "kind": "voter", "target": "no pseudonym", "reason": "x"}
        assert status(f"{API}/exclusions", counts, excluded) == 422
        assert status(f"{API}/exclusions", counts, why | {"reason": "x" * 100_000}) == 413
        with store.write() as connection:
            operator_tokens.revoke(connection, "moves", "a tester", "it leaked", now())
        assert status(where, moves) == 401
        with store.read() as connection:
            assert all(moves not in str(row) for row in connection.execute(sa.select(schema.token)))
    store.close()


def test_a_downloaded_bundle_verifies(client: TestClient, ids: list[str], tmp_path: Path) -> None:
    keys = client.get(f"{API}/keys").json()["keys"]
    where = f"{API}/snapshots/{ids[-1]}"
    (tmp_path / "bundle.zip").write_bytes(client.get(f"{where}/bundle").content)
    verified = verify_bundle(open_bundle(tmp_path / "bundle.zip"), [VerifierKey.parse(key) for key in keys])
    assert verified.key_checked
    found = client.get(where).json()
    assert verified.sha256 == found["digest"] == hashlib.sha256(client.get(f"{where}/manifest").content).hexdigest()
    proof = client.get(f"{where}/proof").json()
    assert proof["checkpoint"] == client.get(f"{API}/checkpoint").text
    path = [bytes.fromhex(one) for one in proof["path"]]
    head = signed_note.parse_checkpoint(signed_note.parse(proof["checkpoint"].encode(), "checkpoint"), "checkpoint")
    leaf = merkle.leaf_hash(client.get(f"{where}/manifest").content)
    merkle_proofs.check_inclusion(leaf, proof["leaf"], proof["size"], path, head.root)
    tile = client.get(f"{API}/log/snapshots/tile/0/000.p/{len(ids)}").content
    assert tile[-32:] == leaf
    grown = client.get(f"{API}/consistency", params={"old": 1, "new": len(ids)}).json()
    assert (grown["old"], grown["new"]) == (1, 3)
    assert client.get(f"{API}/consistency", params={"old": 3, "new": 9}).status_code == 422


def test_a_receipt_verifies_and_says_which_views_count_the_vote(client: TestClient, tmp_path: Path) -> None:
    key = client.get(f"{API}/keys").json()["keys"][-1]
    answers = [client.get(f"{API}/receipt", params={"vote": vote}) for vote in ("v0-1", "v1-20")]
    for answer in answers:
        (tmp_path / "receipt.json").write_bytes(answer.content)
        assert verifier_command.run(["--receipt", str(tmp_path / "receipt.json"), "--key", key]) == 0
    counted, left_out = (answer.json() for answer in answers)
    assert (counted["defended"], left_out["raw"], left_out["defended"]) == (True, True, False)
    assert "an operator" in left_out["reason"]
    assert client.get(f"{API}/receipt", params={"vote": "no such"}).status_code == 404
