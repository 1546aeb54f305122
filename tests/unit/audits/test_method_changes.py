"""Changes of a method: planted ones are found at their date, single moves are none, clean histories have none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from pipeline.audits.common_movement import common_movement
from pipeline.audits.method_changes import MethodHistory, method_history
from pipeline.formats.published_boards import PublishedBoard, read_published_boards

REAL = Path(__file__).parents[4] / "shared" / "data" / "lmarena_leaderboard_snapshots_fboulnois.csv"
DAY = 12
PLANTED = (date(2025, 1, 1) + timedelta(7 * (DAY - 1)), date(2025, 1, 1) + timedelta(7 * DAY))


def walk(
    rng: np.random.Generator, models: int, days: int = 25, step: float = 2.0, *, rounded: bool = False
) -> list[PublishedBoard]:
    """A clean history: ratings walk, votes grow, intervals follow the votes."""
    rating = 1000 + 100 * rng.standard_normal(models)
    votes = rng.integers(500, 20_000, models)
    nothing = np.full(models, np.nan)
    boards = []
    for day in range(days):
        half = 1.96 * 350 / np.sqrt(votes) * np.exp(0.03 * rng.standard_normal(models))
        score, half = (rating.round(), half.round() + 1) if rounded else (rating.copy(), half)
        boards.append(
            PublishedBoard(
                "text", date(2025, 1, 1) + timedelta(7 * day), tuple(f"m{i}" for i in range(models)), nothing, nothing,
                score, score - half, score + half, votes.copy(), ("",) * models, ("MIT",) * models,
            )
        )  # fmt: skip
        rating = rating + step * rng.standard_normal(models)
        votes = votes + rng.integers(0, 1500, models)
    return boards


def changed(boards: list[PublishedBoard], change: Callable[[PublishedBoard], PublishedBoard]) -> MethodHistory:
    """Apply a change from a date on."""
    return method_history([*boards[:DAY], *map(change, boards[DAY:])])


def mapped(board: PublishedBoard, rating: Callable[[np.ndarray], np.ndarray]) -> PublishedBoard:
    return replace(board, score=rating(board.score), lower=rating(board.lower), upper=rating(board.upper))


@pytest.mark.long
def test_clean_histories_have_no_change_and_no_single_move() -> None:
    """200 histories of 12 transitions: small and large boards, slow and fast walks, rounded and exact figures."""
    rng = np.random.default_rng(11)
    alarms: Counter[str] = Counter()
    compared = 0
    for i in range(200):
        boards = walk(
            rng, int(rng.integers(5, 90)), days=13, step=float(rng.choice([0.5, 2.0, 6.0])), rounded=bool(i % 2)
        )
        found = method_history(boards)
        compared += found.compared
        alarms["change"] += bool(found.changes)
        alarms["move"] += bool(found.moves)
    assert compared == 200 * 12
    assert alarms["change"] <= 2
    assert alarms["move"] <= 2


@pytest.mark.long
@pytest.mark.parametrize("heavy", ["laplace", "t", "unequal"])
def test_walks_with_large_steps_of_some_models_are_no_change(heavy: str) -> None:
    rng = np.random.default_rng(12)
    found = []
    for _ in range(30):
        boards = walk(rng, 40, step=0.0)
        scale = np.exp(rng.standard_normal(40))
        drift = np.zeros(40)
        moved = []
        for board in boards:
            step = {
                "laplace": rng.laplace(0, 3, 40),
                "t": 3 * rng.standard_t(2, 40),
                "unequal": 2 * scale * rng.normal(size=40),
            }[heavy]
            drift = drift + step
            moved.append(mapped(board, lambda values, by=drift: values + by))
        found.append(bool(method_history(moved).changes))
    assert sum(found) == 0


@pytest.mark.parametrize("points", [8.0, -12.0, 60.0])
def test_a_common_shift_is_found_at_its_date(points: float) -> None:
    found = changed(walk(np.random.default_rng(1), 40), lambda board: mapped(board, lambda values: values + points))
    (change,) = found.changes
    assert (change.kind, change.start, change.end) == ("shift", *PLANTED)
    assert change.shift == pytest.approx(points, abs=1.5)
    assert (change.compared, change.scale, found.moves) == (40, 1.0, ())


@pytest.mark.parametrize("factor", [1.1, 0.9, 2.0, 0.01])
def test_a_rescaling_is_found_with_its_factor(factor: float) -> None:
    boards = walk(np.random.default_rng(2), 40)
    found = changed(boards, lambda board: mapped(board, lambda values: 1000 + factor * (values - 1000)))
    rescaling = [change for change in found.changes if change.kind == "rescaling"]
    assert [(change.start, change.end) for change in rescaling] == [PLANTED]
    assert rescaling[0].scale == pytest.approx(factor, rel=0.02)
    assert found.moves == ()


def test_intervals_that_widen_for_all_are_found_and_not_a_shift() -> None:
    boards = walk(np.random.default_rng(3), 30, rounded=True)
    found = changed(
        boards,
        lambda one: replace(
            one, lower=one.score - 1.6 * (one.score - one.lower), upper=one.score + 1.6 * (one.upper - one.score)
        ),
    )
    (change,) = found.changes
    assert (change.kind, change.start, change.end) == ("intervals", *PLANTED)
    assert change.factor == pytest.approx(1.6, rel=0.1)


def test_intervals_that_widen_as_votes_are_removed_are_a_recount_alone() -> None:
    rng = np.random.default_rng(4)
    share = rng.uniform(0.4, 0.6, 30)

    def dedup(board: PublishedBoard) -> PublishedBoard:
        half = (board.upper - board.score) / np.sqrt(share)
        return replace(
            board, votes=(board.votes * share).astype(int), lower=board.score - half, upper=board.score + half
        )

    (change,) = changed(walk(rng, 30), dedup).changes
    assert (change.kind, change.start, change.end) == ("recount", *PLANTED)
    assert (change.agreeing, change.compared) == (30, 30)
    assert change.factor == pytest.approx(0.52, abs=0.06)


def test_votes_that_fall_for_some_models_are_no_recount() -> None:
    def fall(board: PublishedBoard) -> PublishedBoard:
        votes = board.votes.copy()
        votes[:15] //= 2
        return replace(board, votes=votes)

    assert [c for c in changed(walk(np.random.default_rng(5), 30), fall).changes if c.kind == "recount"] == []


@pytest.mark.parametrize("shift", [0.0, 40.0])
def test_moves_of_single_models_are_told_from_the_movement_of_all(shift: float) -> None:
    def move(board: PublishedBoard) -> PublishedBoard:
        by = np.full(40, shift)
        by[[3, 17]] += [150.0, -90.0]
        return mapped(board, lambda values: values + by)

    found = changed(walk(np.random.default_rng(6), 40), move)
    assert [change.kind for change in found.changes] == (["shift"] if shift else [])
    assert [(one.model, one.start, one.end) for one in found.moves] == [("m3", *PLANTED), ("m17", *PLANTED)]
    assert [one.after - one.expected for one in found.moves] == pytest.approx([150.0, -90.0], abs=8)


def test_another_model_of_the_votes_is_a_refit() -> None:
    """Every rating moves by its own amount, as under style control."""
    rng = np.random.default_rng(7)
    by = 40 * rng.standard_normal(60)
    found = changed(walk(rng, 60, step=0.5), lambda board: mapped(board, lambda values: values + by))
    assert [(change.kind, change.start) for change in found.changes if change.kind == "refit"] == [
        ("refit", PLANTED[0])
    ]
    assert found.moves == ()


def test_ratings_that_drift_over_a_long_gap_are_no_refit() -> None:
    """Daily snapshots, then none for eighty days: the drift of each model is nine times that of a day."""
    rng = np.random.default_rng(10)
    rating, boards = 1000 + 100 * rng.standard_normal(50), []
    for gap in [1] * 12 + [80] + [1] * 12:
        rating = rating + 5 * np.sqrt(gap) * rng.standard_normal(50)
        day = boards[-1].day + timedelta(gap) if boards else date(2025, 1, 1)
        (first,) = walk(rng, 50, 1)
        boards.append(replace(first, day=day, score=rating, lower=rating - 5, upper=rating + 5))
    assert [change.kind for change in method_history(boards).changes] == []


def test_few_models_or_equal_ratings_are_not_compared() -> None:
    boards = walk(np.random.default_rng(8), 4)
    assert changed(boards, lambda board: mapped(board, lambda values: values + 500)) == MethodHistory((), (), 0)
    equal = [replace(board, score=np.full(20, 1000.0)) for board in walk(np.random.default_rng(9), 20)]
    assert method_history(equal).compared == 0
    assert method_history(boards[:1]).compared == 0


def test_a_small_board_shows_what_is_plain_and_nothing_else() -> None:
    """Eight models: a move of one of them is none of all; a shift and a recount of all are seen."""
    alone, together, fewer = (walk(np.random.default_rng(seed), 8, step=1.0) for seed in (1, 2, 3))
    by = np.where(np.arange(8) == 2, 200.0, 0.0)
    found = changed(alone, lambda board: mapped(board, lambda values: values + by))
    assert (found.changes, [one.model for one in found.moves]) == ((), ["m2"])
    found = changed(together, lambda board: mapped(board, lambda values: values + 25))
    assert ([change.kind for change in found.changes], found.moves) == (["shift"], ())
    found = changed(fewer[:], lambda board: replace(board, votes=board.votes * 2 // 3))
    assert "recount" in [change.kind for change in found.changes]


@pytest.mark.long
@pytest.mark.parametrize("models", [5, 8, 10, 20])
def test_few_models_raise_no_more_alarms_than_the_threshold_says(models: int) -> None:
    """Two tests of 1e-5 for each of 4,000 transitions: 0.08 alarms are expected, more than two are a fault."""
    rng = np.random.default_rng(models)
    alarms = 0
    for _ in range(4_000):
        first, second = walk(rng, models, 2, step=3.0)
        movement = common_movement(first, second)
        alarms += movement is not None and (movement.shift_stands or movement.scale_stands)
    assert alarms <= 2


@pytest.mark.beside
def test_the_shifts_of_the_public_text_board_are_found() -> None:
    """The whole board moved by −3, +10 and +5 points; every rating of the file shows it."""
    found = {name: method_history(boards) for name, boards in read_published_boards(REAL).items()}
    shifts = [(change.kind, str(change.end), change.shift) for change in found["lmsys"].changes]
    assert shifts == [("shift", "2025-05-20", -3.0), ("shift", "2025-06-03", 10.0), ("shift", "2025-06-12", 5.0)]
    assert not any(one.changes for name, one in found.items() if name != "lmsys")
