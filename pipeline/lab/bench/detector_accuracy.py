"""How often detectors are wrong, and how soon they are right: the figures of `integrity bench evidence`.

Every figure stands beside what it has to reach. Ratings are estimated from an earlier snapshot, honest voters have
tastes of sd .5 and ties of their own, arrivals are over-dispersed. Nothing is asserted here: a figure that falls short
is shown as that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.detectors import (
    VOTER,
    WINDOW,
    CohortBias,
    SamplingSkew,
    SilentDeprecation,
    VoteBurst,
    VoterBias,
)
from pipeline.detectors.window.silent_deprecation import battles_until, least_battles
from pipeline.evidence import Reference
from pipeline.evidence.count_likelihoods import alternative_share
from pipeline.lab.simulate.pair_rates import real_pair_rates
from pipeline.lab.simulate.simulated_board import SimulatedBoard, WindowEffect
from pipeline.lab.simulate.simulated_voters import Kind, SimulatedVoters
from pipeline.lab.simulate.voter_population import draw_votes_per_voter
from pipeline.scoring.detector_contracts import VoterVotes, WindowDetector, WindowState
from pipeline.scoring.signals import AlertSignal
from pipeline.vocabulary.time import DAY

Relation = Literal["at most", "at least", "reported"]
_CHUNK = 2_000
_MONTH = 30.0


@dataclass(frozen=True, slots=True)
class AccuracyFigure:
    """One measured figure and its bar.

    Attributes:
        what: what was measured, in words.
        value: the figure.
        relation, bar: what it has to be; a figure that is only reported has no bar.
        unit: what it counts.
    """

    what: str
    value: float
    relation: Relation
    bar: float | None
    unit: str

    @property
    def holds(self) -> bool | None:
        """Whether it does; None where nothing was asked."""
        if self.bar is None:
            return None
        return self.value <= self.bar if self.relation == "at most" else self.value >= self.bar


def first_alarms(votes: VoterVotes, reference: Reference, direction: str) -> np.ndarray:
    """Of each voter the votes until `voter_bias` first speaks in a direction; infinite where it never does."""
    _, raised = VoterBias().observe(votes, [None] * len(votes.names), reference)
    first = np.full(len(votes.names), np.inf)
    start = np.searchsorted(votes.voter, np.arange(len(votes.names)))
    for one in raised:
        if one.direction == direction:
            voter = int(votes.voter[one.offset])
            first[voter] = min(first[voter], one.offset - start[voter] + 1)
    return first


def calibration(scale: float = 1.0) -> Iterator[AccuracyFigure]:
    """False alarms of `voter_bias`; the ratings that judge are estimated from earlier votes."""
    count, many = round(1_000 * scale), round(300 * scale)
    board = SimulatedVoters(seed=1)
    alarmed = _alarmed(board, "biased", voters=count)
    yield AccuracyFigure(f"false alarms of {count:,} honest voters × 400 votes", alarmed, "at most", 0.01, "share")
    alarmed = _alarmed(board, "random", voters=3 * count, stream=5)
    what = f"  … of {3 * count:,}: clicks at random, which has next to no band and is never more than a warning"
    yield AccuracyFigure(what, alarmed, "at most", 0.01, "share")
    for models, each, bar in ((30, 1_500, 0.01), (10, 600, 0.01), (4, 400, 0.01), (2, 400, None)):
        small = SimulatedVoters(seed=2, models=models, closeness=True, lean=0.15)
        people = many if each > 1_000 else count
        alarmed = _alarmed(small, "biased", voters=people, each=each)
        what = f"  … of {people:,} × {each:,} votes, {models} models, ties rarer between unequal ones"
        yield AccuracyFigure(what, alarmed, "at most" if bar else "reported", bar, "share")
    alarmed = _alarmed(_odd(), "biased", voters=count, sampling=0.2)
    what = f"  … of {count:,} × 400, every fifth battle with one new model, readiness to tie of sd 1"
    yield AccuracyFigure(what, alarmed, "at most", 0.01, "share")
    alarmed = _alarmed(board, "biased", voters=many, identical=True)
    yield AccuracyFigure("two identical checkpoints: false alarms", alarmed, "at most", 0.01, "share")


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
    """Share of honest voters of whom `voter_bias` ever speaks."""
    # Friends of a model that never act on it are honest voters who see it often.
    kind: Kind = "target" if sampling else "honest"
    votes = board.cast(kind, voters, each, sampling=sampling, strength=0.0, stream=stream, identical=identical)
    return float(np.isfinite(first_alarms(votes, board.reference, direction)).mean())


def _odd() -> SimulatedVoters:
    """A board as real as may be: ties rarer between unequal models and on some of them, and on some voters' side."""
    return SimulatedVoters(seed=6, ease=1.0, closeness=True, lean=0.15)


