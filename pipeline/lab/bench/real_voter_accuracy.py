"""Measures false alarms and power among real voters, for `bench evidence --real`.

The voters are the crowd workers of llmfao and, if their file is present, the judges of 22 boards of WMT 2015 and 2016
(`real_boards`). Nobody knows whether these people are honest. So each worker's decisive votes are compared with a board
that is rated without the worker. The comparison is a logistic regression of the votes on the board's logits; a worker
with a slope below 0.3 counts as careless. To measure power, attackers are added to the real voters (`planted_attacks`).
Each figure is an average over random orders of the votes. The power of an oracle that knows the attack
(`attack_oracle`) is reported too.

Published rules and the published method am-ELO are evaluated for comparison. The rules get the votes after the first
snapshot, and the reference of the last snapshot; am-ELO gets all votes. The rule "30 an hour" is left out, since these
votes have no times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit

from pipeline.backlog import BacklogVotes
from pipeline.backlog.backlog_votes import BacklogCells
from pipeline.backlog.reference_fitter import ReferenceFitter
from pipeline.lab.bench.accuracy_figure import AccuracyFigure
from pipeline.lab.bench.annotator_ability import estimate_abilities
from pipeline.lab.bench.attack_oracle import oracle_votes
from pipeline.lab.bench.planted_attacks import ATTACKS, PlantedAttack, PlantedStream, plant, without_attack
from pipeline.lab.bench.real_boards import RealBoard, RealVotes
from pipeline.lab.bench.real_streams import (
    PARTS,
    StreamFindings,
    as_batch,
    run_backlog,
    run_stream,
)
from pipeline.lab.redteam.baselines import BASELINES
from pipeline.vocabulary.arrays import Float64, Int64

ORDERS, QUICK_ORDERS = 10, 2
CARELESS = 0.3
"""A worker whose votes have a smaller slope on the board's logits (`worker_slopes`) counts as careless."""

_AT = (50, 100, 200, 400)
_RULES = tuple(name for name in BASELINES if name != "30 an hour")
_AM_ELO = "am-ELO, ability at most 0"

# Shares of attackers to name by the last vote; what has no bar is reported.
_BARS = {
    "target only": 1.0,
    "target at 20%": 1.0,
    "demotes at 20%": 1.0,
    "half strength at 20%": 0.6,
    "losses to ties at 20%": 0.85,
    "provider": 0.85,
    "left": 1.0,
    "omnidirectional": 1.0,
}

Step = Callable[[str], None]
"""Called before each run with its name."""


def _no_step(_: str) -> None:
    """Do nothing."""


@dataclass
class _People:
    """Collects what the detectors find among real voters alone, in several random orders of their votes."""

    people: list[int] = field(default_factory=list)
    seen: list[Int64] = field(default_factory=list)
    warned: list[Float64] = field(default_factory=list)
    counts: dict[str, list[int]] = field(default_factory=dict)
    slopes: list[float] = field(default_factory=list)

    def count(self, what: str, number: int) -> None:
        self.counts.setdefault(what, []).append(number)

    def share(self, what: str) -> float:
        return float(np.sum(self.counts[what]) / np.sum(self.people))


def real_voters(
    groups: Mapping[str, Sequence[RealBoard]], orders: int, seed: int = 1, step: Step = _no_step
) -> Iterator[AccuracyFigure]:
    """Measure false alarms, then power, for each group of people, and yield each figure.

    Args:
        groups: name of a group of people → the boards on which they voted.
        orders: number of random orders of each board's votes.
        seed: seed of the random numbers.
        step: called with a text before each run.
    """
    for name, boards in groups.items():
        yield from _false_alarms(name, boards, orders, seed, step)
        yield from _power(name, boards, orders, seed, step)


def _false_alarms(
    name: str, boards: Sequence[RealBoard], orders: int, seed: int, step: Step
) -> Iterator[AccuracyFigure]:
    """Count false alarms on all boards without attackers.

    In each random order, a person on several boards is counted once.
    """
    found = _People()
    for order in range(orders):
        sets: dict[str, set[int]] = {}
        people: set[int] = set()
        for board in boards:
            step(f"{name}, order {order + 1} of {orders}: {board.name}")
            stream = without_attack(board.draw(np.random.default_rng([seed, order])))
            people |= set(stream.votes.voter.tolist())
            _collect(sets, stream, found)
        found.people.append(len(people))
        for what, who in sets.items():
            found.count(what, len(who))
    yield from _false_figures(name, found, careful=len(boards) == 1)


