"""What a refresh rates, and how its boards become rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from pipeline.errors import RatingError
from pipeline.events.pseudonym import parse_pseudonym
from pipeline.evidence import Reference
from pipeline.ledger.published_views import counts_digest
from pipeline.ratings import Leaderboard, PairCounts, compute_leaderboard, fit, select_rated_models
from pipeline.settings import Settings
from pipeline.store.boards import exclusions, snapshots
from pipeline.store.log import leaf_index, retractions, sealed_counts, styles
from pipeline.store.log.styles import StyledVotes
from pipeline.store.votes import dictionary
from pipeline.store.votes.vote_selections import VoteSelection
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.fates import ACCEPTED, LATE

VIEWS = ("raw", "defended")
# Before anything is known about the voters: their tie shares spread like a beta of this many votes.
_TIE_CONCENTRATION = 10.0


@dataclass(frozen=True)
class Inputs:
    """What a refresh rates: counts of each view, of the baseline, what was left out, and votes with style.

    `left_out` is the leaf of each excluded vote with its position in `exclusions`.
    """

    model_no: dict[str, int]
    views: dict[str, PairCounts]
    baseline: PairCounts
    tie_moments: Int64
    excluded: int
    flagged: int
    exclusions: list[dict[str, str]]
    styled: StyledVotes
    left_out: dict[int, int]


def inputs(
    connection: Connection,
    log_size: int,
    listed: list[dict[str, str]] | None = None,
    left_out: Mapping[tuple[int, int], Any] | None = None,
) -> Inputs:
    """Defended = accepted − exclusions; the baseline leaves out flagged votes too: they train nothing.

    Args:
        connection: reads.
        log_size: of the log.
        listed: exclusions; those of now if none are given.
        left_out: the votes that they take out, if that is known.
    """
    sealed = sealed_counts.counts(connection, log_size)
    numbers = dictionary.model_names(connection)
    axis = sorted(numbers)
    labels = tuple(numbers[number] for number in axis)
    if listed is None:
        listed = [
            {"kind": e.kind, "target": e.target, "reason": e.reason, "name": e.name}
            for e in exclusions.current(connection)
        ]
    voters = [parse_pseudonym(e["target"]) for e in listed if e["kind"] == "voter"]
    vote_ids = [e["target"] for e in listed if e["kind"] == "vote"]
    selections = [VoteSelection.parse(e["target"]) for e in listed if e["kind"] == "votes"]
    flagged = sorted(set(exclusions.flagged_voters(connection)) - set(voters))
    fate = sealed.pairs[:, 3]
    raw = _pairs(labels, axis, sealed.pairs[(fate == ACCEPTED) | (fate == LATE)])
    accepted = _pairs(labels, axis, sealed.pairs[fate == ACCEPTED])
    if left_out is None:
        left_out = exclusions.excluded(connection, log_size, voters, vote_ids, selections)
    out = _pairs(labels, axis, exclusions.summed(left_out))
    suspects = exclusions.pair_counts(connection, log_size, flagged, [], but=vote_ids, but_selections=selections)
    flags = _pairs(labels, axis, suspects)
    defended = accepted.minus(out)
    entry = exclusions.attributed(connection, left_out, listed)
    leaves = leaf_index.leaves(connection, left_out)
    return Inputs(
        {name: number for number, name in numbers.items()},
        {"raw": raw, "defended": defended},
        defended.minus(flags),
        sealed.ties,
        out.total,
        flags.total,
        listed,
        styles.styled(connection, log_size).without(left_out.keys() | retractions.taken_back(connection, log_size)),
        {leaf: entry[place] for place, leaf in leaves.items()},
    )


def _pairs(labels: tuple[str, ...], axis: list[int], rows: Any) -> PairCounts:
    """Rows (model_a, model_b, outcome, …, votes) as counts over the models of the store."""
    cells = np.array(rows, dtype=np.int64).reshape(-1, 5 if len(rows) and len(rows[0]) == 5 else 4)
    position = np.zeros((axis[-1] if axis else 0) + 1, dtype=np.int64)
    position[axis] = np.arange(len(axis))
    table = np.zeros((len(cells), 4), dtype=np.int64)
    table[np.arange(len(cells)), cells[:, 2]] = cells[:, -1]
    return PairCounts.from_rows(labels, position[cells[:, 0]], position[cells[:, 1]], table)


def reference(given: Inputs) -> bytes:
    """Honest behaviour for the votes to come, from votes that nobody suspects."""
    try:
        counts, _ = select_rated_models(given.baseline.decisive(), least_share=0.0)
        estimate = fit(counts)
    except RatingError:
        return b""  # too few votes that nobody suspects: the votes to come get no evidence, and the board is rated
    share = float(np.clip(given.baseline.tie_share(), 1e-6, 1 - 1e-6))
    concentration = _tie_concentration(given.tie_moments)
    return snapshots.pack_reference(
        Reference(
            0,
            np.array([given.model_no[m] for m in counts.models], dtype=np.int64),
            estimate.theta,
            estimate.covariance,
            share,
            (concentration * share, concentration * (1 - share)),
        )
    )


def _tie_concentration(moments: Any) -> float:
    """α + β of the voters' tie shares, by the moments of pairs of votes of one voter.

    E[p] = Σk/Σn and E[p²] = Σk(k−1)/Σn(n−1); for a beta distribution α + β = E[p](1 − E[p])/Var[p] − 1.
    """
    n, k, n_pairs, k_pairs = (float(m) for m in moments)
    if not n_pairs or not 0 < k < n:
        return _TIE_CONCENTRATION
    mean, spread = k / n, k_pairs / n_pairs - (k / n) ** 2
    if spread <= 0:
        return 1000.0
    return float(np.clip(mean * (1 - mean) / spread - 1, 1.0, 1000.0))


def board(counts: PairCounts, options: Settings) -> Leaderboard:
    """The board of a view, rounded as it is published.

    Raises:
        RatingError: the votes allow no comparison (too small a connected part, or no convergence).
    """
    return compute_leaderboard(counts, anchor=_anchor(counts, options), least_share=options.least_share).rounded()


def _anchor(counts: PairCounts, options: Settings) -> tuple[str, float] | None:
    """The anchor, where it is rated: a board without it keeps its mean at 1000."""
    anchor = options.anchor_points
    if anchor is None or anchor[0] not in counts.models:
        return None
    rated, _ = select_rated_models(counts, least_share=options.least_share)
    return anchor if anchor[0] in rated.models else None


def rows_of(shown: Leaderboard) -> list[dict[str, Any]]:
    """A board as the rows of a snapshot, by model name."""
    columns = (
        shown.rating,
        shown.lower,
        shown.upper,
        shown.rank,
        shown.rank_best,
        shown.rank_worst,
        shown.votes,
    )
    rows = [
        dict(
            zip(
                ("model", "rating", "lower", "upper", "rank", "rank_best", "rank_worst", "votes"),
                (model, *(column[i].item() for column in columns)),
                strict=True,
            )
        )
        for i, model in enumerate(shown.models)
    ]
    return by_model(rows)


def by_model(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows in the order in which they are digested."""
    return sorted(rows, key=lambda row: str(row["model"]))


def about(shown: Leaderboard, counts: PairCounts | None = None) -> dict[str, Any]:
    """What a snapshot says about the fit of a view, and of which counts it is."""
    counted = {} if counts is None else {"votes": counts.total, "counts_sha256": counts_digest(counts)}
    return {
        **counted,
        "models": len(shown.models),
        "gradient_norm": float(shown.gradient_norm),
        "iterations": int(shown.iterations),
        "converged": bool(shown.converged),
        "unrated": [{"model": u.model, "reason": u.reason} for u in shown.unrated],
    }
