"""Finds the accounts that seem to belong to a campaign although no alert is about them.

A detector that judges one voter knows neither the target nor the direction of an attack, so it needs much evidence.
Once a campaign is known, both are known. Then the votes on the target alone show which other accounts take part.

For each other voter with at least LEAST_VOTES votes on the target about the time of the campaign (`period_of`), an
e-value is computed from these votes (`pipeline.evidence.cells`). The null hypothesis is an honest voter, with taste and
errors of the ratings integrated out. The alternatives are different kinds and sizes of a bias in the direction of the
campaign, without the smallest size.

The weights of the alternatives are learned from the votes on the target of other voters, by expectation maximisation:
the accounts of the campaign take part in it, and each other voter does with an estimated probability. The weights that
a detector uses count as one more account. The voters are divided into folds by number. The weights for a voter are
learned from the voters of other folds, so they do not depend on the voter's own votes.

e-BH then selects the voters, at level FALSE_SHARE (`pipeline.evidence.multiple_testing`). At most this share of the
selected voters is expected to be honest, however the e-values depend on each other.

Measured on 22 boards of 692 judges of translations (WMT 2015 and 2016), evaluated by references from other judges: no
judge is suspected in 1,032 searches, one for each model and direction. Of 124 crowd workers (llmfao), 4 are suspected,
in 5 of 236 searches. Nobody knows whether these people are honest.

Blind spots: an attack of which no account is known; accounts that seldom act on the target; honest supporters of the
target whose taste is far beyond the board's. The more voters vote on the target, the more evidence each needs.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace

import numpy as np

from pipeline.evidence import LOG_UNIT, Reference, to_log_units
from pipeline.evidence.cell_counts import CellCounts, count_cells
from pipeline.evidence.cells import WEIGHTS, log_ratios
from pipeline.evidence.multiple_testing import e_bh
from pipeline.incidents.claims import LIFTED, LOWERED, MODEL, Claim
from pipeline.incidents.grouping import Incident
from pipeline.vocabulary.arrays import Bool, Float64, Int8, Int64
from pipeline.vocabulary.time import DAY

LEAST_VOTES = 3
"""A voter with fewer votes on the target is not evaluated."""

FALSE_SHARE = 0.05
"""The largest expected share of honest voters among the suspects of one incident."""

MARGIN = 14 * DAY
"""Votes up to this time before and after an incident count in the search, in microseconds.

