"""Estimates the reference of a snapshot, which says how honest voters vote, from the votes of unflagged voters.

Detectors compare new votes with the reference. It has the ratings of the models, their covariance (clustered by voter),
the share of ties, and the spread of the voters' tastes.

Of a voter's votes on one model, only the newest three count. Otherwise one voter with many votes on a model would
decide what honest behaviour is, and an attacker's votes would look honest. More than three count if three do not
suffice to rate a model, or if ratings from three votes are rough (`MOST_ERROR`), as on a board with few voters who have
cast many votes each. At most the newest `NEWEST_VOTES` votes are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from pipeline.errors import NotConverged, RatingError
from pipeline.evidence import Reference
from pipeline.evidence.taste import ASSUMED_CONCENTRATION, Taste, TieHabits, estimate_taste, estimate_tie_habits
from pipeline.evidence.taste_pairs import CAP
from pipeline.jobs.refresh.rating_input import RatingInput
from pipeline.jobs.refresh.voter_votes import OrderedVotes, codes_of, order_by_voter
from pipeline.ratings import Fit, PairCounts, fit, select_rated_models, with_clustered_covariance
from pipeline.ratings.method import ALL_VOTES, Method
from pipeline.registry import RegistryState
from pipeline.store.boards.reference_codec import pack_reference
from pipeline.store.log import kept_votes, retractions
from pipeline.store.log.newest_votes import NewestVotes
from pipeline.vocabulary.arrays import Bool, Int64
from pipeline.vocabulary.fates import COUNTED
from pipeline.vocabulary.method_rules import rule_mask
from pipeline.vocabulary.vote_flags import RULES

NEWEST_VOTES = 1_000_000
"""Number of the newest votes that a reference is estimated from."""

CAPS = (3, 12, 48, 2**62)
"""Numbers of votes of one voter on one model that may count. The smallest is used with which all models are rated, and
rated precisely enough (`MOST_ERROR`)."""

MOST_ERROR = 0.15
"""If the standard error of the ratings is larger, in logits, the next number of `CAPS` is tried, up to 48. It is tried
only if at least half of the voters have cast more votes on one model than count so far. So a few busy voters, who may
be attackers, never get more weight.

