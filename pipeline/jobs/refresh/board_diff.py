"""Computes why ranks changed between two snapshots.

The change from the older board to the newer is split into three steps, and the board is rated after each step. The
first step applies the settings of the newer snapshot, the second its exclusions, the third its new votes. For each
model the rating changes of the three steps sum to the whole change. The result also has a model's new battles, the
score that the old board expected in them, and the models that it passed.

Laws: the same two snapshots always give the same result. The changes of the steps sum to the whole change except for
rounding. If the board cannot be rated after a step, the changes are None and a reason is given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from pipeline.errors import RatingError, Usage
from pipeline.jobs.refresh.board_rows import rate_view
from pipeline.jobs.refresh.rating_input import RatingInput, counted_fates, read_rating_input
from pipeline.jobs.refresh.style_view import rate_style_view
from pipeline.ledger import segment
from pipeline.ratings import POINTS_PER_LOGIT, Leaderboard, PairCounts
from pipeline.settings import Settings
from pipeline.store.boards import excluded_votes, snapshots
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.db import dialect
from pipeline.store.db.ledger_files import LedgerFiles
from pipeline.store.log import leaf_index

STEPS = ("settings", "exclusions", "votes")
# Settings that a rating of given votes depends on.
_RATING = ("anchor", "least_share")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewBattles:
    """The new battles of a model.

    Attributes:
        votes: number of new battles.
        wins: number of new battles that the model won.
        losses: number of new battles that the model lost.
        score: (wins + half of the ties) / new battles; None without new battles.
        expected: the score that the old board predicts against models that it rates; None without such battles.
    """

    votes: int
    wins: int
    losses: int
    score: float | None
    expected: float | None


@dataclass(frozen=True, slots=True)
class ModelMove:
    """How a model moved from the older board to the newer.

    Attributes:
        model: name of the model.
        before: the model's row on the older board; None if that board lacks the model.
        after: the model's row on the newer board; None if that board lacks the model.
        points: step (of STEPS) → rating change of the model, rounded to 0.01; None if the step has no rating.
        battles: the model's new battles.
        passed: models that were above this model and are now below it, nearest first.
        passed_by: models that were below this model and are now above it, nearest first.
    """

    model: str
    before: Row | None
    after: Row | None
    points: Mapping[str, float | None]
    battles: NewBattles
    passed: tuple[str, ...]
    passed_by: tuple[str, ...]

    @property
    def places(self) -> int | None:
        """Number of places gained (positive) or lost (negative); None for a model that is on one board only."""
        if self.before is None or self.after is None:
            return None
        return int(self.before["rank"] - self.after["rank"])

    @property
    def rating_change(self) -> float | None:
        """Rating after minus rating before, in points; None for a model that is on one board only."""
        if self.before is None or self.after is None:
            return None
        return round(float(self.after["rating"] - self.before["rating"]), 2)


@dataclass(frozen=True, slots=True)
class BoardDiff:
    """All changes of one view between two snapshots.

    Attributes:
        before: the older snapshot.
        after: the newer snapshot.
        view: name of the view.
        moves: one entry for each model of either board, largest rise first.
        excluded: exclusions that only the newer snapshot has.
        restored: exclusions that only the older snapshot has.
        settings: name → values before and after, for each setting that differs.
        votes: number of new votes that the view counts.
        missing_points_reason: why some `points` are None; "" if none are.
    """

    before: PublishedSnapshot
    after: PublishedSnapshot
    view: str
    moves: tuple[ModelMove, ...]
    excluded: tuple[Mapping[str, str], ...]
    restored: tuple[Mapping[str, str], ...]
    settings: Mapping[str, tuple[Any, Any]]
    votes: int
    missing_points_reason: str


def compare_snapshots(
    connection: Connection, files: LedgerFiles, before: PublishedSnapshot, after: PublishedSnapshot, view: str
) -> BoardDiff:
    """Compare a view of an older snapshot `before` with that of a newer snapshot `after`.

    Raises:
        Usage: `before` is newer than `after`, or a snapshot does not have this view.
    """
    if before.sequence > after.sequence:
        raise Usage(f"expected the older snapshot first, got {before.sequence} and then {after.sequence}")
    for one in (before, after):
        if view not in one.body["views"]:
            raise Usage(f"expected a snapshot with a view {view}, got {one.snapshot_id[:12]}")
    old = {row["model"]: row for row in snapshots.read_rows(connection, before.snapshot_id, view)}
    new = {row["model"]: row for row in snapshots.read_rows(connection, after.snapshot_id, view)}
    inputs = ((before, before), (before, after), (after, after))
    counted = [_input(connection, files, log.log_size, by) for log, by in inputs]
    points, reason = _points(before, after, view, counted, old, new)
    fresh = _new_votes(_counts(counted[2], view), _counts(counted[1], view))
    battles = _battles(fresh, old)
    passes = _find_passes(old, new)
    found = []
    for model in old.keys() | new.keys():
        gained, fought = points.get(model, dict.fromkeys(STEPS)), battles.get(model, NewBattles(0, 0, 0, None, None))
        found.append(ModelMove(model, old.get(model), new.get(model), gained, fought, *passes.get(model, ((), ()))))
    excluded, restored, changed = snapshot_differences(before, after)
    moves = tuple(sorted(found, key=_biggest_rise))
    return BoardDiff(before, after, view, moves, excluded, restored, changed, fresh.total, reason)


def snapshot_differences(
    before: PublishedSnapshot, after: PublishedSnapshot
) -> tuple[tuple[Mapping[str, str], ...], tuple[Mapping[str, str], ...], dict[str, tuple[Any, Any]]]:
    """Compare the exclusions and the settings of two snapshots.

    Returns:
        The exclusions that were added, the exclusions that were undone, and name → values before and after of each
            setting that differs.
    """
    old, new = ({_key(e): e for e in one.body["exclusions"]} for one in (before, after))
    added = tuple(e for key, e in new.items() if key not in old)
    return added, tuple(e for key, e in old.items() if key not in new), _settings(before, after)


def _points(
    before: PublishedSnapshot,
    after: PublishedSnapshot,
    view: str,
    counted: Sequence[RatingInput],
    old: Mapping[str, Row],
    new: Mapping[str, Row],
) -> tuple[dict[str, dict[str, float | None]], str]:
    """Return the points of each step for every model on both boards, and why some points are None."""
    options = [_options(one) for one in (before, after)]
    reason = ""
    ratings: list[Mapping[str, float] | None] = [{model: row["rating"] for model, row in old.items()}]
    for step, changed in ((0, options[0] != options[1]), (1, _changed(counted[0], counted[1], view))):
        if not changed:
            ratings.append(ratings[-1])
            continue
        try:
            ratings.append(_ratings(counted[step], view, options[1]))
        except RatingError as error:
            reason = f"{STEPS[step]}: {error}"
            ratings.append(None)
    ratings.append({model: row["rating"] for model, row in new.items()})
    points: dict[str, dict[str, float | None]] = {}
    for model in old.keys() & new.keys():
        at = [None if one is None else one.get(model) for one in ratings]
        points[model] = {
            step: None if first is None or second is None else round(second - first, 2) + 0.0
            for step, first, second in zip(STEPS, at, at[1:], strict=False)
        }
    return points, reason


def _changed(first: RatingInput, second: RatingInput, view: str) -> bool:
    """Return whether the exclusions change the counts of the view."""
    if view == "raw":
        return False
    old, new = (_counts(one, view).win_matrix() for one in (first, second))
    return first.excluded != second.excluded or not np.array_equal(old, new)


def _counts(given: RatingInput, view: str) -> PairCounts:
    if view != "style":
        return given.views[view]
    labels = given.views["raw"].models
    place = {given.model_no[name]: at for at, name in enumerate(labels)}
    a, b = (np.array([place[number] for number in codes.tolist()], dtype=np.int64)
            for codes in (given.styled.model_a, given.styled.model_b))  # fmt: skip
    return PairCounts.from_codes(labels, a, b, given.styled.outcome)


def _ratings(given: RatingInput, view: str, options: Settings) -> Mapping[str, float]:
    shown: Leaderboard | None
    if view == "style":
        styled = rate_style_view(given.styled, {number: name for name, number in given.model_no.items()}, options)
        shown = styled.board
        if shown is None:
            raise RatingError(styled.reason)
    else:
        shown = rate_view(given.views[view], options)
    return dict(zip(shown.models, shown.rating.tolist(), strict=True))


def _new_votes(after: PairCounts, before: PairCounts) -> PairCounts:
    """Return by how much each count grew: 0 where more votes were retracted than cast."""
    size, table = len(after.models), after.table().copy()
    pairs, known = after.a * size + after.b, before.a * size + before.b
    both = np.isin(pairs, known)
    table[both] -= before.table()[np.searchsorted(known, pairs[both])]
    return PairCounts.from_rows(after.models, after.a, after.b, np.maximum(table, 0))


def _input(connection: Connection, files: LedgerFiles, log_size: int, by: PublishedSnapshot) -> RatingInput:
    """Return the votes of a log as a snapshot counts them."""
    waiting, listed = by.body.get("unregistered", ()), by.body["exclusions"]
    left_out = None
    if not dialect.may_read(connection, "vote", "voter"):
        # Exclusions name voters, whom this database role cannot look up; the snapshot's file names the leaves.
        leaves = segment.read_excluded(files.get(by.body["excluded"]["sha256"]), by.snapshot_id)["leaf"].to_pylist()
        places = leaf_index.find_votes(connection, [leaf for leaf in leaves if leaf < log_size])
        left_out = excluded_votes.read_votes_at(connection, places.values())
    return read_rating_input(connection, log_size, listed, left_out, counted_fates(by.body), waiting)


def _options(snapshot: PublishedSnapshot) -> Settings:
    """Return the settings of a snapshot that ratings depend on, without those that this version does not know."""
    known = Settings.model_fields.keys() & set(_RATING)
    return Settings(**{name: value for name, value in snapshot.body["settings"].items() if name in known})


def _settings(before: PublishedSnapshot, after: PublishedSnapshot) -> dict[str, tuple[Any, Any]]:
    old, new = before.body["settings"], after.body["settings"]
    values = {name: (old.get(name), new.get(name)) for name in sorted(old.keys() | new.keys())}
    return {name: pair for name, pair in values.items() if pair[0] != pair[1]}


def _battles(fresh: PairCounts, old: Mapping[str, Row]) -> dict[str, NewBattles]:
    won, tied = fresh.decisive_matrix(), fresh.tie_matrix()
    rating = np.array([old[model]["rating"] if model in old else np.nan for model in fresh.models])
    chance = 1 / (1 + np.exp((rating[None, :] - rating[:, None]) / POINTS_PER_LOGIT))
    fought = won + won.T + tied
    rated = ~np.isnan(chance)
    known = (fought * rated).sum(axis=1)
    expected = (fought * np.nan_to_num(chance)).sum(axis=1)
    wins, losses, votes = won.sum(axis=1), won.sum(axis=0), fought.sum(axis=1)
    scored = wins + tied.sum(axis=1) / 2
    return {
        model: NewBattles(
            int(votes[i]), int(wins[i]), int(losses[i]),
            round(float(scored[i] / votes[i]), 4) if votes[i] else None,
            round(float(expected[i] / known[i]), 4) if known[i] else None,
        )
        for i, model in enumerate(fresh.models)
    }  # fmt: skip


def _find_passes(old: Mapping[str, Row], new: Mapping[str, Row]) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return for each model on both boards the models that it passed and those that passed it, nearest first."""
    both = sorted(old.keys() & new.keys(), key=lambda model: (new[model]["rank"], model))
    found: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
    for place, model in enumerate(both):
        was = old[model]["rank"]
        below, above = both[place + 1 :], reversed(both[:place])
        passed = tuple(m for m in below if old[m]["rank"] < was and new[m]["rank"] > new[model]["rank"])
        by = tuple(m for m in above if old[m]["rank"] > was and new[m]["rank"] < new[model]["rank"])
        found[model] = (passed, by)
    return found


def _key(entry: Mapping[str, str]) -> tuple[str, str]:
    return entry["kind"], entry["target"]


def _biggest_rise(move: ModelMove) -> tuple[bool, int, float, str]:
    return (move.places is None, -(move.places or 0), -(move.rating_change or 0.0), move.model)
