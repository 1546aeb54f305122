"""Counts the battles between models, and computes the standard errors of the differences of their ratings.

A refresh counts and stores the battles of its snapshot, because counting takes too long for a request. If the battles
of a snapshot are not stored, they are counted on request.
"""

from typing import Any

import msgspec
import numpy as np
from sqlalchemy.engine import Connection

from pipeline.errors import RatingError
from pipeline.jobs.refresh.diff_steps import read_counted_votes
from pipeline.jobs.refresh.rating_input import VIEWS
from pipeline.ratings import POINTS_PER_LOGIT, PairCounts, fit, select_rated_models, with_tie_only_variance
from pipeline.ratings.rated_models import PUBLISHED_SHARE
from pipeline.store.boards import prepared_answers
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.db.ledger_files import LedgerFiles

_DIGITS = 3

Outcomes = tuple[int, int, int, int]
"""Numbers of battles of a model with an opponent: won, lost, `tie`, `both_bad`."""


class ModelBattles(msgspec.Struct):
    """The battles of one model in a snapshot.

    Attributes:
        views: `raw` or `defended` → name of an opponent → number of battles with each outcome, from the side of this
            model: won, lost, tied, both bad.
        errors: name of another rated model → standard error, in points, of the difference between the ratings of the
            two models in the defended view. This error is computed as if all votes were independent.
    """

    views: dict[str, dict[str, Outcomes]]
    errors: dict[str, float]


def battles_name(snapshot_id: str, model: str) -> str:
    """Return the name under which the battles of a model in a snapshot are stored."""
    return f"{snapshot_id} {model}"


def count_battles(connection: Connection, files: LedgerFiles, snapshot: PublishedSnapshot) -> dict[str, ModelBattles]:
    """Return model → its battles, for each model that a vote of the snapshot names.

    Args:
        connection: reads the store.
        files: the ledger files of the store.
        snapshot: a published snapshot.
    """
    counted = read_counted_votes(connection, files, snapshot)
    found: dict[str, ModelBattles] = {}
    for view in VIEWS:
        for model, opponents in _by_model(counted.views[view]).items():
            found.setdefault(model, ModelBattles({one: {} for one in VIEWS}, {})).views[view] = opponents
    for model, errors in _difference_errors(counted.views["defended"]).items():
        found[model].errors = errors
    return found


def read_battles(
    connection: Connection, files: LedgerFiles, snapshot: PublishedSnapshot, model: str
) -> ModelBattles | None:
    """Return the battles of a model in a snapshot; None if no vote of the snapshot names the model.

    The stored battles are read. If no refresh has stored the battles of this snapshot, they are counted.

    Args:
        connection: reads the store.
        files: the ledger files of the store.
        snapshot: a published snapshot.
        model: name of the model.
    """
    stored = read_stored_battles(connection, snapshot.snapshot_id, model)
    if stored is not None or prepared_answers.has_kind(connection, "battles", snapshot.snapshot_id):
        return stored
    return count_battles(connection, files, snapshot).get(model)


def read_stored_battles(connection: Connection, snapshot_id: str, model: str) -> ModelBattles | None:
    """Return the battles of a model in a snapshot, as a refresh has stored them; None if none are stored."""
    stored = prepared_answers.read(connection, battles_name(snapshot_id, model), "battles")
    return None if stored is None else msgspec.convert(stored, ModelBattles)


def _by_model(counts: PairCounts) -> dict[str, dict[str, Outcomes]]:
    found: dict[str, dict[str, Outcomes]] = {}
    columns: list[Any] = [counts.a, counts.b, counts.wins_a, counts.wins_b, counts.ties, counts.both_bad]
    for a, b, wins_a, wins_b, ties, both_bad in zip(*(column.tolist() for column in columns), strict=True):
        first, second = counts.models[a], counts.models[b]
        found.setdefault(first, {})[second] = (wins_a, wins_b, ties, both_bad)
        found.setdefault(second, {})[first] = (wins_b, wins_a, ties, both_bad)
    return found


def _difference_errors(counts: PairCounts) -> dict[str, dict[str, float]]:
    try:
        rated, _ = select_rated_models(counts, least_share=PUBLISHED_SHARE)
        fitted = with_tie_only_variance(fit(rated), rated)
    except RatingError:  # a board that cannot be rated is not published; an older one may have had another limit
        return {}
    own = np.diag(fitted.covariance)
    variance = own[:, None] + own[None, :] - 2.0 * fitted.covariance
    errors = np.round(POINTS_PER_LOGIT * np.sqrt(np.maximum(variance, 0.0)), _DIGITS).tolist()
    names = rated.models
    return {
        model: {other: error for other, error in zip(names, row, strict=True) if other != model}
        for model, row in zip(names, errors, strict=True)
    }
