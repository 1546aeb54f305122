"""Why ranks moved between two snapshots.

The way from one board to the next is walked in three steps, each a rating of its own: the settings of the new one, then
its exclusions, then the votes that came. A model's points of the three steps sum to its whole move. Beside the points
stand facts that need no rating: the new battles of a model, what the old board expected of them, and whom it passed.

Laws: the same two snapshots give the same answer for ever; points sum to the move within rounding; where a step has no
rating (the votes then allowed no comparison) its points are None and the reason is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from pipeline.errors import RatingError, Usage
from pipeline.jobs.refresh.counting import Inputs, board, inputs
from pipeline.jobs.refresh.style_view import style_view
from pipeline.ratings import POINTS_PER_LOGIT, Leaderboard, PairCounts
from pipeline.settings import Settings
from pipeline.store.boards import snapshots
from pipeline.store.boards.snapshots import Snapshot

STEPS = ("settings", "exclusions", "votes")
# Settings that a rating of given votes depends on.
_RATING = ("anchor", "least_share")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Battles:
    """What a model did in the battles that are new.

    Attributes:
        votes: battles.
        wins, losses: those that name a winner.
        score: wins and half of the ties, as a share of the battles; None without any.
        expected: the score that the old board expected in the battles against models it rates; None without any.
    """

    votes: int
    wins: int
    losses: int
    score: float | None
    expected: float | None


@dataclass(frozen=True, slots=True)
class Move:
    """A model on both boards.

    Attributes:
        model: its name.
        before, after: its rows; None where it has none.
        points: what each of STEPS did to its rating, rounded to 0.01; None where that cannot be told.
        battles: the new ones.
        passed, passed_by: models that stood above and now stand below, and the other way round, nearest first.
    """

    model: str
    before: Row | None
    after: Row | None
    points: Mapping[str, float | None]
    battles: Battles
    passed: tuple[str, ...]
    passed_by: tuple[str, ...]

    @property
    def places(self) -> int | None:
        """Places won (+) or lost (−); None for a model that is on one board only."""
        if self.before is None or self.after is None:
            return None
        return int(self.before["rank"] - self.after["rank"])

    @property
    def rated(self) -> float | None:
        """Points won or lost."""
        if self.before is None or self.after is None:
            return None
        return round(float(self.after["rating"] - self.before["rating"]), 2)


@dataclass(frozen=True, slots=True)
class Moves:
    """Everything that moved.

    Attributes:
        before, after: the snapshots.
        view: of both.
        moves: every model of either board, the biggest rise first.
        excluded, restored: entries of the list of exclusions that came and went.
        settings: name → (before, after) of those that differ.
        votes: new votes that the view counts.
        untold: why some points are None, "" where none is.
    """

    before: Snapshot
    after: Snapshot
    view: str
    moves: tuple[Move, ...]
    excluded: tuple[Mapping[str, str], ...]
    restored: tuple[Mapping[str, str], ...]
    settings: Mapping[str, tuple[Any, Any]]
    votes: int
    untold: str


def moves(connection: Connection, before: Snapshot, after: Snapshot, view: str) -> Moves:
    """Compare a view of two snapshots.

    Raises:
        Usage: `before` is not the older one, or one of them has no such view.
    """
    if before.sequence > after.sequence:
        raise Usage(f"expected the older snapshot first, got {before.sequence} and then {after.sequence}")
    for one in (before, after):
        if view not in one.body["views"]:
            raise Usage(f"expected a snapshot with a view {view}, got {one.snapshot_id[:12]}")
    old = {row["model"]: row for row in snapshots.rows(connection, before.snapshot_id, view)}
    new = {row["model"]: row for row in snapshots.rows(connection, after.snapshot_id, view)}
    counted = [
        inputs(connection, before.log_size, before.body["exclusions"]),
        inputs(connection, before.log_size, after.body["exclusions"]),
        inputs(connection, after.log_size, after.body["exclusions"]),
    ]
    points, untold = _points(before, after, view, counted, old, new)
    fresh = _counts(counted[2], view).minus(_counts(counted[1], view))
    battles = _battles(fresh, old)
    overtaken = _overtaken(old, new)
    found = [
        Move(
            model,
            old.get(model),
            new.get(model),
            points.get(model, dict.fromkeys(STEPS)),
            battles.get(model, Battles(0, 0, 0, None, None)),
            *overtaken.get(model, ((), ())),
        )
        for model in old.keys() | new.keys()
    ]
    entries = [{_key(e): e for e in one.body["exclusions"]} for one in (before, after)]
    return Moves(
        before, after, view, tuple(sorted(found, key=_biggest_rise)),
        tuple(e for key, e in entries[1].items() if key not in entries[0]),
        tuple(e for key, e in entries[0].items() if key not in entries[1]),
        _settings(before, after), fresh.total, untold,
    )  # fmt: skip


def reason(move: Move) -> str:
    """Why a model moved, in a sentence or two."""
    if move.before is None:
        return f"New on the board, at place {move.after['rank']}." if move.after else ""
    if move.after is None:
        return "No longer on the board."
    parts = [_because(step, move) for step in STEPS if move.points[step]]
    if len(parts) > 1:
        told = ", ".join(f"{_signed(move.points[step])} {part}" for step, part in parts)
        sentences = [f"{_signed(move.rated)} points: {told}."]
    else:
        sentences = [f"{_signed(move.rated)} points{''.join(f' {part}' for _, part in parts)}."]
    if (move.places or 0) * (move.rated or 0.0) < 0:
        sentences.append(
            "The models around it lost more." if (move.rated or 0.0) < 0 else "The models around it won more."
        )
    return " ".join([*sentences, *_neighbours(move)])


def _because(step: str, move: Move) -> tuple[str, str]:
    if step == "votes":
        b = move.battles
        score = f": it scored {b.score:.1%}" if b.score is not None else ""
        expected = f" where {b.expected:.1%} was expected" if score and b.expected is not None else ""
        return step, f"by the votes that came ({b.votes:,} of them its own{score}{expected})"
    return step, {"exclusions": "by exclusions that came or went", "settings": "by other settings"}[step]


def _signed(points: float | None) -> str:
    return "?" if points is None else f"{points:+.1f}".replace("-", "−")


def _neighbours(move: Move) -> list[str]:
    """Whom it passed, the nearest three of them."""
    said = []
    for verb, models in (("Passed", move.passed), ("Was passed by", move.passed_by)):
        if models:
            more = f" and {len(models) - 3} more" if len(models) > 3 else ""
            said.append(f"{verb} {', '.join(models[:3])}{more}.")
    return said


def _points(
    before: Snapshot,
    after: Snapshot,
    view: str,
    counted: Sequence[Inputs],
    old: Mapping[str, Row],
    new: Mapping[str, Row],
) -> tuple[dict[str, dict[str, float | None]], str]:
    """What each step did to every model on both boards."""
    options = [_options(one) for one in (before, after)]
    untold = ""
    ratings: list[Mapping[str, float] | None] = [{model: row["rating"] for model, row in old.items()}]
    for step, settings_change in ((0, options[0] != options[1]), (1, _changed(counted[0], counted[1], view))):
        if not settings_change:
            ratings.append(ratings[-1])
            continue
        try:
            ratings.append(_ratings(counted[step], view, options[1]))
        except RatingError as error:
            untold = f"{STEPS[step]}: {error}"
            ratings.append(None)
    ratings.append({model: row["rating"] for model, row in new.items()})
    told: dict[str, dict[str, float | None]] = {}
    for model in old.keys() & new.keys():
        at = [None if one is None else one.get(model) for one in ratings]
        told[model] = {
            step: None if first is None or second is None else round(second - first, 2) + 0.0
            for step, first, second in zip(STEPS, at, at[1:], strict=False)
        }
    return told, untold


def _changed(first: Inputs, second: Inputs, view: str) -> bool:
    """Whether other exclusions leave another board of the same votes."""
    if view == "raw":
        return False
    return first.excluded != second.excluded or not np.array_equal(
        _counts(first, view).win_matrix(), _counts(second, view).win_matrix()
    )


def _counts(given: Inputs, view: str) -> PairCounts:
    if view != "style":
        return given.views[view]
    labels = given.views["raw"].models
    place = {given.model_no[name]: at for at, name in enumerate(labels)}
    a, b = (np.array([place[number] for number in codes.tolist()], dtype=np.int64)
            for codes in (given.styled.model_a, given.styled.model_b))  # fmt: skip
    return PairCounts.from_codes(labels, a, b, given.styled.outcome)


def _ratings(given: Inputs, view: str, options: Settings) -> Mapping[str, float]:
    shown: Leaderboard | None
    if view == "style":
        styled = style_view(given.styled, {number: name for name, number in given.model_no.items()}, options)
        shown = styled.board
        if shown is None:
            raise RatingError(styled.reason)
    else:
        shown = board(given.views[view], options)
    return dict(zip(shown.models, shown.rating.tolist(), strict=True))


def _options(snapshot: Snapshot) -> Settings:
    """The settings that ratings depend on; those of another version that we do not know are left out."""
    known = Settings.model_fields.keys() & set(_RATING)
    return Settings(**{name: value for name, value in snapshot.body["settings"].items() if name in known})


def _settings(before: Snapshot, after: Snapshot) -> dict[str, tuple[Any, Any]]:
    old, new = before.body["settings"], after.body["settings"]
    return {
        name: (old.get(name), new.get(name))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    }


def _battles(fresh: PairCounts, old: Mapping[str, Row]) -> dict[str, Battles]:
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
        model: Battles(
            int(votes[i]), int(wins[i]), int(losses[i]),
            round(float(scored[i] / votes[i]), 4) if votes[i] else None,
            round(float(expected[i] / known[i]), 4) if known[i] else None,
        )
        for i, model in enumerate(fresh.models)
    }  # fmt: skip


def _overtaken(old: Mapping[str, Row], new: Mapping[str, Row]) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """For each model on both boards: whom it passed, and who passed it, nearest first."""
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


def _biggest_rise(move: Move) -> tuple[bool, int, float, str]:
    return (move.places is None, -(move.places or 0), -(move.rated or 0.0), move.model)
