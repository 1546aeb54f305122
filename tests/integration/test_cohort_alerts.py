"""Alerts of a nightly run about cohorts and habits: their texts, and what a person excludes; on both databases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from pipeline import jobs
from pipeline.jobs.backlog.backlog_input import BacklogInput
from pipeline.store.boards import exclusion_list
from pipeline.store.db import schema
from pipeline.store.votes import unchecked_votes
from tests.command import called
from tests.integration.board_of_votes import OPTIONS, Board, event, using
from tests.streams.attacks import Attack, make_attack
from tests.streams.independent import NEVER, BoardSpec, Votes, make_board, records

SPEC = BoardSpec(days=20, votes_a_day=400.0, models=12, taste=0.3, seed=5)
SETTINGS = OPTIONS.model_copy(update={"method": "none", "backfill": "iterated"})
FARM = Attack("promote", 80, 2, target=7, first_day=12, days=1.0, age_days=300, abstain=True, networks=150)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    url = f"sqlite:///{tmp_path / 'board.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with using(SETTINGS.model_copy(update={"ledger": str(tmp_path / "ledger")})):
        yield Board(url, tmp_path, SETTINGS)


def run(board: Board, *words: str) -> str:
    keys = {"INTEGRITY_VOTER_KEY": SETTINGS.voter_key, "INTEGRITY_LEDGER": str(board.folder / "ledger")}
    done = called(*words, "--store", board.url, settings={**keys, "COLUMNS": "200"})
    assert done.returncode == 0, done
    return done.stdout


def alerts(board: Board) -> dict[str, list[dict[str, Any]]]:
    """The alerts by detector."""
    with board.store() as store, store.read() as connection:
        a = schema.alert
        rows = [dict(row) for row in connection.execute(sa.select(a).order_by(a.c.alert_id)).mappings()]
    return {name: [row for row in rows if row["detector"] == name] for name in {row["detector"] for row in rows}}


def excluded(board: Board) -> list[tuple[str, str]]:
    with board.store() as store, store.read() as connection:
        return [(one.kind, one.target) for one in exclusion_list.read_active(connection)]


def attacks() -> Votes:
    """An honest board, accounts of unknown age for one model, and accounts that use one prompt for another."""
    honest = make_board(SPEC)
    unknown = replace(make_attack(honest, FARM), since=np.full(160, NEVER))
    prompt = replace(make_attack(honest, replace(FARM, target=3, number=1)), prompt=np.full(160, 77))
    return honest.votes.merge(unknown, prompt)


def styled(votes: Votes) -> Iterator[dict[str, Any]]:
    """The votes with style counts; the three busiest honest voters always choose the longer answer."""
    rng = np.random.default_rng(6)
    names, number = np.unique(votes.voter[~votes.attack], return_counts=True)
    hasty = set(names[np.argsort(number)[-3:]].tolist())
    for one, voter in zip(records(votes), votes.voter.tolist(), strict=True):
        a, b = rng.integers(1, 900, 2).tolist()
        more = {"style_a": {"tokens": a}, "style_b": {"tokens": b}}
        winner = {"winner": "model_a" if a > b else "model_b"} if voter in hasty else {}
        yield one | more | winner


@pytest.mark.long
def test_cohorts_and_habits_are_told_and_a_person_excludes_a_cohort(board: Board) -> None:
    votes = attacks()
    board.read(*styled(votes))
    jobs.reevaluate(board.url)
    told = alerts(board)
    (age,), (prompt,) = told["pooled_age"], told["pooled_prompt"]
    assert (age["subject"], age["direction"]) == ("m007", "promoted by accounts of unknown age")
    assert (prompt["subject"], prompt["direction"].rsplit(" ", 1)[0]) == ("m003", "promoted under prompt")
    assert len(told["voter_habit"]) == 3
    assert {one["direction"] for one in told["voter_habit"]} == {"prefers longer answers"}
    assert {row["severity"] for rows in told.values() for row in rows} == {"warning"}
    assert "unknown age" in run(board, "alerts", "show", age["alert_id"])
    habit = run(board, "alerts", "show", told["voter_habit"][0]["alert_id"])
    assert "prefers longer answers" in habit
    assert "a machine never excludes" in " ".join(habit.split())

    before = alerts(board)
    jobs.reevaluate(board.url)
    assert alerts(board) == before, "the same votes open nothing twice"

    run(board, "alerts", "exclude", age["alert_id"], "--reason", "a farm")
    members = {("voter", row["subject"]) for row in told["pooled_voters"]}
    assert set(excluded(board)) == members
    assert len(members) >= 20, "two votes of an account name it only where the cohort does"
    run(board, "alerts", "exclude", prompt["alert_id"], "--reason", "one prompt")
    ((_, selected),) = set(excluded(board)) - members
    assert json.loads(selected)["prompt"] == json.loads(prompt["evidence"])["prompt"]


def test_prompts_sessions_and_styles_are_read_as_votes_state_them(board: Board) -> None:
    plain = {"tokens": 5, "headers": 0, "lists": 2, "bold": 1, "emoji": 0}
    longer = {"tokens": 9, "headers": 0, "lists": 1, "bold": 1, "emoji": 0}
    board.read(
        event(0, style_a=plain, style_b=longer, session="s"),
        event(1, style_a=longer, style_b={"tokens": 3}, session="t"),
        event(2, style_a=plain, session="s"),
        event(3, winner="both_bad", prompt_hash=None),
    )
    with board.store() as store, store.read() as connection:
        given = BacklogInput.read(connection, unchecked_votes.unpreceded_ranges(connection))
    columns = given.columns
    assert columns.style.tolist() == [[-1, 0, 1, 0, 0], [1, 0, 1, 1, 0], [0] * 5, [0] * 5]
    assert columns.session[0] == columns.session[2] != columns.session[1] != 0
    assert columns.session[3] == columns.prompt[3] == 0
    assert len(set(columns.prompt.tolist())) == 4
    assert given.habits().both_bad[np.argsort(given.votes.row)].tolist() == [False, False, False, True]
