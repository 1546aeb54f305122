"""Computes why ranks changed between two snapshots.

The change from the older board to the newer is split into four steps, and the board is rated after each step:

1. settings: the votes of the older snapshot are rated with the settings of the newer snapshot.
2. method: the rules of the newer method decide which votes are left out, rule by rule.
3. exclusions: the exclusions of the newer snapshot replace those of the older snapshot.
4. votes: the votes that were cast after the older snapshot are added.

The result also states for each model its new battles, the score that the older board expected in them, and which models
it passed.

The same two snapshots always give the same result. Except for rounding, the changes of the steps sum to the whole
change. If the board cannot be rated after a step, the changes of this step and the next are None and a reason is given.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.jobs.refresh.compared_snapshots import ComparedSnapshots
from pipeline.jobs.refresh.diff_steps import STEPS, Row, attribute_points, changed_rules
from pipeline.ratings import POINTS_PER_LOGIT, PairCounts
from pipeline.store.boards import board_listing
from pipeline.store.boards.hidden_models import HiddenModels
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.db.ledger_files import LedgerFiles

__all__ = ["STEPS", "BoardDiff", "ModelMove", "NewBattles", "compare_snapshots", "list_moves", "snapshot_differences"]


class NewBattles(msgspec.Struct, frozen=True):
    """The battles of a model that the newer of two snapshots counts and the older does not.

    Attributes:
        votes: number of new battles.
        wins: number of new battles that the model won.
        losses: number of new battles that the model lost.
        score: (wins + half of the ties) / new battles; None without new battles.
        expected: mean score that the old board predicts in the new battles against models that the old board rates;
            None without such battles.
    """

    votes: int
    wins: int
    losses: int
    score: float | None
    expected: float | None


class ModelMove(msgspec.Struct, frozen=True):
    """How a model moved from the older board to the newer.

    Attributes:
        model: name of the model.
        before: the model's row on the older board; None if that board lacks the model.
        after: the model's row on the newer board; None if that board lacks the model.
        points: step (of STEPS) → rating change of the model in points, rounded to 0.01. None if the board could not be
            rated before or after the step.
        battles: the model's new battles.
        passed: models that were above this model and are now below it, nearest first.
        passed_by: models that were below this model and are now above it, nearest first.
        rules: rule that was turned on or off → rating change that this rule causes, in points. None if the board could
            not be rated.
    """

    model: str
    before: Row | None
    after: Row | None
    points: Mapping[str, float | None]
    battles: NewBattles
    passed: tuple[str, ...]
    passed_by: tuple[str, ...]
    rules: Mapping[str, float | None] = msgspec.field(default_factory=dict)

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
    """All changes of one board between two snapshots.

    Attributes:
        before: the older snapshot.
        after: the newer snapshot.
        view: name of the view, or of the board by category or language.
        moves: one entry for each model of either board, largest rise first.
        excluded: exclusions that only the newer snapshot has.
        restored: exclusions that only the older snapshot has.
        settings: name → values before and after, for each setting that differs.
        votes: number of new votes that the board counts.
        missing_points_reason: why some `points` of the moves are None; "" if none are.
        rules_on: rules of the newer snapshot's method that the older snapshot's method lacks.
        rules_off: rules of the older snapshot's method that the newer snapshot's method lacks.
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
    rules_on: tuple[str, ...] = ()
    rules_off: tuple[str, ...] = ()


