"""Rates votes in a notebook. The ratings, intervals and ranks equal those of `integrity rate` to the last digit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

from leaderboard_integrity import html_text
from leaderboard_integrity.call_words import errors_in_call_words, in_call_words, with_notes
from leaderboard_integrity.result_table import BoardResult, board_html
from leaderboard_integrity.vote_sources import VoteData, vote_files
from leaderboard_integrity.votes import ReadingOptions, Votes, read_files
from pipeline.errors import Usage
from pipeline.ratings.battle_ratings import BattleRatings, RatingOptions, rate_battles
from pipeline.vote_files.rating_document import rating_document, require_compatible
from pipeline.vote_files.vote_input import VoteInput


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class GroupBoard(BoardResult):
    """The board of the votes of one category or language.

    Attributes:
        label: the category or language.
        votes: number of votes with this category or language.
        reason: why these votes have no board; "" if they have one.
        rows: the rows of the board, best model first; empty if there is no board.
    """

    label: str
    votes: int
    reason: str
    rows: tuple[Mapping[str, Any], ...]

    def __repr__(self) -> str:
        """Return a text with the label and the number of votes."""
        return f"GroupBoard({self.title})"

    @property
    def title(self) -> str:
        """A line with the label, the number of votes, and the reason if there is no board."""
        return f"{self.label}: {self.votes:,} votes{f', not rated: {self.reason}' if self.reason else ''}"

    def _repr_html_(self) -> str:
        return html_text.paragraphs([self.title]) + (board_html(self.rows) if self.rows else "")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Ratings(BoardResult):
    """The result of `rate`: the ratings of some votes.

    Attributes:
        rows: the rows of the board, one dictionary for each model, best model first.
        votes: number of votes that were rated.
        notes: sentences that say how the records were read, and which were left out and why.
        groups: category or language → its board. Empty if `rate` was called without `group`.
        document: the result as JSON types, as `integrity rate --json` prints it.
        estimates: the estimates as arrays, among them the covariance of the bootstrap and the style coefficients.
        level: coverage of the intervals, between 0 and 1.
    """

    rows: tuple[Mapping[str, Any], ...]
    votes: int
    notes: tuple[str, ...]
    groups: Mapping[str, GroupBoard]
    document: Mapping[str, Any]
    estimates: BattleRatings
    level: float

    def __repr__(self) -> str:
        """Return a text with the title of the board."""
        return f"Ratings({self.title})"

    @property
    def title(self) -> str:
        """A line with the numbers of votes and models, and the coverage of the intervals."""
        return f"{self.votes:,} votes on {len(self.rows):,} models, {self.level:.0%} intervals"

    def _repr_html_(self) -> str:
        groups = [board.title for board in self.groups.values()]
        return (
            html_text.paragraphs([self.title])
            + board_html(self.rows)
            + html_text.bullets(groups, "Boards in .groups:")
            + html_text.bullets(self.notes)
        )


# Many parameters: those of `integrity rate`.
def rate(
    data: VoteData | Votes,
    *,
    style: bool = False,
    bootstrap: int = 0,
    by_voter: bool = False,
    reweight: int = 0,
    group: Literal["", "category", "language"] = "",
    fragility: int = 0,
    influence: int = 0,
    level: float = 0.95,
    anchor: tuple[str, float] | None = None,
    seed: int = 0,
    **reading: Any,
) -> Ratings:
    """Rate the models of some votes by the Bradley-Terry model, as `integrity rate` does.

    Args:
        data: the votes: a path, several paths or a table, as for `read`, or the result of `read`.
        style: whether to control for the style of the answers. The records must then have style counts.
        bootstrap: number of bootstrap resamples from which intervals are computed; 0 to compute them from the fit.
        by_voter: whether intervals allow for dependence between the votes of one voter. With too few voters they are at
            least as wide as those of independent votes, and a note says so.
        reweight: each vote on a pair of models gets the weight 1 / max(votes on the pair, reweight). With 0, all
            weights are equal.
        group: "category" or "language" to rate the votes of each category or language too.
        fragility: n, to find for each of the first n ranks the fewest votes whose removal swaps the model with the next
            one; 0 for none.
        influence: n, to find the n voters whose votes move a rating most; 0 for none.
        level: coverage of the intervals, between 0 and 1.
        anchor: (model, rating in points) that fixes the scale. None for a scale on which the mean is 1000.
        seed: seed of all random draws.
        **reading: the other arguments of `read`; none for a result of `read`.

    Returns:
        The board with everything that was asked for, and notes on what was left out.

    Raises:
        RatingError: the votes have no rating (`Disconnected`, …).
        BadInput: the votes cannot be read; see `read`.
        Usage: arguments exclude each other, or one is not valid.
    """
    options = RatingOptions(
        style=style, bootstrap=bootstrap, by_voter=by_voter, reweight=reweight, level=level, anchor=anchor, group=group,
        fragility=fragility, influence=influence, seed=seed,
    )  # fmt: skip
    with errors_in_call_words():
        _require_valid(options)
        found = _input(data, options, reading)
        with with_notes([*found.not_rated, *found.notes]):
            if found.refused is not None:
                raise found.refused
            rated = rate_battles(found.battles, options, _silent)
    return _ratings(rating_document(found, rated, options), rated, options)


def require_reading(data: VoteData | Votes, reading: Mapping[str, Any]) -> ReadingOptions:
    """Check the arguments that say how a function reads its votes, and return them as options.

    Args:
        data: the votes, or the result of `read`.
        reading: name → value of the further arguments that the caller passed.

    Raises:
        TypeError: `read` has no such argument.
        Usage: further arguments are given although `data` is the result of `read`.
    """
    unknown = sorted(reading.keys() - set(ReadingOptions.__dataclass_fields__))
    if unknown:
        raise TypeError(
            f"expected arguments of this function or of read ({', '.join(ReadingOptions.__dataclass_fields__)}), got "
            f"{unknown[0]}"
        )
    if isinstance(data, Votes) and reading:
        raise Usage(f"{min(reading)}: expected it in the call of read, which made these votes")
    return ReadingOptions(**reading)


def _input(data: VoteData | Votes, options: RatingOptions, reading: Mapping[str, Any]) -> VoteInput:
    how = require_reading(data, reading)
    if isinstance(data, Votes):
        return data.input
    with vote_files(data) as files:
        return read_files(files, how, needs=options)


def _require_valid(options: RatingOptions) -> None:
    require_compatible(options)
    if not 0 < options.level < 1:
        raise Usage(f"level: expected a number between 0 and 1, got {options.level}")
    if options.group not in ("", "category", "language"):
        raise Usage(f"group: expected category or language, got {options.group!r}")
    if options.anchor is not None and not _is_anchor(options.anchor):
        raise Usage(f"anchor: expected a model and its points, such as ('model', 1000), got {options.anchor!r}")
    for name in ("bootstrap", "reweight", "fragility", "influence", "seed"):
        if getattr(options, name) < 0:
            raise Usage(f"{name}: expected at least 0, got {getattr(options, name)}")


def _is_anchor(anchor: object) -> bool:
    if not isinstance(anchor, tuple) or len(anchor) != len(("model", "points")):
        return False
    return isinstance(anchor[1], int | float) and math.isfinite(anchor[1])


def _ratings(document: Mapping[str, Any], rated: BattleRatings, options: RatingOptions) -> Ratings:
    notes = [in_call_words(note) for note in document["notes"]]
    groups = [
        GroupBoard(label=one["group"], votes=one["votes"], reason=one["reason"] or "", rows=tuple(one["rows"]))
        for one in document.get("groups", [])
    ]
    return Ratings(
        rows=tuple(document["rows"]),
        votes=rated.votes,
        notes=tuple(notes),
        groups={one.label: one for one in groups},
        document={**document, "notes": notes},
        estimates=rated,
        level=options.level,
    )


def _silent(_what: str, _total: int) -> AbstractContextManager[Callable[[int], None]]:
    """Show no progress."""
    return nullcontext(lambda _done: None)