def _collect(sets: dict[str, set[int]], stream: PlantedStream, found: _People) -> None:
    """Add the people whom each rule flags on one board to `sets`."""
    streamed, backlog = run_stream(stream), run_backlog(stream)
    found.seen.append(streamed.seen)
    found.warned.append(streamed.warned)
    excluded = np.union1d(streamed.names[np.isfinite(streamed.critical)], backlog.excluded)
    found.slopes += worker_slopes(stream.votes, excluded).tolist()
    flagged = {
        "stream: biased": streamed.names[np.isfinite(streamed.warned)],
        "stream: random": streamed.names[np.isfinite(streamed.random)],
        "backlog: biased": backlog.warned,
        "backlog: in a group": backlog.pooled,
        "excluded": excluded,
        **published_flags(stream, streamed),
    }
    for what, who in flagged.items():
        sets.setdefault(what, set()).update(who.tolist())


def _false_figures(name: str, found: _People, *, careful: bool) -> Iterator[AccuracyFigure]:
    people = round(float(np.mean(found.people)))
    orders = len(found.people)
    for what in found.counts:
        bar = 0.01 if what in ("stream: biased", "backlog: biased") and not careful else None
        if what == "excluded":
            continue
        yield AccuracyFigure(f"{name}: {people} people × {orders} orders: {what}", found.share(what), "share",
                             at_most=bar)  # fmt: skip
    seen, warned = np.concatenate(found.seen), np.isfinite(np.concatenate(found.warned))
    for low, high in ((0, 25), (25, 100), (100, 10**9)):
        rows = (seen > low) & (seen <= high)
        if rows.any():
            text = f"more than {low}" if high == 10**9 else f"{low + 1} to {high}"
            yield AccuracyFigure(f"  … stream: biased, of {rows.sum()} with {text} votes", float(warned[rows].mean()),
                                 "share")  # fmt: skip
    excluded = float(np.mean(found.counts["excluded"]))
    yield AccuracyFigure(f"{name}: excluded by machine", excluded, "people an order", at_most=None if careful else 0)
    if careful:
        wrong = sum(slope >= CARELESS for slope in found.slopes) / orders
        yield AccuracyFigure(f"  … of them with a slope of {CARELESS} or more", wrong, "people an order", at_most=0)


