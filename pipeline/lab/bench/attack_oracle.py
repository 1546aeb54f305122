"""Computes after how many votes a test could find each attacker that knows the attack: an oracle.

The oracle is the likelihood ratio of an attacker's votes. Its alternative is the true one: the target, the direction,
the strength and the slips of the attack are known, as is what honest people answer on average. Its null hypothesis is
an honest voter. The voter's taste for each target is drawn from the normal distribution, and the voter's share of ties
from the beta distribution, that the last snapshot estimated. Tastes for other models count as absent, and the ratings
as exact. A second form of the oracle allows for errors of the ratings, and does not know which model is attacked and in
which direction.

A detector knows less than this. Where the oracle does not reach an e-value of 100 within the votes of an attacker, a
detector with the same null hypothesis does not reach it by better weights or alternatives.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.special import betaincinv, expit, logsumexp

from pipeline.evidence import Reference
from pipeline.evidence.honest_reference import CHANCE_UNIT
from pipeline.lab.bench.planted_attacks import PlantedAttack, PlantedStream, answer_chances
from pipeline.lab.bench.real_streams import PARTS, StreamFindings
from pipeline.scoring.signals import ALPHA
from pipeline.vocabulary.arrays import Bool, Float64, Int64

_TASTES, _TASTE_WEIGHTS = np.polynomial.hermite_e.hermegauss(25)
_TASTE_LOGS = np.log(_TASTE_WEIGHTS / _TASTE_WEIGHTS.sum())
_TIE_NODES = (np.arange(40) + 0.5) / 40
_LEAST = 1e-9


def oracle_votes(
    stream: PlantedStream, attack: PlantedAttack, streamed: StreamFindings, *, exact: bool = True
) -> Float64:
    """Return the number of evaluated votes after which the oracle first has an e-value of 100 about each attacker.

    Args:
        stream: the votes.
        attack: the kind of the attackers in `stream`.
        streamed: what `run_stream` found in `stream`. Its references define the honest voter.
        exact: whether the oracle knows the exact ratings and the attacked model. If not, the errors of the targets'
            last ratings are integrated out together with the taste. For attacks on models, the e-value is then also
            divided by twice the number of models, because each model may be promoted or demoted.

    Returns:
        float64[k], in the order of `stream.attackers`; infinite if 100 is not reached.
    """
    found = np.full(len(stream.attackers), np.inf)
    if streamed.last is None:
        return found
    votes = _EvaluatedVotes.of(stream, streamed)
    spread = _spread_by_target(stream.targets, streamed.last, exact=exact)
    alternatives = 1 if exact or not attack.of_models else 2 * len(streamed.last.theta)
    for i, attacker in enumerate(stream.attackers.tolist()):
        path = _log_ratios(votes.take(votes.voter == attacker), attack, streamed.last, spread)
        reached = np.flatnonzero(path >= np.log(alternatives / ALPHA))
        found[i] = reached[0] + 1 if len(reached) else np.inf
    return found


@dataclass(frozen=True)
class _EvaluatedVotes:
    """The n votes of attackers that a reference evaluates, in order: arrays of length n.

    Attributes:
        voter: number of the voter.
        target: model number of the target, if exactly one of the two models is a target; otherwise −1.
        logit: the reference's logit of a win of the target. Without a target, of model a.
        factor: the factor by which unequal models tie more rarely.
        outcome: 0 if the target (or model a) won, 1 if the other model did, 2 for a tie.
    """

    voter: Int64
    target: Int64
    logit: Float64
    factor: Float64
    outcome: Int64

    @classmethod
    def of(cls, stream: PlantedStream, streamed: StreamFindings) -> _EvaluatedVotes:
        votes = stream.votes
        mine = np.isin(votes.voter, stream.attackers)
        edges = (np.arange(PARTS + 1) * len(votes.voter)) // PARTS
        parts = []
        for number, reference in streamed.references.items():
            rows = np.flatnonzero(mine[edges[number] : edges[number + 1]]) + edges[number]
            a, b = reference.index_of(votes.model_a[rows]), reference.index_of(votes.model_b[rows])
            rated = (a >= 0) & (b >= 0)
            rows, a, b = rows[rated], a[rated], b[rated]
            ours_a, ours_b = np.isin(votes.model_a[rows], stream.targets), np.isin(votes.model_b[rows], stream.targets)
            target = np.where(ours_a, votes.model_a[rows], np.where(ours_b, votes.model_b[rows], -1))
            turned = ours_b & ~ours_a
            outcome = votes.outcome[rows].astype(np.int64)
            parts.append(
                (
                    votes.voter[rows],
                    np.where(ours_a & ours_b, -1, target),
                    np.where(turned, -1, 1) * (reference.theta[a] - reference.theta[b]),
                    reference.tie_factors[a, b] * CHANCE_UNIT,
                    np.where(turned & (outcome < 2), 1 - outcome, np.minimum(outcome, 2)),
                )
            )
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def take(self, rows: Bool) -> _EvaluatedVotes:
        return _EvaluatedVotes(*(getattr(self, column.name)[rows] for column in fields(self)))


def _spread_by_target(targets: Int64, reference: Reference, *, exact: bool) -> dict[int, float]:
    """Return target → the standard deviation over honest voters of the logit that the target wins.

    If `exact`, honest voters differ in taste only. Otherwise the error of the target's rating is added.
    """
    known = targets[reference.index_of(targets) >= 0]
    taste, models = reference.taste.upper, len(reference.theta)
    found = dict.fromkeys(targets.tolist(), taste)
    for target, place in zip(known.tolist(), reference.index_of(known).tolist(), strict=True):
        contrast = np.full(models, -1 / max(models - 1, 1))
        contrast[place] = 1.0
        error = 0.0 if exact else float(contrast @ reference.covariance @ contrast)
        found[target] = float(np.sqrt(taste**2 + error))
    return found


def _log_ratios(
    votes: _EvaluatedVotes, attack: PlantedAttack, reference: Reference, spread: dict[int, float]
) -> Float64:
    """Return float64[n], ln of the likelihood ratio (attacker against honest voter) after each of an attacker's votes.

    Args:
        votes: the n votes of the attacker.
        attack: the attack, whose outcomes are the alternative.
        reference: gives the distribution of honest voters' shares of ties.
        spread: target → standard deviation of honest logits (`_spread_by_target`).
    """
    alpha, beta = reference.tie_prior
    rows = np.arange(len(votes.outcome))
    on = votes.target >= 0
    usual = _honest(votes.logit, votes.factor, alpha / (alpha + beta))
    about = on if attack.of_models else np.ones_like(on)
    chosen = np.where(about[:, None], answer_chances(attack.name, usual), usual)
    by_attack = np.log(np.maximum(chosen[rows, votes.outcome], _LEAST)).cumsum()
    shares = betaincinv(alpha, beta, _TIE_NODES)
    logs = np.log(_honest(votes.logit[:, None], votes.factor[:, None], shares)[rows, :, votes.outcome])
    tasted = on & attack.of_models
    honest = np.where(tasted[:, None], 0.0, logs).cumsum(axis=0)
    for target in np.unique(votes.target[tasted]).tolist():
        tastes = spread[target] * _TASTES
        with_taste = _honest(votes.logit[:, None, None] + tastes, votes.factor[:, None, None], shares[:, None])
        logs = np.log(with_taste[rows, :, :, votes.outcome]) * (votes.target == target)[:, None, None]
        honest += logsumexp(logs.cumsum(axis=0) + _TASTE_LOGS, axis=2)
    by_honest = logsumexp(honest, axis=1) - np.log(len(shares))
    return np.asarray(by_attack - by_honest)


def _honest(logit: Float64, factor: Float64, share: Float64 | float) -> Float64:
    """Return the chances of an honest voter: win, loss, tie on the last axis. The arguments are broadcast.

    Args:
        logit: the logit of a win in a decided battle.
        factor: the factor by which unequal models tie more rarely, at most 1.
        share: the voter's share of ties in battles of equal models.
    """
    tie = np.clip(share * factor, _LEAST, 1 - _LEAST)
    win = np.clip(expit(logit), _LEAST, 1 - _LEAST)
    return np.stack(np.broadcast_arrays((1 - tie) * win, (1 - tie) * (1 - win), tie), axis=-1)