The period is long because suspected accounts may begin earlier and act longer than the accounts with an alert, and
because a suspected account needs about ten votes on the target to be found."""

FOLDS = 5
"""The number of folds. The fold of a voter is the remainder of its number divided by FOLDS."""

# The smallest size of a bias, which is at place 0 of `DELTAS`, is left out: honest voters who met few opponents may
# differ as much from ratings that fit their votes badly.
_WEAKEST = 1
# The weights settle within these steps, and e-values hardly depend on their last digits.
_STEPS = 20
_LEAST_SHARE, _MOST_SHARE = 1e-6, 0.999
_MAX_LOG = 600.0


@dataclass(frozen=True, slots=True, eq=False)
class TargetVotes:
    """The counted votes on the target of a campaign in a period, and how many votes the voters cast in all.

    Attributes:
        voter: int64[n], the voter of each vote on the target.
        model_a, model_b: int64[n], the numbers of the models (model_no) of these votes.
        outcome: int8[n], 0 (a wins), 1 (b wins), or 2 and more for ties.
        voters: int64[v], the voters of these votes, ascending.
        votes, ties: int64[v], number of all counted votes of each of these voters in the period, votes on other models
            included, and number of ties among them.
    """

    voter: Int64
    model_a: Int64
    model_b: Int64
    outcome: Int8
    voters: Int64
    votes: Int64
    ties: Int64


def find_suspects(
    votes: TargetVotes, target: int, effect: str, accounts: Set[int], reference: Reference
) -> dict[int, float]:
    """Return the suspects: voters who are not known as accounts of the campaign, but vote on its target as these do.

    Args:
        votes: the votes on the target during the campaign.
        target: number of the target (model_no).
        effect: LIFTED if the campaign promotes the target, LOWERED if it demotes the target.
        accounts: the accounts of the campaign.
        reference: the reference of a snapshot, if possible from before the campaign.

    Returns:
        Voter → ln of the e-value. Empty if the reference lacks the target.
    """
    who, counts = cells_on(votes, target, reference)
    if not len(who):
        return {}
    side = 0 if effect == LIFTED else 1
    logs = log_ratios(counts, reference, reference.taste.upper)[:, side, :, _WEAKEST:].reshape(len(who), -1)
    # Within these limits no ratio is 0 or infinite.
    ratios = np.exp(np.clip(logs, -_MAX_LOG, _MAX_LOG))
    known = np.isin(who, np.array(sorted(accounts), dtype=np.int64))
    others, fold = ratios[~known], who[~known] % FOLDS
    mixed = np.zeros(len(others))
    for one in range(FOLDS):
        mixed[fold == one] = _mix(others[fold == one], _weights(ratios[known], others[fold != one], side))
    log_e = to_log_units(np.log(mixed))
    chosen = e_bh(log_e, FALSE_SHARE)
    return dict(zip(who[~known][chosen].tolist(), (log_e[chosen] * LOG_UNIT).tolist(), strict=True))


def cells_on(votes: TargetVotes, target: int, reference: Reference) -> tuple[Int64, CellCounts]:
    """Count the votes on the target of each voter with at least LEAST_VOTES such votes.

    Args:
        votes: the votes on the target.
        target: number of the target (model_no).
        reference: gives an honest voter's chances. Votes on a model that it lacks are left out.

    Returns:
        int64[n], the voters, ascending; and the counts of each one's votes. Empty if the reference lacks the target.
    """
    (place,) = reference.index_of(np.array([target], dtype=np.int64))
    rated = reference.has_both(votes.model_a, votes.model_b)
    a, b = (reference.index_of(model[rated]) for model in (votes.model_a, votes.model_b))
    cells = count_cells(votes.voter[rated], a, b, votes.outcome[rated], reference)
    large: Bool = (cells.key == place) & (cells.counts.votes >= LEAST_VOTES)
    who, counts = cells.voter[large], cells.counts.take(large)
    rows = np.searchsorted(votes.voters, who)
    ties = counts.votes - counts.wins - counts.losses
    # Cells were counted from votes on the target alone; other votes tell how often a voter ties.
    return who, replace(counts, other_votes=votes.votes[rows] - counts.votes, other_ties=votes.ties[rows] - ties)


def _weights(known: Float64, others: Float64, side: int) -> Float64:
    """Estimate the weights of the alternatives, float64[6], whose sum is 1.

    Args:
        known: float64[k, 6], the likelihood ratios of the accounts of the campaign.
        others: float64[n, 6], the likelihood ratios of other voters, an unknown share of whom take part.
        side: 0 for alternatives that promote the target, 1 for alternatives that demote it.
    """
    strong = WEIGHTS[side, :, _WEAKEST:]
    before: Float64 = (strong / strong.sum()).ravel()
    found, share = before, 0.1
    for _ in range(_STEPS):
        biased = share * _mix(others, found)
        member = biased / (1 - share + biased)
        share = float(np.clip(member.mean(), _LEAST_SHARE, _MOST_SHARE)) if len(member) else share
        parts = _shares(known, found).sum(axis=0) + (_shares(others, found) * member[:, None]).sum(axis=0)
        found = (before + parts) / (1 + len(known) + member.sum())
    return found


def _shares(ratios: Float64, weights: Float64) -> Float64:
    """Return float64[n, 6], the probability of each alternative for each of n voters, if the voter takes part.

    Rows sum to 1. `ratios`, float64[n, 6], has the likelihood ratios, and `weights`, float64[6], the prior probability
    of each alternative.
    """
    parts = ratios * weights
    return np.asarray(parts / parts.sum(axis=1, keepdims=True))


def _mix(ratios: Float64, weights: Float64) -> Float64:
    # A matrix product might round differently for another number of rows.
    return np.asarray((ratios * weights).sum(axis=1))


def is_established(incident: Incident, claim: Claim) -> bool:
    """Return whether an incident says enough about a campaign for suspected accounts to be looked for.

    Two conditions must hold. The claim is that votes lift or lower a model. The incident names accounts, or has an
    alert with this claim that is about particular votes. An alert about a change of a model's results is about no
    particular votes: honest voters cause such a change too if the model itself changed.
    """
    if claim.kind != MODEL or claim.effect not in (LIFTED, LOWERED):
        return False
    return bool(incident.voters) or any(one.claim == claim and len(one.votes) for one in incident.alerts)


def period_of(incident: Incident) -> tuple[int, int]:
    """Return the first and the last moment at which votes count in the search: MARGIN before and after the incident.

    Times are microseconds since 1970 UTC.
    """
    return incident.begun_at - MARGIN, incident.last_at + MARGIN
