"""Builds the document of a rating, which `integrity rate --json` prints and a notebook gets."""

from collections.abc import Sequence
from typing import Any

from pipeline.errors import Usage
from pipeline.ratings import Leaderboard, RankSwap
from pipeline.ratings.battle_ratings import BattleRatings, RatingOptions
from pipeline.ratings.clustered_sandwich import LEAST_VOTERS
from pipeline.report.few_voters import few_voters_sentence
from pipeline.vote_files.vote_input import VoteInput

BOARD_COLUMNS = (
    "model", "rating", "se", "lower", "upper", "rank", "rank_best", "rank_worst", "rank_best_joint",
    "rank_worst_joint", "votes",
)  # fmt: skip


def rating_document(read: VoteInput, rated: BattleRatings, options: RatingOptions) -> dict[str, Any]:
    """Return the document of a rating as JSON types: ratings, how the file was read, and what was left out.

    Args:
        read: the file as it was read.
        rated: the ratings of its votes.
        options: the options of the rating.
    """
    notes = [_account(read, rated), *_voter_notes(rated), *read.notes, *_group_notes(rated, options)]
    return {**_document(rated, _board_rows(rated.board), options), **read.document, "notes": notes}


def _account(read: VoteInput, rated: BattleRatings) -> str:
    """Return a line with what became of each record of the file."""
    records = read.document["records"]
    unstyled = [f"{rated.without_style:,} without style counts"] if rated.without_style else []
    what = ", ".join([f"{rated.votes:,} rated", *unstyled, *read.not_rated])
    return f"{records:,} record{'s' * (records != 1)}: {what}"


def _voter_notes(rated: BattleRatings) -> list[str]:
    """Return notes about the limits of intervals by voter: few voters, and boards of groups, which do not have them.

    There are no notes if the user did not ask for intervals by voter.
    """
    few = rated.effective_voters
    if few is None:
        return []
    notes = ["the intervals of the boards of groups take votes as independent"] if rated.groups else []
    return [few_voters_sentence(few), *notes] if few < LEAST_VOTERS else notes


def _group_notes(rated: BattleRatings, options: RatingOptions) -> list[str]:
    """Return a note if boards by category or language were asked for and no vote has a category or a language."""
    if not options.group or rated.groups:
        return []
    name = options.group
    return [f"no vote has a {name}: there is no board to add (`--columns {name}=HEADER` names its column)"]


def require_compatible(options: RatingOptions) -> None:
    """Raise Usage if options of a rating cannot be used together, or if one has an invalid value."""
    if options.bootstrap and (options.style or options.by_voter):
        raise Usage("--bootstrap: expected it without --style and --by-voter, which it does not support")
    if (options.fragility or options.influence) and (options.style or options.reweight):
        raise Usage("--fragility and --influence: expected them without --style and --reweight")
    if options.group and (options.style or options.reweight):
        raise Usage("--group: expected it without --style and --reweight")
    if options.bootstrap == 1 or options.bootstrap < 0:
        raise Usage(f"--bootstrap: expected at least 2 rounds, got {options.bootstrap}")


def _board_rows(board: Leaderboard) -> list[dict[str, Any]]:
    joint = board.joint
    if joint is None:
        raise Usage("expected a board with joint rank sets")
    columns = (
        board.rating, board.se, board.lower, board.upper, board.rank, board.rank_best, board.rank_worst,
        joint.best, joint.worst, board.votes,
    )  # fmt: skip
    return _rows(board, BOARD_COLUMNS, columns)


def _rows(board: Leaderboard, names: Sequence[str], columns: Sequence[Any]) -> list[dict[str, Any]]:
    rows = zip(board.models, *(column.tolist() for column in columns), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]


def _group_rows(board: Leaderboard) -> list[dict[str, Any]]:
    columns = (board.rating, board.lower, board.upper, board.rank, board.rank_best, board.rank_worst, board.votes)
    return _rows(board, ("model", "rating", "lower", "upper", "rank", "rank_best", "rank_worst", "votes"), columns)


def _document(rated: BattleRatings, rows: list[dict[str, Any]], options: RatingOptions) -> dict[str, Any]:
    board = rated.board
    result: dict[str, Any] = {
        "rows": rows,
        "votes": rated.votes,
        "level": options.level,
        "clustered_by_voter": rated.clustered,
        "gradient_norm": board.gradient_norm,
        "converged": board.converged,
    }
    if rated.style is not None:
        result["coefficients"] = _coefficients(rated, options.level)
        result["votes_without_style"] = rated.without_style
        result["features_without_effect"] = list(rated.constant)
    if rated.resampled is not None:
        drawn = rated.resampled
        result["bootstrap"] = {"rounds": len(drawn.theta), "seed": drawn.seed, "redrawn": drawn.redrawn}
    if options.group:
        result["groups"] = [
            {"group": g.label, "votes": g.votes, "reason": g.reason, "rows": _group_rows(g.board) if g.board else []}
            for g in rated.groups
        ]
    if options.fragility:
        result["fragility"] = [_swap(swap) for swap in rated.swaps]
        result["dethroned"] = _swap(rated.dethroned)
    if options.influence:
        result["influence"] = [
            {"voter": voter, "votes": v.votes, "model": v.model, "points": v.points, "exact": v.exact}
            for voter, v in rated.voters
        ]
    return result


def _coefficients(rated: BattleRatings, level: float) -> list[dict[str, Any]]:
    found = rated.style
    if found is None:
        return []
    columns = (found.coefficients, *found.coefficient_intervals(level))
    return [
        {"feature": name, **dict(zip(("coefficient", "lower", "upper"), (c[k].item() for c in columns), strict=True))}
        for k, name in enumerate(found.features)
    ]


def _swap(swap: RankSwap | None) -> dict[str, Any] | None:
    if swap is None:
        return None
    return {
        "above": swap.above, "below": swap.below, "votes": swap.votes, "share": swap.share, "gap": swap.gap,
        "gap_after": swap.gap_after,
    }  # fmt: skip