def published_flags(stream: PlantedStream, streamed: StreamFindings) -> dict[str, Int64]:
    """Return name of a published rule → int64[n], numbers of the voters whom the rule flags."""
    votes = stream.votes
    ability = estimate_abilities(votes)
    found = {_AM_ELO: streamed.names[ability <= 0]}
    if streamed.last is None:
        return found
    given = as_batch(votes, len(votes.voter) // PARTS, len(votes.voter))
    for name in _RULES:
        found[name] = (given.names - 1)[BASELINES[name].flags(given, streamed.last)]
    return found


def worker_slopes(votes: RealVotes, workers: Int64) -> Float64:
    """Return for each worker the slope of a logistic regression of the worker's decisive votes on the board's logits.

    The board is rated without the worker. A slope near 0 means that the worker's votes ignore the strengths.

    Args:
        votes: all votes of a board.
        workers: int64[n], numbers of the workers.

    Returns:
        float64[at most n], in the order of `workers`. A worker is left out if the board cannot be rated without the
        worker's votes.
    """
    found = []
    for worker in workers.tolist():
        mine = votes.voter == worker
        rest = votes.take(~mine)
        columns = (rest.voter + 1, rest.model_a, rest.model_b, rest.outcome, np.arange(len(rest.voter)))
        given = BacklogVotes.from_columns(rest.models, *columns)
        fold = np.zeros(len(given.voter), dtype=np.int64)
        fitter = ReferenceFitter(given, BacklogCells.of(given), fold, 1, cap=None)
        (board,) = fitter.fit_without([[]], np.zeros(len(given.names), dtype=np.bool_))
        if board is None:
            continue
        own = votes.take(mine & (votes.outcome < 2))
        a, b = board.index_of(own.model_a), board.index_of(own.model_b)
        rated = (a >= 0) & (b >= 0)
        found.append(_slope(board.theta[a[rated]] - board.theta[b[rated]], own.outcome[rated] == 0))
    return np.array(found)


def _slope(x: Float64, won: np.ndarray) -> float:
    """Return the slope of a logistic regression of `won` on `x` without intercept, by a damped Newton method."""
    slope = 1.0
    for _ in range(50):
        p = expit(slope * x)
        step = float(np.clip((x * (won - p)).sum() / max((x**2 * p * (1 - p)).sum(), 1e-9), -1, 1))
        slope += step
        if abs(step) < 1e-6:
            break
    return slope


@dataclass
class _Attackers:
    """Collects, over all runs with one kind of attack, what was found about each attacker and about real people."""

    warned: list[float] = field(default_factory=list)
    on_target: list[int] = field(default_factory=list)
    critical: list[float] = field(default_factory=list)
    named: list[bool] = field(default_factory=list)
    flags: dict[str, list[bool]] = field(default_factory=dict)
    honest: list[int] = field(default_factory=list)
    people: int = 0
    oracle: list[float] = field(default_factory=list)
    finding: list[float] = field(default_factory=list)


def _power(name: str, boards: Sequence[RealBoard], orders: int, seed: int, step: Step) -> Iterator[AccuracyFigure]:
    """Measure power: add attackers of each kind to each board, and yield the share that each method finds."""
    for number, attack in enumerate(ATTACKS):
        sums = _Attackers()
        for order in range(orders):
            for at, board in enumerate(boards):
                step(f"{name}, {attack.name}, order {order + 1} of {orders}: {board.name}")
                rng = np.random.default_rng([seed, order, number, at])
                votes = board.draw(rng)
                many = max(round(0.05 * len(votes.voter) / attack.votes), 1)
                stream = plant(votes, attack, many, len(votes.voter) // PARTS, rng)
                _add_run(sums, stream, order, attack)
        yield from _power_figures(name, attack, sums)


def _add_run(sums: _Attackers, stream: PlantedStream, order: int, attack: PlantedAttack) -> None:
    """Run a stream, and add what was found about its attackers to `sums`.

    If the attack is a habit in all battles, an alert about random clicks counts as a warning of the attack.
    """
    streamed = run_stream(stream)
    who = np.searchsorted(streamed.names, stream.attackers)
    warned = streamed.warned if attack.of_models else np.minimum(streamed.warned, streamed.random)
    sums.oracle += oracle_votes(stream, attack, streamed).tolist()
    sums.finding += oracle_votes(stream, attack, streamed, exact=False).tolist()
    sums.warned += warned[who].tolist()
    sums.critical += streamed.critical[who].tolist()
    sums.named += np.isin(streamed.about[who], stream.targets).tolist()
    flags = {"alerts about random clicks": streamed.names[np.isfinite(streamed.random)]}
    if order == 0:  # the first order is enough for what takes most of the time
        backlog = run_backlog(stream)
        flags |= published_flags(stream, streamed)
        flags |= {"backlog: named": np.union1d(backlog.warned, backlog.pooled), "backlog: excluded": backlog.excluded}
    for what, flagged in flags.items():
        sums.flags.setdefault(what, []).extend(np.isin(stream.attackers, flagged).tolist())
    honest = np.isfinite(streamed.warned)
    honest[who] = False
    sums.honest.append(int(honest.sum()))
    sums.people += len(honest) - len(who)


def _power_figures(name: str, attack: PlantedAttack, sums: _Attackers) -> Iterator[AccuracyFigure]:
    what, warned = f"{name}: {attack.name}", np.array(sums.warned)
    for votes in (at for at in _AT if at <= attack.votes):
        bar = _BARS.get(attack.name) if votes == attack.votes else None
        yield AccuracyFigure(f"{what}: warned within {votes} votes", float((warned <= votes).mean()),
                             f"of {len(warned)}", at_least=bar,
                             oracle=float((np.array(sums.oracle) <= votes).mean()))  # fmt: skip
    yield AccuracyFigure("  … critical", float(np.isfinite(sums.critical).mean()), "share")
    if attack.of_models:
        yield AccuracyFigure("  … e-value of 100 by an oracle that has to find the model and to rate it",
                             float(np.isfinite(sums.finding).mean()), "share")  # fmt: skip
    if attack.focus is not None:
        yield AccuracyFigure("  … the alert names the target", float(np.mean(sums.named)), "share")
    for flag, found in sums.flags.items():
        yield AccuracyFigure(f"  … {flag}", float(np.mean(found)), "share")
    yield AccuracyFigure("  … real people warned beside them", sum(sums.honest) / sums.people, "share")
