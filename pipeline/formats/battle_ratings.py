"""Rating a battle file, no store: everything that can be said about its votes.

Laws: strict, as everything in `ratings`; what was left out is in the result with its number (votes without style
counts, features that never vary, groups whose votes allow no comparison).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np

from pipeline.errors import Usage
from pipeline.formats.battles import Battles
from pipeline.ratings import (
    STYLE_FEATURES,
    Board,
    Bootstrap,
    Fit,
    GroupBoard,
    Intervals,
    PairCounts,
    StyleFit,
    Swap,
    VoterInfluence,
    board_of,
    bootstrap,
    clustered,
    count_groups,
    fewest_to_dethrone,
    fit,
    fit_style,
    group_boards,
    intervals,
    neighbours,
    pair_weights,
    rank_sets,
    style_contrast,
    voter_influence,
)
from pipeline.ratings.checks import Floats
from pipeline.ratings.intervals import MEAN_RATING, POINTS_PER_LOGIT

# Opens a step of known length on whatever shows progress, and gives back what to call as it advances.
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to compute.

    Attributes:
        style: control for style.
        bootstrap: rounds; 0 leaves the sandwich's intervals.
        by_voter: intervals that count voters, not votes.
        reweight: least votes of a pair, 0 counts every vote alike.
        level: coverage of intervals.
        anchor: a model and the points it is shown at.
        group: "category" or "language", "" for none.
        fragility: so many places from the top.
        influence: so many voters.
        seed: of everything that is drawn.
    """

    style: bool = False
    bootstrap: int = 0
    by_voter: bool = False
    reweight: int = 0
    level: float = 0.95
    anchor: tuple[str, float] | None = None
    group: str = ""
    fragility: int = 0
    influence: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what does not go together.

        Raises:
            Usage: names the options.
        """
        if self.bootstrap and (self.style or self.by_voter):
            raise Usage("--bootstrap resamples votes without style; expected it without --style and --by-voter")
        if (self.fragility or self.influence) and (self.style or self.reweight):
            raise Usage("--fragility and --influence are about ratings without --style and --reweight")
        if self.group and (self.style or self.reweight):
            raise Usage("--group rates without --style and --reweight")
        if self.bootstrap == 1 or self.bootstrap < 0:
            raise Usage(f"--bootstrap: expected at least 2 rounds, got {self.bootstrap}")


@dataclass(frozen=True, slots=True, eq=False)
class Rated:
    """A battle file's ratings.

    Attributes:
        board: rounded to .01, joint rank sets included.
        votes: votes rated.
        without_style: votes left out because an answer has no style counts.
        constant: style features left out because they are the same on both sides of every vote.
        style: coefficients, if asked for.
        resampled: bootstrap, if asked for.
        groups: a board each, if asked for.
        swaps: the fewest votes that swap #1 and #2, #2 and #3, …; None where all votes cannot.
        dethroned: the fewest that put another model first.
        voters: the voters that move a rating most, by the name that the file gives them.
    """

    board: Board
    votes: int
    without_style: int = 0
    constant: tuple[str, ...] = ()
    style: StyleFit | None = None
    resampled: Bootstrap | None = None
    groups: tuple[GroupBoard, ...] = ()
    swaps: tuple[Swap | None, ...] = ()
    dethroned: Swap | None = None
    voters: tuple[tuple[str, VoterInfluence], ...] = ()


def rate_battles(battles: Battles, wanted: Wanted, progress: Progress) -> Rated:
    """Rate the votes of a file.

    Raises:
        Usage: style is wanted and no vote has any, or voters are and no vote has one.
        RatingError: as `ratings`: the votes allow no comparison, a style feature cannot be told apart, …
    """
    if wanted.style:
        return _styled(battles, wanted, progress)
    counts = PairCounts.from_codes(battles.models, battles.a, battles.b, battles.outcome)
    reweight = wanted.reweight or None
    fitted, resampled = fit(counts, reweight=reweight), None
    if wanted.by_voter:
        _require_voters(battles)
        weights = None if reweight is None else pair_weights(counts, reweight)
        votes = battles.a, battles.b, battles.outcome, battles.voter
        fitted = clustered(fitted, *votes, weights=weights)
    shown = intervals(fitted, level=wanted.level)
    if wanted.bootstrap:
        with progress("bootstrap", wanted.bootstrap) as step:
            resampled = bootstrap(counts, fitted, wanted.bootstrap, seed=wanted.seed, reweight=reweight, step=step)
        fitted, shown = _from_rounds(fitted, resampled, wanted.level)
    rated = Rated(_board(counts, fitted, shown, wanted), counts.total, resampled=resampled)
    return _more(rated, battles, counts, wanted, progress)


def _styled(battles: Battles, wanted: Wanted, progress: Progress) -> Rated:
    rows = np.flatnonzero(battles.styled)
    if not len(rows):
        raise Usage("--style: expected votes with style counts (style_a and style_b), got none")
    if wanted.by_voter:
        _require_voters(battles)
    of_a, of_b = (side[rows] for side in battles.style)
    z = style_contrast(list(of_a.T), list(of_b.T), STYLE_FEATURES)
    varies = (z != 0).any(axis=0)
    if not varies.any():
        raise Usage("--style: expected a style feature that varies, got the same counts on both sides of every vote")
    names = tuple(np.array(STYLE_FEATURES)[varies].tolist())
    columns = battles.a[rows], battles.b[rows], battles.outcome[rows]
    with progress("style", 1) as step:
        found = fit_style(
            battles.models,
            *columns,
            z[:, varies],
            features=names,
            voter=battles.voter[rows] if wanted.by_voter else None,
            reweight=wanted.reweight or None,
        )
        step(1)
    counts = PairCounts.from_codes(battles.models, *columns)
    board = _board(counts, found.ratings, intervals(found.ratings, level=wanted.level), wanted)
    constant = tuple(name for name in STYLE_FEATURES if name not in names)
    rated = Rated(board, counts.total, len(battles) - len(rows), constant, style=found)
    return _more(rated, battles, counts, wanted, progress)


def _more(rated: Rated, battles: Battles, counts: PairCounts, wanted: Wanted, progress: Progress) -> Rated:
    """What is computed from the counts, whatever the intervals are."""
    votes = battles.a, battles.b, battles.outcome
    if wanted.group:
        labels, codes = battles.groups[wanted.group]
        grouped = count_groups(battles.models, *votes, labels, codes)
        boards = group_boards(grouped, anchor=wanted.anchor, level=wanted.level)
        rated = replace(rated, groups=tuple(replace(g, board=g.board and g.board.rounded()) for g in boards))
    if wanted.fragility:
        with progress("fragility", wanted.fragility + 1) as step:
            swaps = []
            for swap in neighbours(counts, wanted.fragility):
                swaps.append(swap)
                step(1)
            rated = replace(rated, swaps=tuple(swaps), dethroned=fewest_to_dethrone(counts))
    if wanted.influence:
        _require_voters(battles)
        whole = PairCounts.from_codes(battles.models, *votes)
        found = voter_influence(whole, *votes, battles.voter, top=wanted.influence)
        rated = replace(rated, voters=tuple((battles.voters[one.voter], one) for one in found))
    return rated


def _board(counts: PairCounts, fitted: Fit, shown: Intervals, wanted: Wanted) -> Board:
    return board_of(
        counts.models,
        fitted,
        shown,
        votes=counts.battles(),
        anchor=wanted.anchor,
        joint=rank_sets(fitted, level=wanted.level, seed=wanted.seed),
    ).rounded()


def _from_rounds(fitted: Fit, resampled: Bootstrap, level: float) -> tuple[Fit, Intervals]:
    """Intervals and covariance of the rounds, around the fit of all votes."""
    covariance = resampled.covariance()
    low, high = (MEAN_RATING + bound * POINTS_PER_LOGIT for bound in resampled.bounds(level))
    se: Floats = np.sqrt(np.diag(covariance)) * POINTS_PER_LOGIT
    return replace(fitted, covariance=covariance), Intervals(
        MEAN_RATING + fitted.theta * POINTS_PER_LOGIT, se, low, high
    )


def _require_voters(battles: Battles) -> None:
    if (battles.voter == -1).all():
        raise Usage("expected votes with voters (voter_id), got none")
