"""Measures false-alarm rates, detection delays and state sizes of the voter detectors."""

from collections.abc import Iterator

import numpy as np

from pipeline.detectors import VOTER, VoterBias
from pipeline.evidence import Reference
from pipeline.lab.bench.accuracy_figure import AccuracyFigure
from pipeline.lab.simulate.pair_rates import real_pair_rates
from pipeline.lab.simulate.simulated_voters import SimulatedVoters, VoterKind
from pipeline.lab.simulate.voter_population import VOTES_PER_VOTER, draw_votes_per_voter
from pipeline.scoring.detector_contracts import VoterVotes
from pipeline.vocabulary.time import DAY

_CHUNK = 2_000


def first_alarms(votes: VoterVotes, reference: Reference, direction: str) -> np.ndarray:
    """Return for each voter the number of votes until the first `voter_bias` alert with this direction.

    The result is float64[voters]. It is infinite for a voter without such an alert.
    """
    _, raised = VoterBias().observe(votes, [None] * len(votes.names), reference)
    first = np.full(len(votes.names), np.inf)
    start = np.searchsorted(votes.voter, np.arange(len(votes.names)))
    for one in raised:
        if one.direction == direction:
            voter = int(votes.voter[one.offset])
            first[voter] = min(first[voter], one.offset - start[voter] + 1)
    return first


def calibration(scale: float = 1.0) -> Iterator[AccuracyFigure]:
    """Measure false alarms of `voter_bias`. Votes are evaluated by a snapshot that is estimated from earlier votes.

    `scale` is the sample size as a fraction of the full size. Each figure is yielded as soon as it is known.
    """
    count, many = round(1_000 * scale), round(300 * scale)
    board = SimulatedVoters(seed=1)
    alarmed = _alarmed(board, "biased", voters=count)
    yield AccuracyFigure(f"false alarms of {count:,} honest voters × 400 votes", alarmed, "share", at_most=0.01)
    alarmed = _alarmed(board, "random", voters=3 * count, stream=5)
    what = f"  … of {3 * count:,}: clicks at random, which has almost no band and is never more than a warning"
    yield AccuracyFigure(what, alarmed, "share", at_most=0.01)
    for models, each, bar in ((30, 1_500, 0.01), (10, 600, 0.01), (4, 400, 0.01), (2, 400, None)):
        small = SimulatedVoters(seed=2, models=models, davidson_ties=True, model_tie_sd=0.15)
        voters = many if each > 1_000 else count
        alarmed = _alarmed(small, "biased", voters=voters, each=each)
        what = f"  … of {voters:,} × {each:,} votes, {models} models, ties rarer between unequal ones"
        yield AccuracyFigure(what, alarmed, "share", at_most=bar)
    alarmed = _alarmed(_unequal_ties(), "biased", voters=count, sampling=0.2)
    what = f"  … of {count:,} × 400, every fifth battle with one new model, tendency to tie of sd 1"
    yield AccuracyFigure(what, alarmed, "share", at_most=0.01)
    alarmed = _alarmed(board, "biased", voters=many, identical=True)
    yield AccuracyFigure("two identical checkpoints: false alarms", alarmed, "share", at_most=0.01)


def _alarmed(
    board: SimulatedVoters,
    direction: str,
    *,
    voters: int,
    each: int = 400,
    stream: int = 2,
    sampling: float | None = None,
    identical: bool = False,
) -> float:
    """Return the share of honest voters about whom the detector `voter_bias` raises an alert."""
    # A target attacker of strength 0 is an honest voter who is shown the target often.
    kind: VoterKind = "target" if sampling else "honest"
    votes = board.cast_votes(kind, voters, each, sampling=sampling, strength=0.0, stream=stream, identical=identical)
    return float(np.isfinite(first_alarms(votes, board.reference, direction)).mean())


def _unequal_ties() -> SimulatedVoters:
    """Return a board as difficult as a real one: tie rates depend on the pair, the model and the voter."""
    return SimulatedVoters(seed=6, tie_sd=1.0, davidson_ties=True, model_tie_sd=0.15)