def power(scale: float = 1.0) -> Iterator[AccuracyFigure]:
    """How soon `voter_bias` finds whom."""
    board, many = SimulatedVoters(seed=1), round(300 * scale)
    attacks: tuple[tuple[str, VoterVotes, str, float | None], ...] = (
        ("target only, abstains otherwise", board.cast("target", many, 400, otherwise="abstain"), "biased", 20),
        ("target only at 20%, normal otherwise", board.cast("target", many, 400, sampling=0.2), "biased", 100),
        ("target only at 20%, random otherwise",
         board.cast("target", many, 400, sampling=0.2, otherwise="random"), "biased", None),
        ("omnidirectional", board.cast("omnidirectional", many, 400), "biased", 12),
        ("always left", board.cast("left", many, 400), "biased", 10),
        ("clicks at random (all but unbanded component)", board.cast("random", many, 400), "random", 80),
    )  # fmt: skip
    for what, votes, direction, most in attacks:
        found = first_alarms(votes, board.reference, direction)
        yield AccuracyFigure(
            f"{what}: median own votes", float(np.median(found)), "at most" if most else "reported", most, "votes"
        )
        yield AccuracyFigure("  … found within 100", float((found <= 100).mean()), "reported", None, "share")
        yield AccuracyFigure("  … found within 400", float((found <= 400).mean()), "reported", None, "share")
    half = _within_400(board, many, sampling=0.2, strength=0.5)
    yield AccuracyFigure(
        "half strength at 20%: found within 400 (a prototype with a band)", half, "at least", 0.07, "share"
    )
    yield AccuracyFigure("  … (one without, which alarms on 1% of the honest)", half, "at least", 0.70, "share")
    half = _within_400(_odd(), many, sampling=0.2, strength=0.5)
    what = "  … readiness to tie of sd 1, ties rarer between unequal models"
    yield AccuracyFigure(what, half, "reported", None, "share")
    for sampling, strength in ((0.1, 0.5), (0.05, 1.0), (0.01, 1.0)):
        what = f"target only at {sampling:.0%}, {'half' if strength < 1 else 'full'} strength: found within 400"
        found_ = _within_400(board, many, sampling=sampling, strength=strength)
        yield AccuracyFigure(what, found_, "reported", None, "share")


def _within_400(board: SimulatedVoters, voters: int, *, sampling: float, strength: float) -> float:
    votes = board.cast("target", voters, 400, sampling=sampling, strength=strength)
    return float((first_alarms(votes, board.reference, "biased") <= 400).mean())


def run(
    board: SimulatedBoard, detector: WindowDetector, until: Callable[[int, AlertSignal], bool]
) -> tuple[int, int] | None:
    """Window and votes since window 0 at which something that `until` accepts is first raised."""
    state: WindowState = {}
    votes = 0
    for number, window in enumerate(board.windows()):
        votes += window.accepted
        state, said = detector.observe(window, state, board.context(number))
        if any(isinstance(one, AlertSignal) and until(number, one) for one in said):
            return number, votes
    return None


