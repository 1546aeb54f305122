"""A refresh without effects, and publications that wait for a person."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline import jobs
from pipeline.errors import PublicationHeld
from pipeline.events.pseudonym import format_pseudonym
from pipeline.jobs.refresh.publication_hold import far_moves
from pipeline.open_store import open_store
from pipeline.store.db.engine import parse_url
from tests.command import called
from tests.integration.board_of_votes import MODELS, OPTIONS, START, Board, using

HOLD = OPTIONS.model_copy(update={"hold_places": 1, "hold_top": 2})
SETTINGS = {
    "INTEGRITY_VOTER_KEY": OPTIONS.voter_key,
    "INTEGRITY_ANCHOR": "",
    "INTEGRITY_HOLD_PLACES": "1",
    "INTEGRITY_HOLD_TOP": "2",
}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    """A board with a snapshot: ant is first, dog is last."""
    url = str(tmp_path / "board.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_store"))
    with using(HOLD):
        made = Board(url, tmp_path, HOLD)
        made.vote(240)
        assert made.refresh()["sequence"] == 1
        yield made


def reverse(board: Board) -> None:
    """Votes that put dog first."""
    pairs = [(a, b) for a in MODELS for b in MODELS if a != b]
    board.read(
        *(
            {
                "schema": 1, "vote_id": f"reverse {n}", "voter_id": f"late {n}", "model_a": a, "model_b": b,
                "cast_at": START.replace(day=2).isoformat(), "winner": "model_a" if a > b else "model_b",
            }
            for n, (a, b) in enumerate(pairs * 40)
        )
    )  # fmt: skip


def rows(board: Board) -> dict[str, list[Any]]:
    """Every row of every table, read past the store."""
    engine, there = sa.create_engine(parse_url(board.url)), sa.MetaData()
    with engine.connect() as connection:
        there.reflect(connection)
        found = {
            name: sorted(map(tuple, connection.execute(sa.select(table))), key=repr)
            for name, table in there.tables.items()
        }
    engine.dispose()
    return found


def files(board: Board) -> set[Path]:
    with closing(open_store(board.url, voter_key=OPTIONS.key)) as store:
        return set(store.files.folder.rglob("*"))


def order(board: Board) -> list[str]:
    return [row["model"] for row in json.loads(shown(board, "leaderboard").stdout)["rows"]]


def shown(board: Board, *words: str) -> Any:
    return called(*words, "--store", board.url, "--json", settings=SETTINGS)


@pytest.mark.parametrize(
    ("before", "after", "top", "places", "held"),
    [
        ("abcd", "abcd", 2, 0, []),
        ("abcd", "bacd", 2, 1, []),
        ("abcd", "bacd", 2, 0, [("a", -1), ("b", 1)]),
        ("abcd", "abdc", 2, 0, []),  # below the top
        ("abcd", "dabc", 2, 1, [("d", 3)]),  # into the top
        ("abcd", "bcda", 2, 1, [("a", -3)]),  # out of the top
        ("abcd", "xabcd", 2, 2, [("x", 4)]),  # a new model: below the last rank before
        ("abcd", "bcd", 2, 2, [("a", -3)]),  # no longer rated
    ],
)
def test_which_moves_are_too_far(before: str, after: str, top: int, places: int, held: list[tuple[str, int]]) -> None:
    old, new = ([{"model": name, "rank": at} for at, name in enumerate(text, 1)] for text in (before, after))
    assert [(move["model"], move["places"]) for move in far_moves(old, new, top, places)] == held


@pytest.mark.long
def test_a_dry_run_says_what_moves_and_writes_nothing(board: Board) -> None:
    unchanged = shown(board, "refresh", "--dry-run")
    assert json.loads(unchanged.stdout)["why_not"] == ["it would be the same as the newest snapshot"]
    board.vote(12)
    rows_before, files_before = rows(board), files(board)
    report = json.loads(shown(board, "refresh", "--dry-run").stdout)
    assert (report["would_publish"], report["votes_counted"], report["held"]) == (True, 252, [])
    reverse(board)
    rows_before = rows(board)
    report = json.loads(shown(board, "refresh", "--dry-run").stdout)
    assert (report["would_publish"], report["why_not"]) == (False, ["it moves the top too far"])
    assert {move["model"] for move in report["held"]} >= {"ant", "dog"}
    assert report["gate"]["success"] is True
    assert rows(board) == rows_before
    assert files(board) == files_before
    text = called("refresh", "--dry-run", "--store", board.url, settings=SETTINGS).stdout
    assert "would publish nothing: it moves the top too far" in text
    assert "dog 4 → 1" in text
    assert order(board)[0] == "ant"


@pytest.mark.long
def test_a_publication_that_moves_the_top_waits_for_a_person(board: Board) -> None:
    reverse(board)
    held = shown(board, "refresh")
    assert held.returncode == 3
    document = json.loads(held.stdout)
    assert document["error"] == "PublicationHeld"
    assert {move["model"] for move in document["moves"]} >= {"ant", "dog"}
    assert order(board)[0] == "ant"
    candidate = document["candidate"]
    text = called("refresh", "--store", board.url, settings=SETTINGS)
    assert text.returncode == 3
    assert f"candidate {candidate[:12]} is held" in " ".join(text.stderr.split())
    with closing(open_store(board.url, voter_key=OPTIONS.key)) as store:
        assert jobs.read_store_status(store).publications_held == 1
    listed = json.loads(shown(board, "doctor").stdout)["store"]["publications_held"]
    assert [one["snapshot"] for one in listed] == [candidate]
    refused = shown(board, "refresh", "--release", candidate[:12])
    assert (refused.returncode, "a reason" in refused.stdout) == (2, True)
    with board.store() as store:
        voter = format_pseudonym(store.pseudonym("voter 1"))
    words = ("refresh", "--release", candidate[:12], "--name", "ann", "--reason", f"a strong release, see {voter}")
    released = json.loads(shown(board, *words).stdout)
    assert (released["snapshot"], released["sequence"]) == (candidate, 2)
    assert order(board)[0] == "dog"
    with closing(open_store(board.url, voter_key=OPTIONS.key)) as store:
        assert jobs.read_store_status(store).publications_held == 0
    log = json.loads(shown(board, "operators", "log").stdout)
    assert [(row["action"], row["operator"], row["target"]) for row in log] == [
        ("publication.release", "ann", candidate)
    ]
    assert log[0]["before"]["moves"] == document["moves"]
    assert log[0]["reason"].startswith("a strong release, see ")
    assert not any(voter in repr(found) for found in rows(board)["operator_log"] + rows(board)["publication_hold"])
    again = shown(board, "refresh")
    assert (again.returncode, json.loads(again.stdout)["sequence"]) == (0, 2)


@pytest.mark.long
def test_a_held_candidate_of_the_past_is_no_longer_open(board: Board) -> None:
    reverse(board)
    with pytest.raises(PublicationHeld) as held:
        board.refresh()
    with using(OPTIONS):
        assert board.refresh()["sequence"] == 2
    with closing(open_store(board.url, voter_key=OPTIONS.key)) as store:
        assert jobs.read_store_status(store).publications_held == 0
    late = shown(board, "refresh", "--release", held.value.candidate, "--reason", "too late")
    assert (late.returncode, "expected the id of one held candidate" in late.stdout) == (2, True)