def power(scale: float = 1.0) -> Iterator[AccuracyFigure]:
    """Measure how soon `voter_bias` finds attackers of each kind.

    `scale` is the sample size as a fraction of the full size. Each figure is yielded as soon as it is known.
    """
    board, many = SimulatedVoters(seed=1), round(300 * scale)
    attacks: tuple[tuple[str, VoterVotes, str, float | None], ...] = (
        ("target only, abstains otherwise", board.cast_votes("target", many, 400, otherwise="abstain"), "biased", 20),
        ("target only at 20%, normal otherwise", board.cast_votes("target", many, 400, sampling=0.2), "biased", 100),
        ("target only at 20%, random otherwise",
         board.cast_votes("target", many, 400, sampling=0.2, otherwise="random"), "biased", None),
        ("omnidirectional", board.cast_votes("omnidirectional", many, 400), "biased", 12),
        ("always left", board.cast_votes("left", many, 400), "biased", 10),
        ("clicks at random (all but unbanded component)", board.cast_votes("random", many, 400), "random", 80),
    )  # fmt: skip
    for what, votes, direction, bar in attacks:
        found = first_alarms(votes, board.reference, direction)
        yield AccuracyFigure(f"{what}: median own votes", float(np.median(found)), "votes", at_most=bar)
        yield AccuracyFigure("  … found within 100", float((found <= 100).mean()), "share")
        yield AccuracyFigure("  … found within 400", float((found <= 400).mean()), "share")
    half = _within_400(board, many, sampling=0.2, strength=0.5)
    what = "half strength at 20%: found within 400 (a prototype with a band)"
    yield AccuracyFigure(what, half, "share", at_least=0.07)
    yield AccuracyFigure("  … (one without, which alarms on 1% of the honest)", half, "share", at_least=0.70)
    half = _within_400(_unequal_ties(), many, sampling=0.2, strength=0.5)
    yield AccuracyFigure("  … tendency to tie of sd 1, ties rarer between unequal models", half, "share")
    for sampling, strength in ((0.1, 0.5), (0.05, 1.0), (0.01, 1.0)):
        what = f"target only at {sampling:.0%}, {'half' if strength < 1 else 'full'} strength: found within 400"
        yield AccuracyFigure(what, _within_400(board, many, sampling=sampling, strength=strength), "share")


def _within_400(board: SimulatedVoters, voters: int, *, sampling: float, strength: float) -> float:
    votes = board.cast_votes("target", voters, 400, sampling=sampling, strength=strength)
    return float((first_alarms(votes, board.reference, "biased") <= 400).mean())


def state_sizes(scale: float = 1.0) -> Iterator[AccuracyFigure]:
    """Measure the size of detector states in bytes per voter.

    The numbers of votes per voter are distributed as on the real board. `scale` is the sample size as a fraction of the
    full size. Each figure is yielded as soon as it is known.
    """
    count = round(500_000 * scale)
    rng = np.random.default_rng(1)
    real = real_pair_rates(None)
    size = len(real.models)
    reference = Reference(1, np.arange(size), real.theta, np.eye(size) * 0.002, 0.34, (3.4, 6.6))
    busy = rng.permutation(draw_votes_per_voter(rng, round(count * VOTES_PER_VOTER), count))
    total = dict.fromkeys((d.name for d in VOTER), 0)
    for first in range(0, count, _CHUNK):
        each = busy[first : first + _CHUNK]
        voter = np.repeat(np.arange(len(each)), each)
        n = len(voter)
        pair = rng.choice(len(real.share), n, p=real.share)
        at = rng.integers(1, 30 * DAY, n)
        at = at[np.lexsort((at, voter))]
        a, b = real.a[pair], real.b[pair]
        won = rng.random(n) >= real.wins[pair]
        outcome = np.where(rng.random(n) < real.ties[pair], 2, won).astype(np.int8)
        prompt = rng.integers(1, 2**62, n)
        votes = VoterVotes(voter, np.arange(len(each)), 0, np.arange(n), at, a, b, outcome, prompt)
        for detector in VOTER:
            states, _ = detector.observe(votes, [None] * len(each), reference)
            total[detector.name] += sum(map(len, states))
    for name, size in total.items():
        yield AccuracyFigure(f"state of {name}", size / count, "bytes a voter")
    what = f"state of all voter detectors, {count:,} voters of the power law"
    yield AccuracyFigure(what, sum(total.values()) / count, "bytes a voter", at_most=64)
