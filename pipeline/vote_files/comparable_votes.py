"""Selects the votes of a file whose models can be compared, and says which models are left out and why."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.errors import Disconnected
from pipeline.ratings import UnratedModel, select_rated_models
from pipeline.ratings.battle_columns import BattleColumns
from pipeline.ratings.rated_models import explain_disconnection, find_islands

LEAST_SHARE = 0.5
"""At least this share of the votes must be between models that can be compared with each other."""

# The beginning of a reason, which the line above the reasons states already.
_NOT_RATED = "Not rated: "
# Models of a group that a note names; --json has all.
_NAMED = 6


@dataclass(frozen=True, slots=True)
class ComparableVotes:
    """The votes among the largest group of models that can be compared, and what is left out.

    Attributes:
        battles: the votes in the group. All votes of the file if the group has too few of them.
        unrated: what is left out, as data for `--json`: the number of votes, and each model with its votes and reason.
        notes: what is left out, as sentences.
        refused: the error to raise if the group has too few votes, None otherwise.
    """

    battles: BattleColumns
    unrated: dict[str, Any] = field(default_factory=lambda: {"votes": 0, "models": []})
    notes: list[str] = field(default_factory=list)
    refused: Disconnected | None = None


def select_comparable(battles: BattleColumns) -> ComparableVotes:
    """Select the votes among the largest group of models that can be compared.

    The group must have at least half of all votes. Otherwise no vote is left out, and the result has an error.
    """
    if not len(battles):
        return ComparableVotes(battles)
    counts = battles.pair_counts()
    try:
        rated, apart = select_rated_models(counts, least_share=LEAST_SHARE)
    except Disconnected as error:
        message = (
            f"{explain_disconnection(counts)}, half are needed. Rate a file with more votes (a folder or a quoted "
            "glob joins shards)"
        )
        return ComparableVotes(battles, refused=Disconnected(message, error.components))
    if not apart:
        return ComparableVotes(battles)
    inside = np.isin(battles.models, rated.models)
    kept = battles.select(inside[battles.a] & inside[battles.b])
    others = len(battles) - len(kept)
    votes = dict(zip(counts.models, counts.battles_per_model().tolist(), strict=True))
    models = [{"model": one.model, "votes": votes[one.model], "reason": one.reason} for one in apart]
    return ComparableVotes(
        kept, {"votes": others, "models": models}, _apart_notes(apart, find_islands(counts, rated.models), others)
    )


def _apart_notes(
    apart: Sequence[UnratedModel], islands: Sequence[tuple[tuple[str, ...], int]], votes: int
) -> list[str]:
    """Return sentences about the models that are not rated.

    One sentence is about each group of models that met each other, and one about each further model.
    """
    notes = [
        f"  {len(names):,} models form a group of their own: they met each other ({count:,} "
        f"vote{'s' * (count > 1)}), but no rated model: {', '.join(names[:_NAMED])}{', …' * (len(names) > _NAMED)}"
        for names, count in islands
    ]
    grouped = {name for names, _ in islands for name in names}
    notes += [f"  {one.model}: {one.reason.removeprefix(_NOT_RATED)}" for one in apart if one.model not in grouped]
    many, theirs = ("models", "their") if len(apart) > 1 else ("model", "its")
    are = "votes are" if votes > 1 else "vote is"
    return [f"{len(apart):,} {many} cannot be compared with the others; {theirs} {votes:,} {are} not rated:", *notes]
