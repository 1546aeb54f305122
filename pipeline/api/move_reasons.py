"""Writes sentences that explain why a model moved between two snapshots. The API and the CLI use this module."""

from collections.abc import Mapping
from math import hypot
from typing import Any

from pipeline.jobs.refresh.board_diff import STEPS, ModelMove

_SHORT = {"votes": "new votes", "method": "rules of the method", "exclusions": "exclusions", "settings": "settings"}


def move_reason(move: ModelMove) -> str:
    """Return a few sentences that explain a move; "" if there is nothing to explain."""
    cause = move_cause(move)
    return cause if move.before is None or move.after is None else " ".join([cause, *_neighbours(move)])


def move_cause(move: ModelMove) -> str:
    """Return the sentences that say by how many points a model moved and why; "" if there is nothing to say.

    This is the first part of `move_reason`, which also names the models that were passed.
    """
    if move.before is None:
        return f"New on the board, at place {move.after['rank']}." if move.after else ""
    if move.after is None:
        return "No longer on the board."
    parts = [(step, _cause(step, move)) for step in STEPS if move.points.get(step)]
    if len(parts) > 1:
        causes = ", ".join(f"{_signed(move.points[step])} {cause}" for step, cause in parts)
        sentences = [f"{_signed(move.rating_change)} points: {causes}."]
    else:
        sentences = [f"{_signed(move.rating_change)} points{''.join(f' {cause}' for _, cause in parts)}."]
    return " ".join([*sentences, *_against(move)])


def rating_change(move: ModelMove) -> str:
    """Return by how many points a rating changed, and how many of these points each cause explains.

    The text is shorter than the text of `move_cause`. The result is "" if the model is on one of the two boards only.
    """
    change = move.rating_change
    if change is None:
        return ""
    parts = [(step, points) for step in STEPS if (points := move.points.get(step))]
    start = f"Its rating {'fell' if change < 0 else 'rose'} by {abs(change):.1f} points"
    causes = ", ".join(f"{_signed(points)} by {_SHORT[step]}" for step, points in parts)
    why = f", all by {_SHORT[parts[0][0]]}" if len(parts) == 1 else f": {causes}" if causes else ""
    return " ".join([f"{start}{why}.", *_against(move)])


def main_cause(move: ModelMove, *, excluded: bool, restored: bool) -> str:
    """Return what changed a rating most, as a few words that continue a sentence after "because". "" if it is unknown.

    Args:
        move: the move of the model.
        excluded: whether the newer snapshot has exclusions that the older one lacks.
        restored: whether the older snapshot has exclusions that the newer one lacks.
    """
    change = move.rating_change or 0.0
    parts = {step: points for step in STEPS if (points := move.points.get(step)) and points * change > 0}
    if not parts:
        return ""
    step = max(parts, key=lambda one: abs(parts[one]))
    if step == "exclusions":
        both = "votes were excluded, and others counted again"
        return both if excluded and restored else "excluded votes count again" if restored else "votes were excluded"
    causes = {"votes": "of new votes", "method": "rules of the method changed", "settings": "settings changed"}
    return causes[step]


def is_clear(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether the rating of a model changed by more than its two 95% intervals allow for.

    The change must exceed √(h₁² + h₂²), where h₁ and h₂ are the half-widths of the intervals. For independent ratings
    the error rate would be 5%. The two ratings share votes, so the error rate is lower.

    Args:
        before, after: rows of the model on two boards, with `rating`, `lower` and `upper` in points.
    """
    widths = [(row["upper"] - row["lower"]) / 2 for row in (before, after)]
    return bool(abs(after["rating"] - before["rating"]) > hypot(*widths))


def _against(move: ModelMove) -> list[str]:
    """Return a sentence if a model won places although its rating fell, or lost places although it rose."""
    change = move.rating_change or 0.0
    return [f"The models around it {'lost' if change < 0 else 'won'} more."] if (move.places or 0) * change < 0 else []


def _cause(step: str, move: ModelMove) -> str:
    if step == "exclusions":
        return "by exclusions that were added or undone"
    if step == "method":
        rules = [f"{rule} {_signed(points)}" for rule, points in move.rules.items()]
        named = f" ({', '.join(rules)})" if rules else ""
        return f"by rules of the method that were turned on or off{named}"
    if step == "settings":
        return "by changed settings"
    battles = move.battles
    score = f": it scored {battles.score:.1%}" if battles.score is not None else ""
    expected = f", {battles.expected:.1%} was expected" if score and battles.expected is not None else ""
    return f"by new votes ({battles.votes:,} of them its own{score}{expected})"


def _signed(points: float | None) -> str:
    return "?" if points is None else f"{points:+.1f}".replace("-", "−")


def _neighbours(move: ModelMove) -> list[str]:
    """Return two sentences: the nearest three models that this model passed, and the nearest three that passed it."""
    sentences = []
    for verb, models in (("Passed", move.passed), ("Was passed by", move.passed_by)):
        if models:
            more = f" and {len(models) - 3} more" if len(models) > 3 else ""
            sentences.append(f"{verb} {', '.join(models[:3])}{more}.")
    return sentences
