"""Counts and labels of sealed votes: what is stored is what a slow count of the votes gives, after every step."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline import jobs
from pipeline.compute import board_cells
from pipeline.compute.board_cells import ALL, Label
from pipeline.errors import Refuted, Unavailable, VerificationFailed
from pipeline.jobs.custody import operator_actions
from pipeline.ledger import leaf_labels
from pipeline.store import Store
from pipeline.store.db import schema
from pipeline.store.log import board_recount, leaf_index, sealed_boards, sealed_labels, segment_builder
from pipeline.store.votes import ingest
from pipeline.vocabulary.vote_flags import FREQUENT_PROMPT, RULES
from tests.integration.board_of_votes import OPTIONS, Board, event, using

Counts = dict[tuple[str, str], Counter[tuple[int, ...]]]
COLUMNS = 'partition_no, "offset", model_a, model_b, outcome, fate, flags, category, categories, language'


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    """An empty board."""
    url = str(tmp_path / "store.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_store"))
    with using(OPTIONS):
        yield Board(url, tmp_path)


def labelled(n: int) -> dict[str, Any]:
    """A vote that states something of every kind, or nothing."""
    stated: dict[str, Any] = {"language": ("en", "fr", None, "日本語")[n % 4], "prompt_hash": f"p{n}"}
    if n % 3 == 0:
        stated |= {"anonymous": n % 2 == 0, "refusal": n % 5 == 0, "identity_leak": n % 7 == 0}
    if n % 4 == 1:
        stated |= {"category": "maths"}
    if n % 4 == 2:
        stated |= {"categories": ["code", 'hard "ones"', "maths"][: 1 + n % 3], "turn": 1 + n % 3, "session": f"s{n}"}
    if n % 4 == 3:
        stated |= {"category": "code", "categories": ["maths"], "deduplicated": n % 8 == 3}
    return event(n, **stated)


def slow_counts(connection: Connection, size: int) -> Counts:
    """The counts of the first leaves, vote by vote."""
    terms = {row.term_no: row.text for row in connection.execute(sa.select(schema.term))}
    marked = {tuple(row) for row in connection.execute(sa.select(schema.frequent_vote))}
    r = schema.retraction.c
    gone = {tuple(row) for row in connection.execute(sa.select(r.partition_no, r.offset).where(r.leaf < size))}
    found: Counts = {("all", ""): Counter()}
    rows = connection.exec_driver_sql(f"SELECT {COLUMNS} FROM vote").all()
    leaves = leaf_index.find_leaves(connection, [(row[0], row[1]) for row in rows])
    for part, offset, a, b, outcome, fate, flags, category, categories, language in rows:
        if leaves.get((part, offset), size) >= size or (part, offset) in gone:
            continue
        rules = flags & RULES | (FREQUENT_PROMPT if (part, offset) in marked else 0)
        boards = {("all", "")} | ({("language", terms[language])} if language else set())
        named = json.loads(terms[categories]) if categories else [terms[category]] if category else []
        for one in boards | {("category", text) for text in named}:
            found.setdefault(one, Counter())[a, b, outcome, fate, rules] += 1
    return {one: cells for one, cells in found.items() if cells}


def stored_counts(connection: Connection, size: int) -> Counts:
    return as_counts(sealed_boards.read_boards(connection, size))


def as_counts(boards: Any) -> Counts:
    found = {
        (label.kind, label.text): Counter({tuple(row[:5]): row[5] for row in rows.tolist()})
        for label, rows in boards.items()
    }
    return {one: cells for one, cells in found.items() if cells}


def check(store: Store, sizes: list[int]) -> None:
    """Every law about the counts, at the newest size and at those before."""
    with store.read() as connection:
        for size in sizes:
            assert stored_counts(connection, size) == slow_counts(connection, size), size
        assert sealed_boards.totals_match_segments(connection)
        board_recount.compare_counts(connection, store.files)
        board_recount.compare_counts(connection, store.files, place=f"file://{store.files.folder.parent}")
        with pytest.raises(Unavailable, match="expected the ledger's file file:///nowhere/"):
            board_recount.compare_counts(connection, store.files, place="file:///nowhere")


@pytest.mark.long
def test_the_counts_of_every_size_are_those_of_a_slow_count(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_builder, "MAX_VOTES", 150)
    sizes = []
    for first in range(0, 500, 100):
        board.read(*(labelled(n) for n in range(first, first + 100)))
        jobs.seal(board.url)
        sizes.append(first + 100)
    board.read(*(labelled(n) for n in range(500, 900)))
    jobs.seal(board.url)
    with board.store() as store:
        check(store, [*sizes, 900])
        with store.read() as connection:
            found = sealed_boards.read_boards(connection, 900)
            assert {label.kind for label in found} == {"all", "category", "language"}
            assert {label.text for label in found if label.kind == "category"} == {"maths", "code", 'hard "ones"'}
            assert sum(found[ALL][:, 5]) == 900
            assert len(np.unique(found[ALL][:, 4])) > 6
            assert found[Label("language", "日本語")][:, 5].sum() == 225
    assert jobs.verify_ledger(board.url)["votes"] == 900


def test_retracted_votes_are_taken_back_on_every_board(board: Board) -> None:
    board.read(*(labelled(n) for n in range(200)))
    jobs.seal(board.url)
    for n in (0, 3, 14, 101):
        operator_actions.retract(board.url, f"vote {n}", "a test's", "ann")
    board.read(*(labelled(n) for n in range(200, 230)))
    jobs.seal(board.url)
    operator_actions.retract(board.url, "vote 210", "a test's", "ann")
    jobs.seal(board.url)
    with board.store() as store:
        check(store, [200, 234, 235])
        with store.read() as connection:
            assert sum(stored_counts(connection, 235)["all", ""].values()) == 225
    jobs.verify_ledger(board.url)


def test_the_counts_of_some_votes_are_what_they_add(board: Board) -> None:
    board.read(*(labelled(n) for n in range(120)))
    jobs.seal(board.url)
    with board.store() as store, store.read() as connection:
        positions = ingest.find_by_vote_id(connection, [f"vote {n}" for n in range(40)])
        some = as_counts(sealed_boards.count_votes(connection, positions))
        others = ingest.find_by_vote_id(connection, [f"vote {n}" for n in range(40, 120)])
        rest = as_counts(sealed_boards.count_votes(connection, others))
        whole = stored_counts(connection, 120)
        assert {one: some.get(one, Counter()) + rest.get(one, Counter()) for one in whole} == whole
        assert sealed_boards.count_votes(connection, []) == {}


def test_an_erasure_changes_no_count_and_leaves_no_session(board: Board) -> None:
    board.read(*(labelled(n) for n in range(120)))
    jobs.seal(board.url)
    with board.store() as store, store.read() as connection:
        before = stored_counts(connection, 120)
        positions = ingest.find_by_vote_id(connection, [f"vote {n}" for n in range(120)])
        counted = as_counts(sealed_boards.count_votes(connection, positions))
    assert operator_actions.erase(board.url, voter_id="voter 6")["erased"] == 4
    with board.store() as store:
        check(store, [120])
        with store.read() as connection:
            assert stored_counts(connection, 120) == before
            assert as_counts(sealed_boards.count_votes(connection, positions)) == counted
            v = schema.vote.c
            left = connection.execute(sa.select(v.turn, v.session, v.prompt, v.network).where(v.voter == 0)).all()
            assert left == [(0, 0, 0, 0)] * 4
            assert connection.scalar(sa.select(sa.func.count()).where(v.session != 0)) == 28
    assert jobs.verify_ledger(board.url)["erased"] == 4
    board.read(event(900), *(labelled(n) for n in range(120)))  # repeats of erased votes say the same
    with board.store() as store, store.read() as connection:
        assert set(connection.scalars(sa.select(schema.duplicate.c.same_body))) == {True}


def test_the_file_of_labels_has_what_each_vote_states(board: Board) -> None:
    board.read(event(0), *(labelled(n) for n in range(1, 60)))
    jobs.seal(board.url)
    board.read(event(60, language=None))
    jobs.seal(board.url)
    with board.store() as store, store.read() as connection:
        ((first, digest),) = sealed_labels.files(connection, 61)
        assert sealed_labels.files(connection, 59) == []
        rows = leaf_labels.read(store.files.get(digest), "labels", first, 60).to_pylist()
    assert first == 0
    by_leaf = {row["leaf"]: row for row in rows}
    for n in range(1, 60):
        vote = labelled(n)
        rules = (
            (vote.get("anonymous") is False) * 1 + (vote.get("refusal") is True) * 2
            + (vote.get("deduplicated") is True) * 4 + (vote.get("identity_leak") is True) * 8
        )  # fmt: skip
        named = sorted({*(vote.get("categories") or ()), *([vote["category"]] if vote.get("category") else [])})
        row = by_leaf.get(n, {"rules": 0, "categories": [], "language": None})
        assert (row["rules"], row["categories"], row["language"]) == (rules, named, vote["language"]), n
    assert all(row["rules"] or row["categories"] or row["language"] for row in rows)


def test_the_longest_lists_of_categories_are_stored_and_longer_ones_are_rejected(board: Board) -> None:
    def named(size: int) -> list[str]:
        digits = np.random.default_rng(size).integers(0x4E00, 0x9FFF, 660)  # 3 bytes each, and not to be compressed
        return [*("".join(map(chr, part)) for part in np.array_split(digits, 4)), "x" * (size - 1_996)]

    lists = [named(2_000), named(2_001), ["a"] * 63, [f"{n}" for n in range(63)]]
    board.read(*(event(n, categories=one) for n, one in enumerate(lists)), event(5))
    jobs.seal(board.url)
    with board.store() as store, store.read() as connection:
        assert connection.scalars(sa.select(schema.reject.c.detail)).all() == [
            "categories: expected a JSON list of at most 2000 bytes, got 2001"
        ]
        found = sealed_boards.read_boards(connection, 4)
        assert sum(label.kind == "category" for label in found) == 5 + 1 + 63
        check(store, [4])
    jobs.verify_ledger(board.url)


@pytest.mark.parametrize("change", ["count", "total", "vote", "frequent", "file"])
def test_a_change_of_counts_labels_or_decisions_is_found(board: Board, change: str) -> None:
    board.read(*(labelled(n) for n in range(60)))
    jobs.seal(board.url)
    jobs.verify_ledger(board.url)
    with board.store() as store, store.write() as connection:
        boards = sealed_boards.boards_of(connection, [(1, 0)])
        if change == "count":
            connection.execute(sa.update(schema.segment).values(boards=sealed_boards.board_cells.pack(boards)))
            connection.execute(sa.delete(schema.sealed_total).where(schema.sealed_total.c.name.startswith("board/")))
            sealed_boards.add_segment(connection, 0, 60, boards)
        elif change == "total":
            sealed_boards.add_segment(connection, 60, 60, boards)
        elif change == "vote":
            connection.exec_driver_sql("UPDATE vote SET categories = 0 WHERE vote_id = 'vote 2'")
        elif change == "frequent":
            connection.exec_driver_sql('INSERT INTO frequent_vote SELECT partition_no, "offset" FROM vote LIMIT 1')
        else:
            ((_, digest),) = sealed_labels.files(connection, 60)
            path = store.files.path(digest)
            path.write_bytes(path.read_bytes()[:-30] + bytes(30))
    with pytest.raises(VerificationFailed, match=r"leaf|counts|totals|labels"):
        jobs.verify_ledger(board.url)


@pytest.mark.parametrize("limit", [0, 3])
def test_labels_beyond_the_limit_have_no_counts_and_every_other_count_stays(
    board: Board, limit: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for module in (board_cells, board_recount):
        monkeypatch.setattr(module, "MAX_LABELS", limit)
    board.read(*(event(n, category=("maths", "code", "maths", f"odd {n}")[n % 4]) for n in range(40)))
    jobs.seal(board.url)
    said = "categories and languages are not counted"
    assert f"{14 - limit} {said}, because the log has {limit} already, which is the limit" in caplog.text
    board.read(*(event(n, category=("maths", "new")[n % 2]) for n in range(40, 60)))
    jobs.seal(board.url)
    with board.store() as store, store.read() as connection:
        found = sealed_boards.read_boards(connection, 60)
        assert sealed_boards.totals_match_segments(connection)
        board_recount.compare_counts(connection, store.files)
        labels = sealed_boards.counted_labels(connection, 60)
    votes = {label: int(rows[:, 5].sum()) for label, rows in found.items()}
    assert votes[ALL] == 60
    expected = {Label("category", "maths"): 30, Label("language", "en"): 20, Label("language", "fr"): 20}
    assert {label: votes[label] for label in labels} == ({} if limit == 0 else expected)


def test_a_missing_board_is_a_fault_while_there_is_room(board: Board) -> None:
    board.read(*(event(n, category="maths") for n in range(20)))
    jobs.seal(board.url)
    with board.store() as store, store.write() as connection:
        segment = schema.segment.c
        counts = board_cells.unpack(bytes(connection.scalar(sa.select(segment.boards)) or b""))
        del counts[Label("category", "maths")]
        connection.execute(sa.update(schema.segment).values(boards=board_cells.pack(counts)))
        with pytest.raises(Refuted, match="its counts of the board category maths are not those of its files"):
            board_recount.compare_counts(connection, store.files)
