"""Votes that the method leaves out are no evidence: they train nothing, and hide no attack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from pipeline.jobs import detector_replay
from pipeline.jobs.rebuild_windows import rebuild_windows
from pipeline.store.boards.reference_codec import read_reference
from pipeline.store.db import schema
from pipeline.store.votes import window_counts
from tests.integration.board_of_votes import OPTIONS, Board, event, using

HONEST, ATTACK, CAMOUFLAGE = 900, 60, 240
SHOPPER = "the attacker"


def biased(n: int) -> dict[str, Any]:
    """A vote for the weakest model, whoever it meets."""
    return event(5_000 + n, voter_id=SHOPPER, model_a="dog", model_b=("ant", "bee", "cat")[n % 3], winner="model_a")


def harmless(n: int) -> dict[str, Any]:
    """A vote with the names in view: the attacker votes as everybody does, and the weakest model loses."""
    return event(
        9_000 + n, voter_id=SHOPPER, model_a="dog", model_b=("ant", "bee", "cat")[n % 3], winner="model_b",
        anonymous=False,
    )  # fmt: skip


@contextmanager
def attacked(folder: Path, url: str, *, rule: bool, camouflage: int) -> Iterator[Board]:
    """A board, and an attacker after its first snapshot, among whose votes are some with the names in view."""
    folder.mkdir()
    method = folder / "method.toml"
    method.write_text(f'name = "mine"\n[rules]\nnot_anonymous = {str(rule).lower()}\n')
    options = OPTIONS.model_copy(update={"method": str(method), "auto_voter": False})
    with using(options):
        board = Board(url, folder, options)
        board.vote(HONEST)
        board.refresh()
        each = camouflage // ATTACK
        votes = []
        for n in range(ATTACK):
            minute = f"2026-03-02T{n // 60:02}:{n % 60:02}"
            votes += [{**harmless(n * each + k), "cast_at": f"{minute}:{k:02}Z"} for k in range(each)]
            votes.append({**biased(n), "cast_at": f"{minute}:30Z"})
        board.read(*votes)
        yield board


def evidence(board: Board) -> list[float]:
    """The evidence of each alert about a voter."""
    a = schema.alert.c
    query = sa.select(a.e_value).where(a.subject_kind == "voter", a.detector == "voter_bias")
    with board.store() as store, store.read() as connection:
        return sorted(connection.scalars(query))


def windows(board: Board) -> list[tuple[int, int, int, list[list[int]]]]:
    with board.store() as store, store.read() as connection:
        found = window_counts.read_range(connection, 0, 2**62)
    return [(one.start, one.accepted, one.late, np.asarray(one.counts).tolist()) for one in found]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    sqlite = request.param == "sqlite"
    return str(tmp_path / "store.db") if sqlite else str(request.getfixturevalue("postgres_url"))


@pytest.mark.long
def test_votes_that_never_count_hide_no_attack(url: str, tmp_path: Path) -> None:
    with attacked(tmp_path / "bare", str(tmp_path / "bare.db"), rule=True, camouflage=0) as bare:
        expected, counts = evidence(bare), windows(bare)
    assert expected[-1] > 10_000
    with attacked(tmp_path / "hidden", url, rule=True, camouflage=CAMOUFLAGE) as hidden:
        assert evidence(hidden) == expected
        assert windows(hidden) == counts
        with hidden.store() as store:
            with store.write() as connection:
                connection.execute(schema.meta.insert(), {"name": "windows_stale", "value": "0004"})
            rebuild_windows(store)
        assert windows(hidden) == counts
        again = detector_replay.replay_detector(hidden.url, "voter_bias")
        assert max(one["e_value"] for one in again) == expected[-1]
    with attacked(tmp_path / "counted", str(tmp_path / "counted.db"), rule=False, camouflage=CAMOUFLAGE) as counted:
        assert evidence(counted) == []


def test_a_voter_whose_votes_are_all_left_out_has_no_state(tmp_path: Path) -> None:
    with attacked(tmp_path / "board", str(tmp_path / "board.db"), rule=True, camouflage=0) as board:
        board.read(
            *(harmless(n) | {"voter_id": "a shopper"} for n in range(5)), event(8_000, voter_id="an honest voter")
        )
        with board.store() as store, store.read() as connection:
            voters = set(connection.scalars(sa.select(schema.voter_state.c.voter)))
            assert store.pseudonym("a shopper") not in voters
            assert store.pseudonym("an honest voter") in voters


def test_a_reference_keeps_the_rules_of_its_snapshot_and_an_old_one_has_none(tmp_path: Path) -> None:

    with attacked(tmp_path / "board", str(tmp_path / "board.db"), rule=True, camouflage=0) as board:
        with board.store() as store, store.read() as connection:
            reference = read_reference(connection, 1)
        assert reference is not None
        assert reference.left_out == 1
