"""Names, votes and files that are meant to exhaust: what they may take, and that nobody else's vote suffers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from pipeline import jobs
from pipeline.errors import BadRecord, Disconnected
from pipeline.evidence import Reference
from pipeline.ledger.bundle_verification import verify_bundle
from pipeline.ratings import PairCounts, select_rated_models
from pipeline.store.alerting import alert_queries
from pipeline.store.boards import reference_codec, snapshots
from pipeline.store.db import schema
from pipeline.store.read import store_figures, vote_receipts
from pipeline.store.votes import dictionary, registry_events
from tests.command import called
from tests.integration.board_of_votes import MODELS, OPTIONS, Board, event, using

SETTINGS = {"INTEGRITY_VOTER_KEY": OPTIONS.voter_key, "INTEGRITY_ANCHOR": "", "INTEGRITY_STORE": ""}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.long])])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "store.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_store"))


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with using(OPTIONS):
        yield Board(str(tmp_path / "store.db"), tmp_path)


@pytest.fixture
def each_board(url: str, tmp_path: Path) -> Iterator[Board]:
    """A board on either database."""
    with using(OPTIONS):
        yield Board(url, tmp_path)


def submitted(model: str, **more: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "event_id": f"submitted {model}",
        "at": "2026-01-01T00:00:00Z",
        "type": "model.submitted",
        "model": model,
        "provider": "p",
        "visibility": "public",
        "license": "open",
        **more,
    }


def register(board: Board, *events: dict[str, Any]) -> None:
    path = board.folder / "registry.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in events))
    with board.store() as store:
        registry_events.load_file(store, path)


def battles(board: Board, a: str, b: str, number: int, **more: Any) -> None:
    """Votes between two models, each of which wins in turn."""
    made = (
        event(0, vote_id=f"{a} {b} {n}", model_a=a, model_b=b, winner=("model_a", "model_b")[n % 2], **more)
        for n in range(number)
    )
    board.read(*made)


def rows(board: Board, view: str = "raw") -> dict[str, int]:
    with board.store() as store, store.read() as connection:
        newest = snapshots.find(connection)
        return {row["model"]: row["votes"] for row in snapshots.read_rows(connection, newest.snapshot_id, view)}


# --- models that the registry does not know ---------------------------------------------------------------------------


def test_votes_on_unregistered_models_wait_until_the_registry_knows_the_model(each_board: Board) -> None:
    board = each_board
    board.vote(200)
    battles(board, "ant", "zebra", 40)
    battles(board, "yak", "zebra", 6)
    register(board, *(submitted(model) for model in MODELS))
    first = board.refresh()
    assert (first["unregistered"], first["votes_unregistered"], first["votes_counted"]) == (["yak", "zebra"], 46, 200)
    assert {one["model"]: one["reason"] for one in first["unrated"]} == {
        "yak": "Not registered: 6 votes wait until the registry knows it.",
        "zebra": "Not registered: 46 votes wait until the registry knows it.",
    }
    assert set(rows(board)) == set(MODELS)
    found = verify_bundle(board.bundle(), board.trusted())
    assert found.manifest.unregistered == ("yak", "zebra")
    assert jobs.verify_ledger(board.url)["snapshots"] == 1
    with board.store() as store:
        given = vote_receipts.issue_receipt(store, "ant zebra 0")
        assert (given.raw, given.defended, given.reason) == (False, False, "not registered: zebra")
    assert board.refresh()["sequence"] == 1  # nothing has changed
    register(board, submitted("zebra"))
    second = board.refresh()
    assert (second["sequence"], second["unregistered"], second["votes_counted"]) == (2, ["yak"], 240)
    assert rows(board)["zebra"] == 40
    assert verify_bundle(board.bundle(), board.trusted()).manifest.unregistered == ("yak",)
    assert jobs.verify_ledger(board.url)["snapshots"] == 2


def test_a_later_name_of_a_registered_model_is_registered(board: Board) -> None:
    board.vote(200)
    battles(board, "ant", "zebra", 10)
    renamed = {"schema": 1, "event_id": "r", "at": "2026-01-02T00:00:00Z", "type": "model.renamed"}
    register(board, *(submitted(model) for model in MODELS), {**renamed, "model": "dog", "to": "zebra"})
    assert board.refresh()["unregistered"] == []


def test_without_a_registry_every_model_counts(board: Board) -> None:
    board.vote(200)
    battles(board, "ant", "zebra", 10)
    published = board.refresh()
    assert (published["unregistered"], published["votes_counted"]) == ([], 210)


@pytest.mark.long
def test_refresh_and_doctor_name_them(board: Board) -> None:
    board.vote(200)
    battles(board, "ant", "zebra", 40)
    register(board, *(submitted(model) for model in MODELS))
    board.refresh()
    told = "40 votes are on 1 models that the registry does not know, and wait: zebra"
    for words in (("refresh",), ("doctor",)):
        done = called(*words, "--store", board.url, settings=SETTINGS)
        assert done.returncode == 0, done.stderr
        assert told in (done.stdout + done.stderr).replace("\n", " ")
    report = json.loads(called("doctor", "--store", board.url, "--json", settings=SETTINGS).stdout)
    assert (report["store"]["unregistered"], report["store"]["votes_unregistered"]) == (["zebra"], 40)


def test_a_registry_that_knows_no_two_models_that_met_is_not_used_yet(board: Board) -> None:
    board.vote(60)
    register(board, submitted("another"), submitted("ant"))
    first = board.refresh()
    assert (first["unregistered"], first["votes_counted"]) == ([], 60)
    register(board, submitted("bee"))
    second = board.refresh()
    assert (second["unregistered"], second["votes_counted"]) == (["cat", "dog"], 10)


# --- votes between invented models ------------------------------------------------------------------------------------


def alerts(board: Board) -> list[dict[str, Any]]:
    with board.store() as store, store.read() as connection:
        return [one for one in alert_queries.list_alerts(connection) if one["detector"] == "rated_share"]


def test_forty_votes_between_invented_models_do_not_stop_publication(each_board: Board) -> None:
    board = each_board
    board.vote(100)
    battles(board, "aardvark", "zebra", 40)
    published = board.refresh()
    assert published["sequence"] == 1
    assert set(rows(board)) == set(MODELS)
    assert [one["model"] for one in published["unrated"]] == ["aardvark", "zebra"]
    assert verify_bundle(board.bundle(), board.trusted()).key_checked
    (raised,) = alerts(board)
    assert (raised["state"], raised["severity"]) == ("open", "warning")
    assert "40 of 140 votes" in raised["evidence"]["what"]
    assert raised["evidence"]["left_out"] == ["aardvark", "zebra"]
    board.vote(900)
    board.refresh()
    assert [one["state"] for one in alerts(board)] == ["resolved"]


def test_below_half_of_the_votes_nothing_is_published(board: Board) -> None:
    board.vote(60)
    battles(board, "aardvark", "zebra", 59)
    battles(board, "cow", "yak", 20)
    with pytest.raises(Disconnected, match=r"50\.0%"):
        board.refresh()
    board.vote(20)
    assert board.refresh()["votes_counted"] == 159


# --- new names --------------------------------------------------------------------------------------------------------


def invented(board: Board, first: int, number: int, minute: int = 0) -> None:
    """Votes on two names each that nobody has heard of."""
    at = f"2026-03-01T{minute // 60:02}:{minute % 60:02}:00Z"
    board.read(
        *(
            event(0, vote_id=f"new {n}", model_a=f"name {n} a", model_b=f"name {n} b", cast_at=at)
            for n in range(first, first + number)
        )
    )


def reasons(board: Board) -> dict[str, int]:
    with board.store() as store, store.read() as connection:
        return store_figures.count_rejects(connection)


def names(board: Board) -> set[str]:
    with board.store() as store, store.read() as connection:
        return set(dictionary.model_names(connection).values())


@pytest.fixture
def small_quota(url: str, tmp_path: Path) -> Iterator[Board]:
    options = OPTIONS.model_copy(update={"new_models_per_hour": 20})
    with using(options):
        yield Board(url, tmp_path, options)


def test_votes_on_new_names_beyond_the_quota_are_rejected_and_no_other(small_quota: Board) -> None:
    board = small_quota
    board.read(*(event(n) for n in range(40)))
    invented(board, 0, 12)
    assert reasons(board) == {"name_quota": 4}  # four names of the board, sixteen new ones
    assert names(board) == {*MODELS, *(f"name {n} {side}" for n in range(8) for side in "ab")}
    board.read(*(event(n) for n in range(40, 80)))
    assert reasons(board) == {"name_quota": 4}
    with board.store() as store, store.read() as connection:
        (told, *_) = store_figures.list_rejects(connection, 9)
        assert store_figures.find_gaps(connection) == []
        assert store_figures.count_fates(connection)["accepted"] == 88
    assert "expected at most 20 new model names in an hour of this partition" in told["detail"]


def test_the_quota_holds_over_files_and_ends_with_the_hour(small_quota: Board) -> None:
    board = small_quota
    invented(board, 0, 6)
    invented(board, 6, 6, minute=30)
    assert reasons(board) == {"name_quota": 2}
    invented(board, 20, 6, minute=70)
    assert reasons(board) == {"name_quota": 2}
    assert len(names(board)) == 32


def test_names_that_the_registry_knows_are_not_new(small_quota: Board) -> None:
    board = small_quota
    board.vote(1)
    register(board, *(submitted(f"name {n} {side}") for n in range(30) for side in "ab"))
    invented(board, 0, 30)
    assert reasons(board) == {}


@pytest.mark.long
def test_a_flood_of_names_does_not_stop_the_worker_or_the_board(board: Board) -> None:
    """More rejects than a worker bears for any other reason: stopping would be what the flood wants."""
    board.vote(600)
    invented(board, 0, 3_000)
    board.read(*(event(n) for n in range(600, 700)))
    assert reasons(board) == {"name_quota": 2_500}
    published = board.refresh()
    assert published["votes_counted"] == 1_200  # all of the rest are on names that met nobody else
    assert set(rows(board)) == set(MODELS)


# --- what a snapshot stores -------------------------------------------------------------------------------------------


def ring(models: int, pairs: int) -> list[dict[str, Any]]:
    """Battles of a ring of models, and of random pairs besides; each pair has a win for either side."""
    rng = np.random.default_rng(7)
    met = {(at, (at + 1) % models) for at in range(models)}
    while len(met) < pairs:
        a, b = rng.integers(0, models, 2).tolist()
        if a != b and (a, b) not in met and (b, a) not in met:
            met.add((a, b))
    return [
        event(0, vote_id=f"{a} {b} {side}", model_a=f"m{a}", model_b=f"m{b}", winner=side, voter_id=f"v {a} {b}")
        for a, b in sorted(met)
        for side in ("model_a", "model_b")
    ]


def stored_bytes(board: Board) -> dict[str, int]:
    """Bytes of what the newest snapshot stores."""
    with board.store() as store, store.read() as connection:
        row = connection.execute(sa.select(schema.snapshot).order_by(schema.snapshot.c.sequence.desc())).first()
        assert row is not None
        counts = connection.scalar(sa.select(schema.sealed_total.c.counts))
        manifest_bytes = len(connection.scalar(sa.select(schema.manifest.c.body).limit(1)) or b"")
    return {"reference": len(row.reference), "body": len(row.body), "counts": len(counts), "manifest": manifest_bytes}


@pytest.mark.long
def test_a_snapshot_grows_with_the_pairs_that_met(tmp_path: Path) -> None:
    """A covariance of 1,000 models would take 8 MB; 3,000 pairs of them take less than a hundredth."""
    sizes = {}
    for models, pairs in ((500, 3_000), (1_000, 3_000)):
        options = OPTIONS.model_copy(update={"new_models_per_hour": 10_000})
        (tmp_path / str(models)).mkdir()
        with using(options):
            board = Board(str(tmp_path / f"{models}.db"), tmp_path / str(models), options)
            board.read(*ring(models, pairs))
            assert board.refresh()["votes_counted"] == 2 * pairs
            sizes[models] = stored_bytes(board)
            assert verify_bundle(board.bundle(), board.trusted()).key_checked
    assert sizes[1_000]["reference"] < 80_000
    assert sizes[1_000]["reference"] < 1.5 * sizes[500]["reference"]
    assert sizes[1_000]["body"] < 20_000
    assert sizes[1_000]["manifest"] < 500 * 1_000


def test_a_sparse_reference_is_exact_for_pairs_that_met_and_careful_for_others() -> None:
    rng = np.random.default_rng(3)
    half = rng.normal(size=(80, 80))
    covariance = half @ half.T / 80
    pairs = np.array([0, 1, 5], dtype=np.int32), np.array([1, 2, 70], dtype=np.int32)
    whole = Reference(4, np.arange(80), rng.normal(size=80), covariance, 0.3, (3.0, 7.0))
    raw = reference_codec.pack_reference(whole, pairs)
    assert len(raw) < len(reference_codec.pack_reference(whole)) / 10
    found = reference_codec.unpack_reference(4, raw)
    assert (found.theta.tolist(), found.tie_prior) == (whole.theta.tolist(), whole.tie_prior)
    assert np.array_equal(np.diag(found.covariance), np.diag(covariance))
    for a, b in zip(*pairs, strict=True):
        assert found.covariance[a, b] == found.covariance[b, a] == covariance[a, b]
    spread, exact = (np.diag(one)[:, None] + np.diag(one)[None, :] - 2 * one for one in (found.covariance, covariance))
    assert (spread >= exact - 1e-12).all()


def test_invented_names_do_not_fill_the_memory_of_a_refresh() -> None:
    """A table of all pairs of 40,000 names would take 13 GB."""
    size = 40_000
    names = tuple(f"name {at}" for at in range(size))
    table = np.tile([1, 1, 0, 0], (size // 2, 1))
    a = np.arange(0, size, 2)
    counts = PairCounts.from_rows(names, a, a + 1, np.concatenate([table[:1] * size * 2, table[1:]]))
    rated, unrated = select_rated_models(counts, least_share=0.5)
    assert (rated.models, len(unrated)) == (names[:2], size - 2)


# --- files that unpack to much ----------------------------------------------------------------------------------------

MOST_MEMORY = 300 * 2**20
CHILD = Path(__file__).with_name("read_within_memory.py")
BATTLE = {"model_a": "ant", "model_b": "bee", "winner": "model_a", "cast_at": "2026-01-01T00:00:00Z"}


def parquet(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **{"compression": "zstd", "store_schema": False, **options})
    return path


def repeated(rows: int, **texts: str) -> dict[str, Any]:
    """Columns of one text each, so many times."""
    code = pa.array(np.zeros(rows, dtype=np.int32))
    return {name: pa.DictionaryArray.from_arrays(code, [text]) for name, text in {**BATTLE, **texts}.items()}


def many_rows(folder: Path) -> Path:
    return parquet(
        folder / "rows.parquet", repeated(20_000_000), row_group_size=20_000_000, write_batch_size=20_000_000
    )


def giant_name(folder: Path) -> Path:
    return parquet(folder / "name.parquet", repeated(600, model_a="x" * 1_000_000))


def giant_names(folder: Path) -> Path:
    names = ["x" * 50_000_000 + str(at) for at in range(6)]
    return parquet(folder / "names.parquet", {**dict.fromkeys(BATTLE, pa.array(["a"] * 6)), "model_a": names})


def giant_voter(folder: Path) -> Path:
    return parquet(folder / "voter.parquet", repeated(3_000, voter_id="v" * 200_000))


def prefixed(folder: Path) -> Path:
    columns = {name: pa.array([text] * 2_500) for name, text in BATTLE.items()}
    columns["model_b"] = pa.array(["x" * 200_000] * 2_500)
    options = {"use_dictionary": False, "column_encoding": {"model_b": "DELTA_BYTE_ARRAY"}}
    return parquet(folder / "prefix.parquet", columns, **options)


def long_lists(folder: Path) -> Path:
    columns = {**{name: pa.array([text]) for name, text in BATTLE.items()}, "category": pa.array([[0] * 50_000_000])}
    return parquet(folder / "list.parquet", columns)


def deep_json(folder: Path) -> Path:
    (folder / "deep.json").write_bytes(b"[" * 1_000_000)
    return folder / "deep.json"


def deep_record(folder: Path) -> Path:
    (folder / "record.json").write_bytes(b'[{"model_a":' + b"[" * 200_000 + b"]" * 200_000 + b"}]")
    return folder / "record.json"


def giant_element(folder: Path) -> Path:
    with (folder / "element.json").open("wb") as file:
        file.write(b'[{"model_a":[')
        for _ in range(100):
            file.write(b"[]," * 1_000_000)
        file.write(b"[]]}]")
    return folder / "element.json"


def long_line(folder: Path) -> Path:
    with (folder / "line.jsonl").open("wb") as file:
        for _ in range(500):
            file.write(b"x" * 1_000_000)
    return folder / "line.jsonl"


def long_array(folder: Path) -> Path:
    """An honest file, larger than the memory that its reader may take."""
    with (folder / "array.json").open("wb") as file:
        file.write(b"[")
        for at in range(60_000):
            talk = [{"role": "user", "content": "a prompt, " * 600}]
            record = {"model_a": "ant", "model_b": "bee", "winner": "tie", "tstamp": 1.7e9, "conversation_a": talk}
            file.write((b"," if at else b"") + json.dumps({**record, "question_id": f"vote {at}"}).encode())
        file.write(b"]")
    return folder / "array.json"


FILES: dict[str, Callable[[Path], Path]] = {
    made.__name__: made
    for made in (
        many_rows, giant_name, giant_names, giant_voter, prefixed, long_lists, deep_json, deep_record, giant_element,
        long_line, long_array,
    )
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("what", FILES)
def test_a_file_is_read_or_refused_in_bounded_memory(what: str, tmp_path: Path) -> None:
    """Record by record, as `publish` and `work` read it, and as a table, as `rate` does; each in its own process."""
    path = FILES[what](tmp_path)
    for way in ("records", "table"):
        done = subprocess.run([sys.executable, CHILD, way, path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2_000:]
        told = json.loads(done.stdout)
        assert told["bytes"] < MOST_MEMORY, told
        if what == "long_array":
            assert told["read"] == 60_000
        else:
            assert told["error"] in {"UnknownFormat", "BadRecord", ""}, told


@pytest.mark.long
def test_a_tiny_file_of_very_many_rows_is_refused_with_its_numbers(tmp_path: Path) -> None:
    path = many_rows(tmp_path)
    assert path.stat().st_size < 300_000
    for words in (("rate", str(path)), ("work", "--source", str(path), "--store", str(tmp_path / "store.db"))):
        done = called(*words, settings=SETTINGS)
        assert done.returncode == 2, done.stderr
        assert "declare 20,000,000 rows" in done.stderr.replace("\n", " ")


@pytest.mark.parametrize("depth", [9, 1_000, 100_000])
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_deep_nesting_is_an_error_and_no_crash(tmp_path: Path, depth: int, suffix: str) -> None:
    path = tmp_path / f"votes{suffix}"
    deep = b'{"model_a":' + b"[" * depth + b"]" * depth + b',"model_b":"b","winner":"tie"}'
    path.write_bytes(b"[" + deep + b"]" if suffix == ".json" else deep + b"\n")
    for words in (("rate", str(path)), ("work", "--source", str(path), "--store", str(tmp_path / "store.db"))):
        done = called(*words, settings=SETTINGS)
        assert done.returncode in {0, 2}, (words, done.stderr)
        assert "Traceback" not in done.stderr


def test_one_bad_record_of_an_array_is_rejected_alone(tmp_path: Path) -> None:
    good = [json.dumps({**BATTLE, "vote_id": f"v{at}"}) for at in range(4)]
    path = tmp_path / "votes.json"
    path.write_text("[" + ",".join([good[0], '{"model_a": NaN}', good[1], "7", good[2], '"\x01"', good[3]]) + "]")
    done = called("work", "--source", str(path), "--store", str(tmp_path / "store.db"), "--json", settings=SETTINGS)
    told = json.loads(done.stdout)
    assert (told["accepted"], told["rejected"]) == (4, 3)


def test_a_line_that_is_too_long_is_rejected_alone(tmp_path: Path) -> None:
    good = [json.dumps({**BATTLE, "schema": 1, "vote_id": f"v{at}"}).encode() + b"\n" for at in range(2)]
    path = tmp_path / "votes.jsonl"
    path.write_bytes(good[0] + b"x" * 9_000_000 + b"\n" + good[1])
    done = called("work", "--source", str(path), "--store", str(tmp_path / "store.db"), "--json", settings=SETTINGS)
    told = json.loads(done.stdout)
    assert (told["accepted"], told["rejected"]) == (2, 1)


def test_a_line_of_a_registry_file_that_is_too_long_is_named(board: Board) -> None:
    board.vote(1)
    path = board.folder / "registry.jsonl"
    path.write_bytes(json.dumps(submitted("ant")).encode() + b"\n" + b"[" * 9_000_000 + b"\n")
    with board.store() as store, pytest.raises(BadRecord, match="record 1: too_large"):
        registry_events.load_file(store, path)
