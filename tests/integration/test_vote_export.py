"""An export has the votes that a snapshot counts and nobody else's, says nothing about a person, and rates alike."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.events.pseudonym import format_pseudonym
from pipeline.jobs.custody import operator_actions
from pipeline.jobs.custody.vote_export import EXPORT_COLUMNS
from pipeline.store.boards import exclusion_list, snapshots
from pipeline.store.read import snapshot_bundles
from pipeline.vocabulary.time import HOUR, to_microseconds
from tests.command import called
from tests.integration.board_of_votes import OPTIONS as PLAIN
from tests.integration.board_of_votes import Board, event, using

COUNT = 400
OPTIONS = PLAIN.model_copy(update={"method": "none"})
STYLE = {"tokens": 5, "headers": 1, "lists": 2, "bold": 3, "emoji": 4}


def rich_event(n: int) -> dict[str, Any]:
    """A vote with every field that a vote may have, except every tenth, which has only those that it needs."""
    plain = event(n)
    if n % 10 == 0:
        return plain
    return {
        **plain,
        "anonymous": n % 9 != 0,
        "refusal": n % 40 == 1,
        "turn": 1 + n % 3,
        "session": f"session {n % 60}",
        "categories": ["code", "maths"] if n % 4 == 0 else ["maths"],
        "category": "maths",
        "voter_since": "2020-02-03T00:00:00Z",
        "style_a": {**STYLE, "tokens": 5 + n % 17},
        "style_b": {**STYLE, "tokens": 3 + n % 29},
    }


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    """A published board: votes, some of them twice, one of the future, one retracted, some excluded."""
    sqlite = request.param == "sqlite"
    url = str(tmp_path / "store.db") if sqlite else str(request.getfixturevalue("postgres_store"))
    with using(OPTIONS):
        made = Board(url, tmp_path, OPTIONS)
        made.read(*map(rich_event, range(COUNT)), *map(rich_event, range(25)))
        made.read(rich_event(COUNT) | {"vote_id": "of the future", "cast_at": "2090-01-01T00:00:00Z"})
        made.refresh()
        with made.store() as store:
            voter = format_pseudonym(store.pseudonym("voter 7"))
            with store.write() as connection:
                exclude = ("exclude", "voter", voter, "votes for money", "ann", 1)
                exclusion_list.add_entry(connection, *exclude)
                exclusion_list.add_entry(connection, "exclude", "vote", "vote 12", "a test", "bob", 2)
        operator_actions.retract(url, "vote 15", "sent by mistake", "ann")
        made.refresh()
        made.read(*map(rich_event, range(COUNT + 1, COUNT + 40)))
        yield made


def run(board: Board, *words: str) -> CompletedProcess[str]:
    at = () if words[0] == "rate" else ("--store", board.url)
    return called(*words, *at, settings={})


def exported(board: Board, *words: str) -> dict[str, Any]:
    done = run(board, "export", "--json", *words)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def newest(board: Board) -> snapshots.PublishedSnapshot:
    with board.store() as store, store.read() as connection:
        found = snapshots.latest(connection)
    assert found is not None
    return found


@pytest.mark.long
def test_the_export_of_a_snapshot_is_rated_as_the_snapshot(board: Board, tmp_path: Path) -> None:
    snapshot = newest(board)
    file, others = tmp_path / "votes.parquet", tmp_path / "others.parquet"
    found = exported(board, "--out", str(file), "--left-out", str(others), "--snapshot", snapshot.snapshot_id[:12])
    assert found["snapshot"] == snapshot.snapshot_id
    assert found["votes"] == snapshot.body["votes_counted"] == pq.read_metadata(file).num_rows
    of_voter = {n for n in range(COUNT) if n % 30 == 7}
    assert found["left_out"] == {
        "quarantined": 1,
        "retracted": 1,
        "excluded: votes for money (ann)": len(of_voter),
        "excluded: a test (bob)": 1,
    }
    table, rest = pq.read_table(file), pq.read_table(others)
    assert table.schema.equals(EXPORT_COLUMNS)
    named = {"of the future", "vote 12", "vote 15", *(f"vote {n}" for n in of_voter)}
    assert set(rest["id"].to_pylist()) == named
    assert Counter(rest["left_out"].to_pylist()) == found["left_out"]
    assert table["left_out"].null_count == len(table)
    assert set(table["id"].to_pylist()) == {f"vote {n}" for n in range(COUNT)} - named
    rated = json.loads(run(board, "rate", str(file), "--method", "none", "--json").stdout)
    with board.store() as store, store.read() as connection:
        for view, words in (("defended", ()), ("style", ("--style",))):
            rows = snapshots.read_rows(connection, snapshot.snapshot_id, view)
            if words:
                rated = json.loads(run(board, "rate", str(file), "--method", "none", "--json", *words).stdout)
            ours = {row["model"]: row for row in rated["rows"]}
            assert set(ours) == {row["model"] for row in rows}
            for row in rows:
                for column in ("rating", "lower", "upper"):
                    assert ours[row["model"]][column] == pytest.approx(row[column], abs=0.0051), (view, column)
                assert ours[row["model"]]["votes"] == row["votes"]


@pytest.mark.long
def test_leaves_are_those_of_the_log_and_fields_those_of_the_votes(board: Board, tmp_path: Path) -> None:
    exported(board, "--out", str(tmp_path / "votes.parquet"), "--exact-times")
    rows = pq.read_table(tmp_path / "votes.parquet").to_pylist()
    with board.store() as store:
        bundle = dict(snapshot_bundles.read_bundle(store, None))
    leaves: list[str] = []
    for name in sorted(name for name in bundle if name.startswith("votes/")):
        (tmp_path / "segment").write_bytes(bundle[name])
        leaves += pq.read_table(tmp_path / "segment")["vote"].to_pylist()
    sent = {f"vote {n}": rich_event(n) for n in range(COUNT + 40)}
    assert {row["id"] for row in rows if row["leaf"] is None} == {f"vote {n}" for n in range(COUNT + 1, COUNT + 40)} - {
        f"vote {n}" for n in range(COUNT + 40) if n % 30 == 7
    }
    for row in rows:
        vote = sent[row["id"]]
        if row["leaf"] is not None:
            assert leaves[row["leaf"]] == row["id"]
        for field in ("model_a", "model_b", "winner", "language", "category", "categories", "anonymous", "refusal"):
            assert row[field] == vote.get(field), field
        assert row["evaluation_order"] == vote.get("turn")
        assert row["timestamp"].isoformat() == vote["cast_at"]
        style = vote.get("style_b")
        assert row["conv_metadata"] == row["conv_metadata"] if style else row["conv_metadata"] is None
        if style:
            assert row["conv_metadata"]["sum_assistant_b_tokens"] == style["tokens"]
            assert row["conv_metadata"]["list_count_a"] == {"total": 2}
            assert row["category_tag"]["math_v0.1"] == {"math": False}
            assert row["is_code"] == ("code" in vote["categories"] or None)


@pytest.mark.long
def test_a_snapshot_exports_the_same_votes_after_an_erasure(board: Board, tmp_path: Path) -> None:
    snapshot = newest(board).snapshot_id
    before = exported(board, "--out", str(tmp_path / "before.parquet"), "--snapshot", snapshot)
    operator_actions.erase(board.url, voter_id="voter 3", reason="asked")
    after = exported(board, "--out", str(tmp_path / "after.parquet"), "--snapshot", snapshot)
    assert (before["votes"], before["left_out"]) == (after["votes"], after["left_out"])
    rows = pq.read_table(tmp_path / "after.parquet").to_pylist()
    erased = [row for row in rows if int(row["id"].removeprefix("vote ")) % 30 == 3]
    assert len(erased) > 10
    assert all(row["evaluation_session_id"] is row["session"] is row["conv_metadata"] is None for row in erased)
    assert all(row["evaluation_session_id"] is not None for row in rows if row not in erased)


@pytest.mark.long
def test_nothing_of_an_export_says_who_voted(board: Board, tmp_path: Path) -> None:
    files = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    for file in files:
        exported(board, "--out", str(file))
    with board.store() as store:
        personal = (
            [f"voter {n}" for n in range(30)] + [f"session {n}" for n in range(60)] + [f"net {n}" for n in range(7)]
        )
        personal += [format_pseudonym(store.pseudonym(f"voter {n}")) for n in range(30)]
        personal += [str(store.pseudonym(f"voter {n}")) for n in range(30)]
    one, two = ([json.loads(line) for line in file.read_text().splitlines()] for file in files)
    for file in files:
        text = file.read_text()
        assert not [word for word in personal if f'"{word}"' in text or (len(word) > 12 and word in text)]
    for column in ("evaluation_session_id", "session"):
        names = [{row[column] for row in rows} - {None} for rows in (one, two)]
        assert not names[0] & names[1]  # labels of one export only
        assert len(names[0]) == len(names[1]) > 20
    groups = [Counter(row["evaluation_session_id"] for row in rows).most_common() for rows in (one, two)]
    assert sorted(n for _, n in groups[0]) == sorted(n for _, n in groups[1])
    assert all(row[name] is None for row in one for name in ("network", "voter_since", "prompt_hash"))
    assert all(row["timestamp"][13:] == ":00:00Z" for row in one)
    log = json.loads(run(board, "operators", "log", "--json").stdout)
    assert [row["action"] for row in log[:2]] == ["export.votes"] * 2


def test_until_takes_the_votes_before_a_time_and_old_snapshots_stay(board: Board, tmp_path: Path) -> None:
    one = exported(board, "--out", str(tmp_path / "one.csv"), "--snapshot", "latest")
    first = one["snapshot"]
    assert first == newest(board).snapshot_id
    board.refresh()
    two = exported(board, "--out", str(tmp_path / "two.csv"), "--snapshot", first)
    assert (one["votes"], one["left_out"]) == (two["votes"], two["left_out"])
    assert exported(board, "--out", str(tmp_path / "now.csv"))["votes"] > one["votes"]
    until = exported(board, "--out", str(tmp_path / "part.parquet"), "--until", "2026-03-01T00:10:00Z")
    assert until["votes"] == len([n for n in range(60) if n % 30 != 7]) - 2
    times = pq.read_table(tmp_path / "part.parquet")["timestamp"].to_pylist()
    assert {to_microseconds(time) % HOUR for time in times} == {0}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--snapshot", "ffff"), "expected the id of a published snapshot"),
        (("--until", "yesterday"), "--until: expected a date or time"),
        (("--left-out", "votes.csv"), "expected two files"),
        (("--left-out", "others.txt"), "expected a name that ends in"),
    ],
)
def test_a_wrong_word_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with using(OPTIONS):
        made = Board(str(tmp_path / "store.db"), tmp_path, OPTIONS)
        made.vote(200)
        made.refresh()
        done = run(made, "export", "--out", "votes.csv", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert not [path for path in tmp_path.iterdir() if "votes" in path.name or "others" in path.name]


def test_what_the_method_leaves_out_is_in_the_other_file_by_rule(tmp_path: Path) -> None:
    with using(PLAIN):  # the arena's method
        made = Board(str(tmp_path / "store.db"), tmp_path, PLAIN)
        asked = ({"prompt_hash": "often"} if n % 5 == 0 else {"prompt_hash": f"once {n}"} for n in range(COUNT))
        made.read(*(rich_event(n) | prompt for n, prompt in zip(range(COUNT), asked, strict=True)))
        with made.store() as store, store.write() as connection:
            exclusion_list.add_entry(connection, "exclude", "vote", "vote 9", "a test", "bob", 2)
            exclusion_list.add_entry(connection, "exclude", "vote", "vote 11", "a test", "bob", 2)
        made.refresh()
        snapshot = newest(made)
        file, others = tmp_path / "votes.parquet", tmp_path / "others.parquet"
        found = exported(made, "--out", str(file), "--left-out", str(others), "--snapshot", snapshot.snapshot_id)
        now = exported(made, "--out", str(tmp_path / "now.parquet"))
        made.read(
            *(event(n, prompt_hash="often", anonymous=n != 1_003) for n in range(1_000, 1_020)),
            event(1_020, prompt_hash=None),
        )
        later = exported(made, "--out", str(tmp_path / "later.parquet"))
        by_rule = {f"rule: {rule}": votes for rule, votes in snapshot.body["method"]["left_out"].items() if votes}
        rated = json.loads(run(made, "rate", str(file), "--json").stdout)
        with made.store() as store, store.read() as connection:
            rows = snapshots.read_rows(connection, snapshot.snapshot_id, "defended")
    assert {"rule: not_anonymous", "rule: refusal", "rule: frequent_prompt"} <= set(by_rule)
    assert (now["undecided"], later["undecided"], later["votes"]) == (0, 19, now["votes"] + 20)
    assert "19 of the votes are not sealed yet and have a prompt" in later["notes"][-1]
    assert found["left_out"] == by_rule | {"excluded: a test (bob)": 1}  # vote 9 showed the names
    assert (now["votes"], now["left_out"]) == (found["votes"], found["left_out"])
    assert found["votes"] + sum(found["left_out"].values()) == COUNT
    assert Counter(pq.read_table(others)["left_out"].to_pylist()) == found["left_out"]
    assert {row["model"]: row["rating"] for row in rated["rows"]} == pytest.approx(
        {row["model"]: row["rating"] for row in rows}, abs=0.0051
    )


def test_votes_on_a_model_that_the_registry_does_not_know_are_in_the_other_file(tmp_path: Path) -> None:
    with using(OPTIONS):
        made = Board(str(tmp_path / "store.db"), tmp_path, OPTIONS)
        common = {"schema": 1, "type": "model.submitted", "at": "2026-01-01T00:00:00Z", "provider": "x"}
        path = tmp_path / "registry.jsonl"
        known = ({**common, "event_id": name, "model": name} for name in ("ant", "bee", "cat"))
        lines = (json.dumps(one | {"visibility": "public", "license": "open"}) for one in known)
        path.write_text("".join(f"{line}\n" for line in lines))
        (tmp_path / "first.jsonl").write_text(json.dumps(event(300)) + "\n")
        done = run(made, "work", "--source", str(tmp_path / "first.jsonl"), "--registry", str(path))
        assert done.returncode == 0, done.stderr
        made.vote(300)
        now = exported(made, "--out", str(tmp_path / "before.csv"))
        assert now["votes"] == 301  # no two models that the registry knows have sealed votes
        counted = made.refresh()["votes_counted"]
        for words in ((), ("--snapshot", "latest")):
            found = exported(made, "--out", str(tmp_path / "votes.csv"), "--force", *words)
            assert found["votes"] == counted
            assert found["left_out"] == {"not registered: dog": 301 - counted}
