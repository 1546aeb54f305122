"""Tests whether the order of models depends on a change of tasks over time.

The votes of each pair are a mix of tasks (categories or languages). If the mix changes after a model was retired, this
model's battles have the old mix, and later battles have the new mix. The Bradley-Terry model then compares answers to
different tasks, and the order of the *remaining* models may change (Singh et al. 2025, "The Leaderboard Illusion",
section 5).

The audit rates the board twice: with the votes as cast, and with every pair's votes reweighted to the same mix of
tasks. For the reweighting, the outcome shares of a pair in each task are weighted by the task's share of all votes of
the board (post-stratification). If the order of two models differs between the two ratings, it depends on the mix.

Blind spot: if a pair has no votes in a task, the pair's other tasks get the weight of this task. If the models are
intransitive, the order also depends on the number of votes of each pair, which the reweighting does not change.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.audits.finding import Finding
from pipeline.errors import BadCounts
from pipeline.ratings import PairCounts, fit_matrix
from pipeline.ratings.intervals import POINTS_PER_LOGIT
from pipeline.vocabulary.arrays import Float64

AUDIT = "task_mix"


@dataclass(frozen=True, slots=True)
class ReorderedPair:
    """Two models whose order differs between the votes as cast and the votes reweighted to one mix of tasks.

    Attributes:
        above: the model that is rated higher with the votes as cast.
        below: the model that is rated lower with the votes as cast.
        gap: rating of `above` minus rating of `below` with the votes as cast, in points; positive.
        gap_at_one_mix: the same difference with the reweighted votes, in points; negative.
        z: (gap − gap_at_one_mix) divided by the standard error of `gap`.
    """

    above: str
    below: str
    gap: float
    gap_at_one_mix: float
    z: float


@dataclass(frozen=True, slots=True)
class TaskMix:
    """The order of a board's models with the votes as cast, and with each pair's votes reweighted to one mix of tasks.

    Attributes:
        order: names of the models with the votes as cast, best first.
        order_at_one_mix: names of the models with the reweighted votes, best first.
        reordered: pairs of models whose order differs between the two, largest change first.
    """

    order: tuple[str, ...]
    order_at_one_mix: tuple[str, ...]
    reordered: tuple[ReorderedPair, ...]


def task_mix(tasks: Mapping[str, PairCounts]) -> TaskMix:
    """Rate a board twice: with the votes as cast, and with the votes of each pair reweighted to one mix of tasks.

    In this mix, each task has its share of all votes of the board. A task in which a pair has no votes is left out for
    this pair.

    Args:
        tasks: task → its pair counts. All counts must have the same `models`.

    Returns:
        The order of the models in both ratings, and the pairs of models whose order differs.

    Raises:
        BadCounts: there is no task, or the counts have different `models`.
        Disconnected, NotConverged: the ratings have no finite estimate, or the fit does not converge.
    """
    parts = list(tasks.values())
    if not parts or any(part.models != parts[0].models for part in parts):
        raise BadCounts(f"expected tasks on one axis of models, got {len(parts)} tasks")
    wins = np.stack([part.decisive_matrix() for part in parts])
    ties = np.stack([part.tie_matrix() for part in parts])
    plain = fit_matrix(wins.sum(axis=0), ties.sum(axis=0))
    level = fit_matrix(*_levelled(wins, ties))
    return TaskMix(
        _order(parts[0].models, plain.theta),
        _order(parts[0].models, level.theta),
        _reordered(parts[0].models, plain.theta, plain.covariance, level.theta),
    )


def task_mix_findings(found: TaskMix) -> tuple[Finding, ...]:
    """Return one finding about the pairs of models whose order depends on the mix of tasks more than chance explains.

    The result is empty if no pair has a z above 2.576, the two-sided 1% point of a standard normal.
    """
    sure = [pair for pair in found.reordered if pair.z > _SURE]
    if not sure:
        return ()
    first = sure[0]
    what = (
        f"{len(sure)} {'pair changes' if len(sure) == 1 else 'pairs change'} order when every pair's votes are weighed "
        f"to one mix of tasks: {first.above} is "
        f"{first.gap:.1f} points above {first.below} as the votes are and {-first.gap_at_one_mix:.1f} below it then"
    )
    figures = {"pairs": [[p.above, p.below, p.gap, p.gap_at_one_mix, p.z] for p in sure]}
    return (Finding(AUDIT, "board", "board", "order hangs on the task mix", "warning", what, None, figures),)


# Two-sided .01 of a standard normal.
_SURE = 2.576


def _levelled(wins: Float64, ties: Float64) -> tuple[Float64, Float64]:
    """Weight the votes so that each task has the same share of every pair's votes: its share of all votes.

    The number of votes of a pair is kept. A task without votes of a pair is left out for that pair.

    Args:
        wins: float64[T, K, K], wins of the row's model over the column's model in each task.
        ties: float64[T, K, K], ties in each task.

    Returns:
        Two arrays float64[K, K]: wins and ties, summed over the tasks.
    """
    votes = wins + wins.transpose(0, 2, 1) + ties
    whole = votes.sum(axis=(1, 2)) / votes.sum()
    met = votes > 0
    weight = np.where(met, whole[:, None, None], 0.0)
    weight = np.divide(weight, weight.sum(axis=0), out=np.zeros_like(weight), where=met.any(axis=0))
    scale = np.divide(weight * votes.sum(axis=0), votes, out=np.zeros_like(weight), where=met)
    return (wins * scale).sum(axis=0), (ties * scale).sum(axis=0)


def _order(models: tuple[str, ...], theta: Float64) -> tuple[str, ...]:
    return tuple(models[k] for k in np.argsort(-theta, kind="stable"))


def _reordered(models: tuple[str, ...], plain: Float64, V: Float64, level: Float64) -> tuple[ReorderedPair, ...]:
    found = []
    for i, j in np.argwhere(np.subtract.outer(plain, plain) > 0).tolist():
        gap, then = plain[i] - plain[j], level[i] - level[j]
        if then < 0:
            se = float(np.sqrt(V[i, i] + V[j, j] - 2 * V[i, j]))
            pair = gap * POINTS_PER_LOGIT, then * POINTS_PER_LOGIT
            found.append(ReorderedPair(models[i], models[j], float(pair[0]), float(pair[1]), float((gap - then) / se)))
    return tuple(sorted(found, key=lambda pair: pair.gap_at_one_mix - pair.gap))