def false_alarms(board: SimulatedBoard) -> dict[str, int]:
    """Alerts opened by every window detector over a board on which nothing is wrong."""
    states: dict[str, WindowState] = {d.name: {} for d in WINDOW}
    opened = dict.fromkeys(states, 0)
    for number, window in enumerate(board.windows()):
        context = board.context(number)
        for detector in WINDOW:
            states[detector.name], said = detector.observe(window, states[detector.name], context)
            opened[detector.name] += sum(isinstance(one, AlertSignal) and one.level == 1 for one in said)
    return opened


def clean_month(scale: float = 1.0) -> Iterator[AccuracyFigure]:
    """200 models for 30 days, with a release surge in the middle of it that the registry announces."""
    surge = WindowEffect(first=4_320, end=4_320 + 864, traffic=2.5, sampling={"m007": 6.0}, declared=True)
    days = max(_MONTH * scale, 4.0)
    effects = [surge] if days == _MONTH else []
    opened = false_alarms(SimulatedBoard(days=days, votes=40, seed=11, models=200, providers=25, effects=effects))
    for name, count in opened.items():
        what = f"{name}: false alarms, 200 models × {days:g} days{' with a release surge' if effects else ''}"
        yield AccuracyFigure(what, count, "at most", 1, "alarms")
    learned = false_alarms(SimulatedBoard(days=days, votes=40, seed=12, models=60, providers=12, policy=False))
    del learned["sampling_skew"]  # without a policy equal shares are held against it, as its alert says
    for name, count in learned.items():
        yield AccuracyFigure(f"{name}: false alarms, no declared policy, {days:g} days", count, "at most", 1, "alarms")


def bursts(scale: float = 1.0) -> Iterator[AccuracyFigure]:
    """×3 of one model inside normal traffic; 100 models, 20 providers and 80 networks are 200 keys and more."""
    repeats = max(round(20 * scale), 4)
    first = 360
    for models, votes, bar in ((40, 120, 6.0), (40, 60, None), (40, 12, None), (100, 250, 6.0), (100, 60, None)):
        waits = []
        for seed in range(repeats):
            attack = WindowEffect(first=first, end=first + 144, sampling={"m005": 3.0})
            board = SimulatedBoard(days=1.75, votes=votes, seed=seed, models=models, providers=20, effects=[attack])
            hit = run(board, VoteBurst(), lambda number, one: number >= first and one.subject == "m005")
            waits.append(np.inf if hit is None else hit[0] - first + 1)
        what = f"burst ×3 of one of {models} models at {votes} votes a window: median windows"
        yield AccuracyFigure(what, float(np.median(waits)), "at most" if bar else "reported", bar, "windows")
        share = float(alternative_share(2 / models, 3.0))
        yield AccuracyFigure(f"  … and its share goes from {2 / models:.3f} to", share, "reported", None, "of battles")


def cohorts(scale: float = 1.0) -> Iterator[AccuracyFigure]:
    """126 and 60 bought votes of new accounts within a day, beside 1,000 and 300 honest votes on the target."""
    repeats = max(round(24 * scale), 4)
    week = 7 * 288
    for honest, bought, bar in ((1_000, 126, 0.85), (300, 126, None), (300, 60, None)):
        found = 0
        for seed in range(repeats):
            attack = WindowEffect(first=week, end=week + 288, target="m005", votes=bought / 288, network="AS64700")
            # So many votes of everybody's that the target is in `honest` of them a day.
            board = SimulatedBoard(days=8, votes=honest / 288 * 10, seed=seed, models=20, effects=[attack])
            hit = run(
                board,
                CohortBias(),
                lambda number, one: (
                    number >= week and one.direction == "promoted by new accounts" and one.subject == "m005"
                ),
            )
            found += hit is not None
        what = f"cohort: {bought} new-account votes beside {honest} honest ones on the target, in a day: found"
        yield AccuracyFigure(what, found / repeats, "at least" if bar else "reported", bar, "share")


