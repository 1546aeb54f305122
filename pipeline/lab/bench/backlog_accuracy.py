"""Measures power and false findings of the evaluation of a backlog, for the part `backlog` of `bench evidence`.

A backlog is a set of votes that are evaluated together afterwards. Each figure comes from one simulated stream: 100,000
honest votes on 20 models, and attackers who cast 1%, 5% or 20% of all votes. The figure "named" is the share of the
attackers whom the evaluation names, alone or as members of a group. The figure "target's error" is the difference
between the estimated and the true strength of the attacked model. This error is measured twice: with all votes ("raw"),
and without the votes of the named voters ("after"). The limits for the figures come from a prototype.
"""

from collections.abc import Iterator

import numpy as np

from pipeline.backlog import BacklogEvaluation, BacklogFindings, BacklogVotes
from pipeline.backlog.backlog_votes import BacklogCells
from pipeline.backlog.reference_fitter import ReferenceFitter
from pipeline.lab.bench.accuracy_figure import AccuracyFigure
from pipeline.lab.bench.backlog_stream import PROVIDERS, BacklogStream, make_stream
from pipeline.scoring.signals import CRITICAL

_HONEST = 100_000
POISON = (0.01, 0.05, 0.2)
POWER = (
    ("target only", 60, (1.0, 1.0, 1.0)),
    ("target", 100, (1.0, 1.0, 1.0)),
    ("demote", 100, (1.0, 1.0, 1.0)),
    ("half strength", 100, (0.0, 0.0, 0.51)),
    ("losses to ties", 100, (0.0, 0.98, 1.0)),
    ("left", 100, (1.0, 1.0, 1.0)),
    ("omnidirectional", 100, (1.0, 1.0, 1.0)),
    ("provider", 100, (1.0, 1.0, 1.0)),
    ("random clicks", 100, (0.0, 0.0, 0.06)),
)
"""For each behaviour of attackers: its name; the number of votes of each attacker; and the targets for "named", one for
each share of attack votes in POISON. A target is the least share of the attackers that must be named, from 0 to 1."""

_MOST_HONEST = 11


def backlog(scale: float = 1.0) -> Iterator[AccuracyFigure]:
    """Measure power and false findings of the evaluation of a backlog, and yield each figure.

    Args:
        scale: the sample size as a fraction of the full size.
    """
    honest = round(_HONEST * scale)
    yield from _small_boards(max(round(9 * scale), 1))
    honest_named = 0
    for number, (behaviour, each, targets) in enumerate(POWER):
        for poison, target in zip(POISON, targets, strict=True):
            attackers = max(round(honest * poison / (1 - poison) / each), 1)
            stream = make_stream(1_000 + number, honest, behaviour, attackers, each)
            votes = stream.votes()
            found = BacklogEvaluation(votes, b"bench", providers=PROVIDERS).run()
            named = _named(found)
            what = f"{behaviour}, {attackers} × {each} votes ({poison:.0%})"
            yield AccuracyFigure(f"{what}: named", _share(stream, named), "of attackers", at_least=target or None)
            honest_named = max(honest_named, len(named - set(stream.attackers.tolist())))
            if poison == POISON[-1] and behaviour not in ("left", "omnidirectional", "random clicks"):
                raw, after = (_error(stream, votes, who) for who in (set(), named))
                yield AccuracyFigure(f"{what}: target's error, raw", raw, "logits")
                yield AccuracyFigure(f"{what}: target's error, after", after, "logits")
            if behaviour == "random clicks":
                clicks = {one.voter for one in found.random}
                yield AccuracyFigure(f"{what}: warned of", _share(stream, clicks), "of attackers")
                beside = len(clicks - set(stream.attackers.tolist()))
                yield AccuracyFigure("  … honest voters beside them", beside / len(votes.names), "share", at_most=0.01)
    yield AccuracyFigure("honest voters named, most of all these", float(honest_named), "voters", at_most=_MOST_HONEST)
    votes = make_stream(1_001, honest, "target", max(round(honest * 0.0526 / 100), 1)).votes()
    yield AccuracyFigure(
        "nested form: voters that either form alone excludes", _disagreement(votes), "voters", at_most=1
    )


def _small_boards(runs: int) -> Iterator[AccuracyFigure]:
    """Measure power and false findings on boards of 12,000 honest votes and 45 attackers with six votes each.

    False findings are also counted on boards without attackers.
    """
    named, members, honest, quiet = 0, [], 0, 0
    for seed in range(runs):
        stream = make_stream(2_000 + seed, 12_000, "target only", 45, 6)
        found = BacklogEvaluation(stream.votes(), b"bench").run()
        named += any(one.model == stream.target and one.direction == "promotes" for one in found.pools)
        members.append(_share(stream, _named(found)))
        honest += len(_named(found) - set(stream.attackers.tolist()))
        clean = BacklogEvaluation(make_stream(3_000 + seed, 12_000).votes(), b"bench").run()
        quiet += len(clean.pools) + len(clean.periods) + len(_named(clean))
    yield AccuracyFigure("45 accounts × 6 votes: target named", named / runs, "of runs", at_least=17 / 18)
    yield AccuracyFigure(
        "45 accounts × 6 votes: members proposed", float(np.mean(members)), "of members", at_least=0.85
    )
    yield AccuracyFigure("45 accounts × 6 votes: honest voters proposed", honest / runs, "voters a board", at_most=1)
    yield AccuracyFigure("honest boards of 12,000 votes: findings", float(quiet), f"in {runs} boards", at_most=0)


def _named(found: BacklogFindings) -> set[int]:
    """Return the voters who are excluded for their own votes or proposed for exclusion as members of a group."""
    alone = {one.voter for one in found.voters if one.e_value >= CRITICAL}
    return alone.union(*(one.members.tolist() for one in found.pools))


def _share(stream: BacklogStream, named: set[int]) -> float:
    return len(named & set(stream.attackers.tolist())) / max(len(stream.attackers), 1)


def _error(stream: BacklogStream, votes: BacklogVotes, left_out: set[int]) -> float:
    """Return the error of the target's estimated strength minus the mean error of the other models, in logits.

    The result is NaN if there is no estimate.
    """
    cells, excluded = BacklogCells.of(votes), np.zeros(len(votes.names), dtype=np.bool_)
    excluded[sorted(left_out)] = True
    fitter = ReferenceFitter(votes, cells, np.zeros(len(votes.voter), dtype=np.int64), 1, cap=None)
    (found,) = fitter.fit_without([[]], excluded)
    if found is None:
        return float("nan")
    difference = found.theta - stream.strengths[found.model_no]
    target = int(found.index_of(np.array([stream.target]))[0])
    return float(difference[target] - np.delete(difference, target).mean())


def _disagreement(votes: BacklogVotes) -> float:
    """Return the number of voters on whom the iterated and the nested form of the evaluation disagree.

    They disagree if only one of them gives the voter an e-value of at least 10⁴ (`pipeline.backlog.voter_rounds`).
    """
    found = BacklogEvaluation(votes, b"bench", "always").run()
    return float(sum((one.e_value >= CRITICAL) != ((one.strict or 0.0) >= CRITICAL) for one in found.voters))