Rough ratings hide attackers, since errors of the ratings may explain their votes. Such boards have few voters with many
votes each. On boards with more voters three votes of each are precise enough."""

_ROUGH_CAP = 48
# With fewer voters the clustered variance is too small (see `clustered_sandwich`).
_LEAST_CLUSTERS = 50
# With fewer voters, many votes of each say little about how much voters differ.
_LEAST_VOTERS = 5


@dataclass(frozen=True)
class BaselineReference:
    """The reference of a snapshot, with which detectors evaluate new votes.

    Attributes:
        packed: the reference as bytes. Empty if the votes do not suffice to rate models; new votes then get no
            evidence.
        stated: the fields about the reference for the body of the snapshot; None without a reference.
    """

    packed: bytes
    stated: dict[str, Any] | None


def read_baseline_votes(connection: Connection, log_size: int, given: RatingInput, method: Method) -> NewestVotes:
    """Return the newest votes from which the reference is estimated.

    Left out are votes that do not count, retracted votes, votes of flagged or excluded voters, and votes on models that
    are not in the registry. A flagged voter has an unresolved alert.

    Args:
        connection: a write transaction, which may store a copy of the votes for the next refresh.
        log_size: number of leaves of the vote log; later votes are not read.
        given: the input of the rating, which has the excluded votes and the unregistered models.
        method: the method. Votes that its rules leave out do not count.
    """
    votes = kept_votes.read_newest(connection, log_size, NEWEST_VOTES)
    counted = np.isin(votes.fate, COUNTED) & (votes.flags & rule_mask(method.rules) == 0)
    waiting = [given.model_no[name] for name in given.waiting["defended"]]
    counted &= ~(np.isin(votes.model_a, waiting) | np.isin(votes.model_b, waiting))
    return votes.where(counted).without(given.suspects | retractions.retracted_positions(connection, log_size))


def estimate_baseline_reference(
    votes: NewestVotes, model_no: dict[str, int], registry: RegistryState, method: Method = ALL_VOTES
) -> BaselineReference:
    """Estimate the reference with which detectors evaluate later votes.

    Args:
        votes: the votes, from `read_baseline_votes`.
        model_no: name of a model → model number (model_no).
        registry: the registry, which names the provider of each model.
        method: the method of the snapshot. Detectors skip the votes that it leaves out.

    Returns:
        The reference as bytes, and the fields that the snapshot states about it. The bytes are empty and the fields
        None if the votes do not suffice to rate models.
    """
    ordered = order_by_voter(votes)
    found = _first_cap(ordered, model_no)
    if found is None:
        return BaselineReference(b"", None)
    cap, kept, counts, estimate = found
    number = np.array([model_no[m] for m in counts.models], dtype=np.int64)
    estimate, voters = _clustered(estimate, kept.among(number))
    share = float(np.clip((kept.outcome >= 2).mean(), 1e-6, 1 - 1e-6))
    habits, taste = _habits(ordered), _taste(ordered.among(number), estimate, cap if voters >= _LEAST_VOTERS else CAP)
    concentration = ASSUMED_CONCENTRATION if habits is None else habits.concentration
    reference = Reference(
        0,
        number,
        estimate.theta,
        estimate.covariance,
        share,
        (concentration * share, concentration * (1 - share)),
        taste,
        _provider_numbers(counts.models, model_no, registry),
        rule_mask(method.rules) & RULES,
    )
    stated = {
        "votes": len(kept.voter),
        "voters": voters,
        "votes_per_model": None if cap == CAPS[-1] else cap,
        "taste": _state_taste(taste),
        "ties": {"share": round(share, 4), "logit_sd": None if habits is None else round(habits.logit_sd, 3)},
    }
    return BaselineReference(pack_reference(reference, (counts.a, counts.b)), stated)


def _first_cap(votes: OrderedVotes, model_no: dict[str, int]) -> tuple[int, OrderedVotes, PairCounts, Fit] | None:
    """Find the first cap of `CAPS` under which as many models can be rated as with all votes, and precisely enough.

    Returns:
        Four values: the cap, the votes that count under the cap, their counts, and the fit. None if no cap rates the
        models.
    """
    counted = _count(votes, model_no)
    every = _rated(counted)
    for cap in CAPS if every is not None else ():
        within = _within_cap(votes, cap)
        kept = votes.where(within)
        counts = _rated(counted.minus(_count(votes.where(~within), model_no)))
        if every is not None and counts is not None and len(counts.models) == len(every.models):
            try:
                found = cap, kept, counts, fit(counts)
            except RatingError:
                continue
            if cap >= min(_ROUGH_CAP, _usual_votes(votes)) or _error(found[3]) <= MOST_ERROR:
                return found
    return None


def _usual_votes(votes: OrderedVotes) -> float:
    """Return the median, over the voters, of the voter's largest number of votes on one model; 0 without voters."""
    first, (row, sizes) = votes.unknown, votes.cells
    owner = votes.who[first + row[np.cumsum(sizes) - sizes] // 2]
    largest = np.zeros(int(votes.who[first:].max(initial=-1)) + 1, dtype=np.int64)
    largest[votes.who[first:]] = 1  # `cells` has those with two or more votes
    np.maximum.at(largest, owner, sizes)
    return float(np.median(largest[largest > 0])) if largest.any() else 0.0


def _error(estimate: Fit) -> float:
    """Return the root mean square of the standard errors of the ratings against their mean, in logits."""
    centre = np.eye(len(estimate.theta)) - 1 / len(estimate.theta)
    return float(np.sqrt(np.diag(centre @ estimate.covariance @ centre).mean()))


def _rated(counts: PairCounts) -> PairCounts | None:
    try:
        return select_rated_models(counts.decisive(), least_share=0.0)[0]
    except RatingError:
        return None


def _state_taste(taste: Taste) -> dict[str, Any]:
    """Return what the snapshot states about how far honest voters' opinions of a model differ.

    `measured` is false if there were too few votes to estimate this spread.
    """
    numbers = {"sd": taste.sd, "error": taste.error, "sharpness": taste.sharpness}
    return {**{name: round(value, 4) for name, value in numbers.items()}, "measured": taste.models > 0}


def _within_cap(votes: OrderedVotes, cap: int) -> Bool:
    """Return bool[n], true for the votes that count under a cap.

    A vote counts if, for both of its models, it is among the newest `cap` votes of its voter on the model. Every vote
    without a voter counts.
    """
    kept, (row, sizes) = np.ones(len(votes.voter), dtype=np.bool_), votes.cells
    row, sizes = row[np.repeat(sizes > cap, sizes)], sizes[sizes > cap]
    later = np.repeat(np.cumsum(sizes), sizes) - 1 - np.arange(len(row))
    kept[votes.unknown + row[later >= cap] // 2] = False
    return kept


def _count(votes: OrderedVotes, model_no: dict[str, int]) -> PairCounts:
    """Return the votes by pair and outcome, over the models of the store in the order of their numbers."""
    names = sorted(model_no, key=lambda name: model_no[name])
    numbers = np.array([model_no[name] for name in names], dtype=np.int64)
    code = codes_of(numbers, int(numbers.max(initial=0)))
    return PairCounts.from_codes(names, code[votes.model_a], code[votes.model_b], votes.outcome)


def _clustered(estimate: Fit, kept: OrderedVotes) -> tuple[Fit, int]:
    """Return the fit with its covariance clustered by voter, and the number of voters."""
    kept = kept.where(kept.outcome < 2)
    voter = np.where(kept.voter == 0, -1, kept.who)
    voters = int(np.count_nonzero(np.bincount(voter[voter >= 0])))
    if voters + int((voter < 0).sum()) < _LEAST_CLUSTERS:
        return estimate, voters
    try:
        return with_clustered_covariance(estimate, kept.model_a, kept.model_b, kept.outcome, voter), voters
    except NotConverged:
        return estimate, voters


def _habits(votes: OrderedVotes) -> TieHabits | None:
    first = votes.unknown
    number = np.bincount(votes.who[first:])
    ties = np.bincount(votes.who[first:], weights=votes.outcome[first:] >= 2)
    return estimate_tie_habits(number[number > 0], ties[number > 0].astype(np.int64))


def _taste(votes: OrderedVotes, estimate: Fit, cap: int) -> Taste:
    # Newest first: the votes of which the first ones count are those that the fit counts. In other votes the error of
    # the fit would look like taste.
    cap = max(cap, CAP)
    rows = slice(None, votes.unknown - 1 if votes.unknown else None, -1)
    voter, a, b, outcome = votes.voter[rows], votes.model_a[rows], votes.model_b[rows], votes.outcome[rows]
    return estimate_taste(voter, a, b, outcome, estimate.theta[a] - estimate.theta[b], votes.newest_cells(), cap)


def _provider_numbers(models: tuple[str, ...], model_no: dict[str, int], registry: RegistryState) -> Int64:
    """Return a number of the provider of each model: the lowest number of the provider's models, −1 if unknown.

    The number stays the same when the provider releases a model, because models are numbered in the order of their
    first votes. So evidence about a provider goes on from snapshot to snapshot.
    """
    lowest: dict[str, int] = {}
    for name, number in sorted(model_no.items(), key=lambda item: item[1]):
        provider = registry.provider_of(name)
        if provider is not None:
            lowest.setdefault(provider, number)
    providers = [registry.provider_of(name) for name in models]
    return np.array([-1 if p is None else lowest[p] for p in providers], dtype=np.int64)
