"""Renames: suggested with their evidence, never applied by themselves, joined when a person states them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.audits.board_history import board_history
from pipeline.audits.renamed_models import apply_renames, suggest_renames
from pipeline.errors import BadInput, BadRecord, UnknownFormat
from pipeline.formats.published_boards import PublishedBoard, read_published_boards
from pipeline.formats.published_boards.rename_file import read_renames
from tests.unit.audits.test_method_changes import REAL, walk

DAY = 10


def boards(models: int = 30) -> list[PublishedBoard]:
    organizations = tuple(f"org {i % 6}" for i in range(models))
    return [replace(board, organizations=organizations) for board in walk(np.random.default_rng(1), models)]


def renamed(board: PublishedBoard, **names: str) -> PublishedBoard:
    return replace(board, models=tuple(names.get(model, model) for model in board.models))


def planted(**names: str) -> list[PublishedBoard]:
    history = boards()
    return [*history[:DAY], *(renamed(board, **names) for board in history[DAY:])]


def test_a_rename_is_suggested_with_its_evidence() -> None:
    history = planted(m4="m4-preview", m11="mistral [x]")
    found = {one.old: one for one in suggest_renames(history)}
    assert {old: one.new for old, one in found.items()} == {"m4": "m4-preview", "m11": "mistral [x]"}
    one, before, after = found["m4"], history[DAY - 1], history[DAY]
    assert (one.last_seen, one.first_seen) == (before.day, after.day)
    assert (one.old_rating, one.new_rating) == (before.score[4], after.score[4])
    assert (one.old_votes, one.new_votes) == (before.votes[4], after.votes[4])
    assert (one.organizations, one.rivals) == (("org 4", "org 4"), 0)
    assert abs(one.new_rating - one.expected) <= one.tolerance
    assert one.similarity > found["m11"].similarity


def test_a_history_without_renames_has_no_suggestion() -> None:
    assert suggest_renames(boards()) == ()
    joined = board_history(boards())
    assert not joined.gone


@pytest.mark.parametrize("what", ["rating", "fewer votes", "more votes", "organization", "another day"])
def test_names_with_other_figures_are_not_suggested(what: str) -> None:
    history = planted(m4="other")
    first = history[DAY]
    changes = {
        "rating": {"score": first.score + np.where(np.arange(30) == 4, 60, 0)},
        "fewer votes": {"votes": np.where(np.arange(30) == 4, first.votes // 2, first.votes)},
        "more votes": {"votes": np.where(np.arange(30) == 4, first.votes * 3, first.votes)},
        "organization": {"organizations": (*first.organizations[:4], "elsewhere", *first.organizations[5:])},
        "another day": {"models": tuple("m4" if i == 29 else f"m{i}" if i != 4 else "m4b" for i in range(30))},
    }[what]
    if what == "another day":  # the old name leaves a snapshot later than the new one comes
        history[DAY] = replace(first, models=(*first.models[:29], "m4"))
    else:
        history[DAY] = replace(first, **changes)
    assert "other" not in {one.new for one in suggest_renames(history)}


def test_a_rename_is_found_across_a_shift_of_all_ratings() -> None:
    history = planted(m4="other")
    moved = [
        replace(board, score=board.score + 80, lower=board.lower + 80, upper=board.upper + 80)
        for board in history[DAY:]
    ]
    (one,) = suggest_renames([*history[:DAY], *moved])
    assert (one.old, one.new) == ("m4", "other")
    assert one.expected == pytest.approx(one.old_rating + 80, abs=2)


def test_the_nearest_pair_is_chosen_and_rivals_are_counted() -> None:
    history = boards()
    alike = [
        replace(
            board,
            organizations=("org",) * 30,
            score=np.where(np.arange(30) == 5, board.score[4] + 3, board.score),
            votes=np.where(np.arange(30) == 5, board.votes[4] + 40, board.votes),
        )
        for board in history
    ]
    names = {"m4": "new four", "m5": "new five"}
    found = suggest_renames([*alike[:DAY], *(renamed(board, **names) for board in alike[DAY:])])
    assert {one.old: one.new for one in found} == names
    assert all(one.rivals >= 1 for one in found)


def test_stated_renames_join_a_history_and_leave_no_name_gone() -> None:
    history = planted(m4="other")
    assert [one.model for one in board_history(history).gone] == ["m4"]
    joined, applied = apply_renames(history, {"m4": "middle", "middle": "other", "never": "seen"})
    assert applied == {"m4"}
    assert board_history(joined).gone == ()
    assert suggest_renames(joined) == ()
    assert joined[0].models[4] == "other"
    assert [board.models for board in history] == [board.models for board in planted(m4="other")]


def test_names_in_a_circle_are_refused() -> None:
    with pytest.raises(BadInput, match="a → b → a"):
        apply_renames(boards(), {"a": "b", "b": "a"})


# --- the file


def test_a_file_of_renames_is_read_as_csv_and_json(tmp_path: Path) -> None:
    expected = {"ant": "bee", "c,d": "=e"}
    table = tmp_path / "renames.csv"
    with table.open("w", newline="") as text:
        csv.writer(text).writerows(
            [["board", "old", "new"], ["x", "ant", "bee"], ["x", "c,d", "'=e"], ["y", "ant", "bee"]]
        )
    assert read_renames(table) == expected
    for document in (expected, [{"old": old, "new": new} for old, new in expected.items()]):
        (tmp_path / "renames.json").write_text(json.dumps(document))
        assert read_renames(tmp_path / "renames.json") == expected


@pytest.mark.parametrize(
    ("name", "text", "error", "message"),
    [
        ("r.csv", "from,to\na,b\n", UnknownFormat, "expected the columns old and new, got ['from', 'to']"),
        ("r.csv", "old,new\na,b\nc,\n", BadRecord, "record 1: rename: expected an old and a new name, got 'c' and ''"),
        ("r.csv", "old,new\na,b\na,c\n", BadRecord, "expected one new name for 'a', got 'b' and 'c'"),
        ("r.json", "{", UnknownFormat, "expected JSON"),
        ("r.json", "[1]", UnknownFormat, "expected {"),
        ("r.json", '{"a": 1}', BadRecord, "record 0"),
    ],
)
def test_a_wrong_file_of_renames_is_explained(
    tmp_path: Path, name: str, text: str, error: type[Exception], message: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(error) as raised:
        read_renames(tmp_path / name)
    assert message in str(raised.value)
    assert str(raised.value).startswith(name)


@pytest.mark.beside
def test_renames_of_the_public_text_board_are_suggested() -> None:
    found = {one.old: one.new for one in suggest_renames(read_published_boards(REAL)["lmsys"])}
    for old, new in (
        ("Command R+", "Command R+ (04-2024)"),
        ("Claude 3.5 Sonnet", "Claude 3.5 Sonnet (20240620)"),
        ("Gemini-1.5-Pro-API-0514", "Gemini-1.5-Pro-001"),
        ("Bard (Gemini Pro)", "Gemini App (2024-01-24)"),
        ("Llama-3-70b-Instruct", "Llama-3-70B-Instruct"),
    ):
        assert found[old] == new
    assert len(found) >= 35