def sampling(scale: float = 1.0) -> Iterator[AccuracyFigure]:
    """Sampling other than declared, from the policy's first window on; one of 40 models."""
    repeats = max(round(40 * scale), 4)
    for times, subject, bar in ((2.0, "m005", 2_400.0), (2.0, "board", None), (1.5, "m005", None), (0.0, "m005", None)):
        waits = []
        for seed in range(repeats):
            skew = WindowEffect(first=0, end=2_880, sampling={"m005": times})
            board = SimulatedBoard(days=6, votes=40, seed=seed, effects=[skew])
            hit = run(board, SamplingSkew(), lambda _, one, subject=subject: one.subject == subject)  # type: ignore[misc]
            waits.append(np.inf if hit is None else hit[1])
        what = (
            f"sampling ×{times:g} of one of 40 models ({'jointly' if subject == 'board' else 'by name'}): median votes"
        )
        yield AccuracyFigure(what, float(np.median(waits)), "at most" if bar else "reported", bar, "votes")


def silence(scale: float = 1.0) -> Iterator[AccuracyFigure]:
    """A model that stops appearing."""
    repeats = max(round(40 * scale), 4)
    yield AccuracyFigure(
        "evidence of 10⁴ for a share of 1%, by the formula", battles_until(0.01, 1e4), "at most", 917, "battles"
    )
    yield AccuracyFigure(
        "evidence of 10⁴ for a share of 3%, by the formula", battles_until(0.03, 1e4), "at most", 303, "battles"
    )
    # Equal weights: one of 33 models has a weight of 3% and is in 6.1% of the battles; one of 67 in 3.0% of them.
    for models, first, what in (
        (33, 288, "declared weight of 3% (in 6.1% of battles)"),
        (67, 0, "declared to be in 3% of battles, never drawn"),
        (67, 288, "declared to be in 3% of battles, and drawn for a day"),
    ):
        waits = []
        for seed in range(repeats):
            gone = WindowEffect(first=first, end=864, sampling={"m005": 0.0})
            board = SimulatedBoard(days=3, votes=10, seed=seed, models=models, effects=[gone])
            before = sum(w.accepted for w, _ in zip(board.windows(), range(first), strict=False))
            hit = run(
                board,
                SilentDeprecation(),
                lambda number, one, first=first: number >= first and one.subject == "m005",  # type: ignore[misc]
            )
            waits.append(np.inf if hit is None else hit[1] - before)
        # Ten votes of the window in which it may have appeared before it was silenced.
        figure = float(np.median(waits))
        yield AccuracyFigure(f"silenced, {what}: median battles to the alert", figure, "at most", 303 + 10, "battles")
    # Every appearance begins a new silence, and of those one in 10⁴ is so long.
    battles = _MONTH * 288 * 10
    what = "  … (an alert at 10⁴ would come so often without a silence, on this board of 10 votes a window)"
    yield AccuracyFigure(what, 67 * battles * 0.03 / 1e4, "reported", None, "a month")
    what = "  … (before that no rule with one false alarm a month on this board can tell)"
    yield AccuracyFigure(what, least_battles(0.03, battles, 67), "reported", None, "battles")


def state_sizes(scale: float = 1.0) -> Iterator[AccuracyFigure]:
    """Bytes a voter on the power law of the real board."""
    count = round(500_000 * scale)
    rng = np.random.default_rng(1)
    real = real_pair_rates(None)
    size = len(real.models)
    reference = Reference(1, np.arange(size), real.theta, np.eye(size) * 0.002, 0.34, (3.4, 6.6))
    busy = rng.permutation(draw_votes_per_voter(rng, round(count * 3.65), count))
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
    for name, held in total.items():
        yield AccuracyFigure(f"state of {name}", held / count, "reported", None, "bytes a voter")
    what = f"state of all voter detectors, {count:,} voters of the power law"
    yield AccuracyFigure(what, sum(total.values()) / count, "at most", 64, "bytes a voter")


PARTS: dict[str, Callable[[float], Iterator[AccuracyFigure]]] = {
    "calibration": calibration,
    "power": power,
    "month": clean_month,
    "bursts": bursts,
    "cohorts": cohorts,
    "sampling": sampling,
    "silence": silence,
    "state": state_sizes,
}
"""What can be measured, by name."""