def compare_snapshots(
    connection: Connection,
    files: LedgerFiles,
    before: PublishedSnapshot,
    after: PublishedSnapshot,
    view: str,
    inputs: ComparedSnapshots | None = None,
) -> BoardDiff:
    """Compare one board of two snapshots, and split the rating changes by step: settings, method, exclusions, votes.

    Args:
        connection: a connection to the store.
        files: the ledger files of the store.
        before: the older snapshot.
        after: the newer snapshot. The same snapshot as `before` is allowed.
        view: name of the board: a view, or a board by category or language.
        inputs: the rows and votes of both snapshots, from `ComparedSnapshots.read`. A caller that compares several
            boards reads them once for all. None to read them here.

    Returns:
        The moves of all models of either board, and what differs between the snapshots. A rating change is None if the
        board could not be rated after a step; `missing_points_reason` then says why.

    Raises:
        Usage: `before` is newer than `after`, or a snapshot does not have this board.
    """
    if before.sequence > after.sequence:
        raise Usage(f"expected the older snapshot first, got {before.sequence} and then {after.sequence}")
    for one in (before, after):
        if view not in one.body["views"] and view not in one.body.get("boards", {}):
            raise Usage(f"expected a snapshot with a view {view}, got {one.snapshot_id[:12]}")
    inputs = inputs or ComparedSnapshots.read(connection, files, before, after, [view])
    old, new = inputs.old[view], inputs.new[view]
    on, off = changed_rules(before, after)
    points, reason = attribute_points(before, after, view, inputs.chain, old, new)
    fresh = inputs.new_votes(view)
    battles = _battles(fresh, old)
    passes = _find_passes(old, new)
    found = []
    for model in old.keys() | new.keys():
        gained, rules = points.get(model, (dict.fromkeys(STEPS), {}))
        fought = battles.get(model, NewBattles(0, 0, 0, None, None))
        passed = passes.get(model, ((), ()))
        found.append(ModelMove(model, old.get(model), new.get(model), gained, fought, *passed, rules))
    excluded, restored, changed = snapshot_differences(before, after)
    moves = tuple(sorted(found, key=_biggest_rise))
    return BoardDiff(before, after, view, moves, excluded, restored, changed, fresh.total, reason, on, off)


def list_moves(found: BoardDiff) -> BoardDiff:
    """Restrict a comparison to the models that the boards list for readers. Models under test are not named.

    A model that only the newer board lists counts as new. A model that only the older board lists counts as no longer
    on the board. A model that neither board lists has no move.
    """
    pairs = {
        move.model: tuple(
            board_listing.list_row(snapshot.body, row)
            for snapshot, row in ((found.before, move.before), (found.after, move.after))
        )
        for move in found.moves
    }
    both = {model for model, pair in pairs.items() if None not in pair}
    moves = [
        msgspec.structs.replace(
            move,
            before=pairs[move.model][0],
            after=pairs[move.model][1],
            passed=tuple(one for one in move.passed if one in both),
            passed_by=tuple(one for one in move.passed_by if one in both),
        )
        for move in found.moves
        if any(pairs[move.model])
    ]
    hidden = HiddenModels.of_body(found.before.body) | HiddenModels.of_body(found.after.body)
    return replace(
        found,
        moves=tuple(sorted(moves, key=_biggest_rise)),
        excluded=tuple(hidden.document(found.excluded)),
        restored=tuple(hidden.document(found.restored)),
        missing_points_reason=hidden.text(found.missing_points_reason),
    )


def snapshot_differences(
    before: PublishedSnapshot, after: PublishedSnapshot
) -> tuple[tuple[Mapping[str, str], ...], tuple[Mapping[str, str], ...], dict[str, tuple[Any, Any]]]:
    """Compare the exclusions and the settings of two snapshots.

    Returns:
        Three values: the exclusions that only `after` has, the exclusions that only `before` has, and name of a setting
        → (value before, value after) for each setting that differs.
    """
    old, new = ({_key(e): e for e in one.body["exclusions"]} for one in (before, after))
    added = tuple(e for key, e in new.items() if key not in old)
    return added, tuple(e for key, e in old.items() if key not in new), _settings(before, after)


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
    """Return for each model on both boards the models that it passed, and the models that passed it, nearest first."""
    both = [model for _, model in sorted((new[model]["rank"], model) for model in old.keys() & new.keys())]
    was, now = (np.array([rows[model]["rank"] for model in both], dtype=np.int64) for rows in (old, new))
    # [i, j]: model j was above model i and is below it.
    overtaken = (was[None, :] < was[:, None]) & (now[None, :] > now[:, None])
    passed, passed_by = (dict[int, list[str]](), dict[int, list[str]]())
    for i, j in np.argwhere(overtaken).tolist():
        passed.setdefault(i, []).append(both[j])
        passed_by.setdefault(j, []).append(both[i])
    return {model: (tuple(passed.get(i, ())), tuple(reversed(passed_by.get(i, ())))) for i, model in enumerate(both)}


def _key(entry: Mapping[str, str]) -> tuple[str, str]:
    return entry["kind"], entry["target"]


def _biggest_rise(move: ModelMove) -> tuple[bool, int, float, str]:
    places, change = move.places, move.rating_change
    return (True, 0, 0.0, move.model) if places is None or change is None else (False, -places, -change, move.model)
