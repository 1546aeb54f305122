"""Computes which votes, voters and ranks of the board a decision about exclusions would change. Nothing is changed.

Two boards are rated, one with and one without the decision. Both use the votes of the newest snapshot, so that later
votes do not move a rank.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from pipeline import settings as configuration
from pipeline.compute.board_cells import ALL
from pipeline.errors import RatingError
from pipeline.jobs import moderation
from pipeline.jobs.refresh.board_method import stated_method
from pipeline.jobs.refresh.board_rows import board_rows, rate_view
from pipeline.jobs.refresh.rating_input import counted_fates, read_rating_input
from pipeline.store.alerting import voter_record
from pipeline.store.boards import board_listing, snapshots
from pipeline.store.boards.exclusion_effect import ExclusionTarget, NextRefresh
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.votes.vote_selections import VoteSelection

_VIEW = "defended"


@dataclass(frozen=True, slots=True)
class RankMove:
    """The rank and rating of a model before and after a decision.

    A value is None if the board does not list the model.
    """

    model: str
    before: int | None
    after: int | None
    rating_before: float | None
    rating_after: float | None


@dataclass(frozen=True, slots=True)
class ExclusionPreview:
    """What a decision about exclusions would change at the next refresh.

    Attributes:
        effect: how many votes go into and out of the defended view.
        voters: number of voters whose votes the decision moves. If the decision names voters, only these are counted.
            If the decision names selections of votes, the number is the largest number of voters in one selection.
            None if the decision names single votes only.
        moves: the models whose rank changes, the best first.
        without_ranks: why no rank could be computed; "" if ranks were computed.
    """

    effect: NextRefresh
    voters: int | None
    moves: tuple[RankMove, ...]
    without_ranks: str = ""


def preview(connection: Connection, action: str, targets: Sequence[ExclusionTarget]) -> ExclusionPreview:
    """Return what `moderation.change_exclusions` would change if it were called with the same targets.

    Args:
        connection: reads the store, with a role that may read voters.
        action: `exclude` or `restore`.
        targets: what would be excluded or restored.

    Returns:
        How many votes go into and out of the defended view, from how many voters, and the models whose rank changes.
        No rank is computed before the first snapshot, or if the votes cannot be rated.
    """
    before = moderation.expected_exclusions(connection)
    after = before | set(targets) if action == "exclude" else before - set(targets)
    return _compare(connection, _count_voters(connection, targets), before, after)


def preview_resolution(connection: Connection, alert_ids: Sequence[str]) -> ExclusionPreview:
    """Return what would change if these alerts were resolved.

    An alert that is resolved no longer causes a policy to exclude its voter.

    Args:
        connection: reads the store, with a role that may read voters.
        alert_ids: ids of the alerts.
    """
    before, after = (moderation.expected_exclusions(connection, some) for some in ((), frozenset(alert_ids)))
    return _compare(connection, len(before ^ after), before, after)


def _compare(
    connection: Connection, voters: int | None, before: frozenset[ExclusionTarget], after: frozenset[ExclusionTarget]
) -> ExclusionPreview:
    """Return the difference between two boards: with the exclusions before a decision, and with those after it."""
    effect = moderation.preview_change(connection, after)
    newest = snapshots.latest(connection)
    if newest is None:
        return ExclusionPreview(effect, voters, (), "no snapshot is published yet")
    try:
        old, new = (_rank(connection, newest, some) for some in (before, after))
    except RatingError as error:
        return ExclusionPreview(effect, voters, (), str(error))
    return ExclusionPreview(effect, voters, _moves(old, new))


def _count_voters(connection: Connection, targets: Sequence[ExclusionTarget]) -> int | None:
    named = sum(kind == "voter" for kind, _ in targets)
    if named:
        return named
    selections = [VoteSelection.parse(target) for kind, target in targets if kind == "votes"]
    return max((voter_record.count_selected(connection, one).get("voters", 0) for one in selections), default=None)


def _rank(
    connection: Connection, newest: PublishedSnapshot, exclusions: Collection[ExclusionTarget]
) -> dict[str, tuple[int, float]]:
    """Return the rank and the rating of each listed model, if these were the exclusions."""
    listed = [{"kind": kind, "target": target, "reason": "", "name": ""} for kind, target in sorted(exclusions)]
    given = read_rating_input(
        connection, newest.log_size, listed, None, counted_fates(newest.body), None, stated_method(newest.body), (ALL,)
    )
    board = rate_view(given.views[_VIEW], configuration.load(), given.waiting[_VIEW])
    rows = board_listing.list_rows(newest.body, board_rows(board))
    return {str(row["model"]): (int(row["rank"]), float(row["rating"])) for row in rows}


def _moves(old: dict[str, tuple[int, float]], new: dict[str, tuple[int, float]]) -> tuple[RankMove, ...]:
    nothing = (None, None)
    pairs = {model: (old.get(model, nothing), new.get(model, nothing)) for model in old.keys() | new.keys()}
    moved = [
        RankMove(model, before[0], after[0], before[1], after[1])
        for model, (before, after) in pairs.items()
        if before[0] != after[0]
    ]
    return tuple(sorted(moved, key=lambda one: (one.after or 10**9, one.model)))
