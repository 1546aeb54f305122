"""Writes sentences about two models: how far apart their ratings are, how sure that is, and why."""

from collections.abc import Mapping
from typing import Any

from pipeline.incident_text import count


def comparison_sentences(found: Mapping[str, Any]) -> list[str]:
    """Return the sentences about a comparison of two models, the most important first.

    Args:
        found: the comparison, with the fields of `ComparisonDocument` except `sentences`.
    """
    a, b = found["a"], found["b"]
    if found["difference"] is None:
        lines = [
            f"{one['model']} has no rating in the defended view{': ' + one['unrated'] if one['unrated'] else ''}."
            for one in (a, b)
            if one["defended"] is None
        ] or ["The newest snapshot states no error for the difference of their ratings."]
    else:
        lines = [*_apart(found), *_views(found)]
    return [*lines, _met(found), *_by_board(found)]


def _apart(found: Mapping[str, Any]) -> list[str]:
    difference, expected = found["difference"], found["expected"]
    points, bounds = difference["points"], (difference["lower"], difference["upper"])
    score, scores = expected["score_a"], (expected["lower"], expected["upper"])
    better, worse = found["a"]["model"], found["b"]["model"]
    if points < 0:
        better, worse, points, score = worse, better, -points, 1 - score
        bounds, scores = (-bounds[1], -bounds[0]), (1 - scores[1], 1 - scores[0])
    low, high = map(_points, bounds)
    first = (
        f"{better} is {points:,.1f} points above {worse} in the defended view (95% interval {low} to {high}), so it is "
        f"expected to score {score:.1%} of their battles, ties as half ({scores[0]:.1%} to {scores[1]:.1%})."
    )
    if difference["separated"]:
        return [first, "The interval does not contain 0, so the votes separate them."]
    factor = difference["votes_factor"]
    more = f" About {factor:,.1f} times as many votes would, if the difference stayed." if factor is not None else ""
    return [first, f"The interval contains 0, so the votes do not separate them.{more}"]


def _views(found: Mapping[str, Any]) -> list[str]:
    a, b = found["a"], found["b"]
    lines = []
    for view, what in (("raw", "With the votes that are left out (raw view)"), ("style", "After correction for style")):
        if a[view] is None or b[view] is None:
            continue
        points = a[view]["rating"] - b[view]["rating"]
        if (points > 0) != (found["difference"]["points"] > 0):
            ahead = a if points > 0 else b
            lines.append(f"{what}, the order is reversed: {ahead['model']} is {abs(points):,.1f} points above.")
        elif abs(points - found["difference"]["points"]) >= 1:
            lines.append(f"{what}, the difference is {abs(points):,.1f} points.")
    return lines


def _met(found: Mapping[str, Any]) -> str:
    met = found["battles"]["defended"]
    if not met["votes"]:
        return "They never met in a counted vote: the difference comes from battles with models that both met."
    a, b = found["a"]["model"], found["b"]["model"]
    text = (
        f"They met in {count(met['votes'], 'counted vote')}: {a} won {met['won_a']:,}, {b} won {met['won_b']:,}, "
        f"{met['ties'] + met['both_bad']:,} without a winner"
    )
    expected = found["expected"]
    against = f", where {expected['score_a']:.1%} was expected from all votes" if expected else ""
    return f"{text}. {a} scored {met['score_a']:.1%}{against}."


def _by_board(found: Mapping[str, Any]) -> list[str]:
    """Return sentences that name the category boards and language boards on which one of the two models is ahead.

    A board is named only if the intervals do not overlap, because the largest of many uncertain differences is often
    large by chance.
    """
    if not found["boards"]:
        return []
    apart = [one for one in found["boards"] if one["apart"]]
    if not apart:
        return ["On no board by category or language do their intervals lie apart."]
    lines = []
    for side, sign in (("a", 1), ("b", -1)):
        ahead = [one["board"] for one in apart if one["points"] * sign > 0]
        if ahead:
            lines.append(f"{found[side]['model']} is ahead beyond the intervals in {', '.join(ahead)}.")
    return lines


def _points(value: float) -> str:
    return f"{value:,.1f}".replace("-", "−")
