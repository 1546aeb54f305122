"""Measures false alarms and detection delays of the window detectors."""

from collections.abc import Callable, Iterator

import numpy as np

from pipeline.detectors import WINDOW, CohortBias, ModelShift, SamplingSkew, SilentDeprecation, VoteBurst
from pipeline.detectors.window.silent_deprecation import battles_until, least_battles
from pipeline.evidence.count_likelihoods import alternative_share
from pipeline.lab.bench.accuracy_figure import AccuracyFigure
from pipeline.lab.simulate.simulated_board import SimulatedBoard, WindowEffect
from pipeline.scoring.detector_contracts import WindowDetector
from pipeline.scoring.signals import AlertSignal

_MONTH = 30.0
_DAY = 288


def first_alert(
    board: SimulatedBoard, detector: WindowDetector, first: int, accept: Callable[[AlertSignal], bool]
) -> tuple[float, float]:
    """Find the first alert that a window detector raises on a simulated board from window `first` on.

    Only alerts for which `accept` returns True count.

    Returns:
        Two values: the number of windows from window `first` to this alert, and the number of votes from window 0 to
        this alert. Both are infinite if there is no such alert.
    """
    votes = 0
    for number, window, alerts in board.alerts([detector]):
        votes += window.accepted
        if number >= first and any(map(accept, alerts)):
            return number - first + 1, votes
    return np.inf, np.inf


def false_alarms(board: SimulatedBoard) -> dict[str, int]:
    """Return name of a window detector → number of alerts that it opens on a board of honest votes."""
    opened = {d.name: 0 for d in WINDOW}
    for _, _, alerts in board.alerts(WINDOW):
        for one in alerts:
            opened[one.detector] += one.level == 1
    return opened


def clean_month(scale: float = 1.0) -> Iterator[AccuracyFigure]:
    """Count false alarms of all window detectors on two boards without an attack, over 30 days.

    The first board has 200 models, and a surge of votes after an announced release. The second has 60 models and no
    declared sampling policy.

    Args:
        scale: the sample size as a fraction of the full size. Below 1 the surge is left out.

    Yields:
        The number of false alarms of each detector, as a figure.
    """
    surge = WindowEffect(first=15 * _DAY, end=18 * _DAY, traffic=2.5, sampling={"m007": 6.0}, declared=True)
    days = max(_MONTH * scale, 4.0)
    effects = [surge] if days == _MONTH else []
    opened = false_alarms(SimulatedBoard(days=days, votes=40, seed=11, models=200, providers=25, effects=effects))
    for name, count in opened.items():
        what = f"{name}: false alarms, 200 models × {days:g} days{' with a release surge' if effects else ''}"
        yield AccuracyFigure(what, count, "alarms", at_most=1)
    learned = false_alarms(SimulatedBoard(days=days, votes=40, seed=12, models=60, providers=12, policy=False))
    del learned["sampling_skew"]  # without a policy it tests equal shares, as its alert says
    for name, count in learned.items():
        yield AccuracyFigure(f"{name}: false alarms, no declared policy, {days:g} days", count, "alarms", at_most=1)


def bursts(scale: float = 1.0) -> Iterator[AccuracyFigure]:
    """Measure how soon `vote_burst` finds a model that gets three times as many votes as in normal traffic.

    The board has 100 models, 20 providers and 80 networks. The detector tests each of these 200 in every window.
    `scale` is the sample size as a fraction of the full size. Each figure is yielded as soon as it is known.
    """
    first = 360
    for models, votes, bar in ((40, 120, 6.0), (40, 60, None), (40, 12, None), (100, 250, 6.0), (100, 60, None)):
        waits = []
        for seed in range(max(round(20 * scale), 4)):
            attack = WindowEffect(first=first, end=first + 144, sampling={"m005": 3.0})
            board = SimulatedBoard(days=1.75, votes=votes, seed=seed, models=models, providers=20, effects=[attack])
            waits.append(first_alert(board, VoteBurst(), first, _about("m005"))[0])
        what = f"burst ×3 of one of {models} models at {votes} votes a window: median windows"
        yield AccuracyFigure(what, float(np.median(waits)), "windows", at_most=bar)
        share = float(alternative_share(2 / models, 3.0))
        yield AccuracyFigure(f"  … and its share goes from {2 / models:.3f} to", share, "of battles")


def cohorts(scale: float = 1.0) -> Iterator[AccuracyFigure]:
    """Measure how often `cohort_bias` finds extra votes of new accounts for a model.

    Each figure is the share of simulated boards on which the votes are found. The three figures are for 126 extra votes
    beside 1,000 honest votes on the model in a day, for 126 beside 300, and for 60 beside 300. `scale` is the number of
    boards as a fraction of the full number. Each figure is yielded as soon as it is known.
    """
    repeats = max(round(24 * scale), 4)
    week = 7 * _DAY
    for honest, bought, bar in ((1_000, 126, 0.85), (300, 126, None), (300, 60, None)):
        found = 0
        for seed in range(repeats):
            attack = WindowEffect(first=week, end=week + _DAY, target="m005", votes=bought / _DAY, network="AS64700")
            # As many votes of the whole board as give the target `honest` a day.
            board = SimulatedBoard(days=8, votes=honest / _DAY * 10, seed=seed, models=20, effects=[attack])
            promoted = _about("m005", "promoted by new accounts")
            found += first_alert(board, CohortBias(), week, promoted)[0] < np.inf
        what = f"cohort: {bought} new-account votes beside {honest} honest ones on the target, in a day: found"
        yield AccuracyFigure(what, found / repeats, "share", at_least=bar)


def sampling(scale: float = 1.0) -> Iterator[AccuracyFigure]:
    """Measure how soon `sampling_skew` finds that one of 40 models is not sampled as declared.

    `scale` is the number of simulated boards as a fraction of the full number. Each figure is yielded as soon as it is
    known.
    """
    for times, subject, bar in ((2.0, "m005", 2_400.0), (2.0, "board", None), (1.5, "m005", None), (0.0, "m005", None)):
        waits = []
        for seed in range(max(round(40 * scale), 4)):
            skew = WindowEffect(first=0, end=10 * _DAY, sampling={"m005": times})
            board = SimulatedBoard(days=6, votes=40, seed=seed, effects=[skew])
            waits.append(first_alert(board, SamplingSkew(), 0, _about(subject))[1])
        how = "jointly" if subject == "board" else "by name"
        what = f"sampling ×{times:g} of one of 40 models ({how}): median votes"
        yield AccuracyFigure(what, float(np.median(waits)), "votes", at_most=bar)


def swaps(scale: float = 1.0) -> Iterator[AccuracyFigure]:
    """Measure how soon `model_shift` finds that the strength of one of 40 models changes after 100,000 votes.

    `scale` is the number of simulated boards as a fraction of the full number. Each figure is yielded as soon as it is
    known.
    """
    first = 9 * _DAY
    for shift, bar in ((0.6, 30_000.0), (-0.6, 30_000.0), (0.3, None)):
        waits = []
        for seed in range(max(round(16 * scale), 4)):
            swap = WindowEffect(first=first, end=15 * _DAY, shift={"m005": shift})
            board = SimulatedBoard(days=15, votes=39, seed=seed, effects=[swap])
            before = sum(w.accepted for w, _ in zip(board.windows(), range(first), strict=False))
            waits.append(first_alert(board, ModelShift(), first, _about("m005"))[1] - before)
        what = f"one of 40 models changed by {shift:+g} logits: median votes of the board"
        yield AccuracyFigure(what, float(np.median(waits)), "votes", at_most=bar)


def silence(scale: float = 1.0) -> Iterator[AccuracyFigure]:
    """Measure how soon `silent_deprecation` finds that a model no longer appears in battles.

    `scale` is the number of simulated boards as a fraction of the full number. Each figure is yielded as soon as it is
    known.
    """
    for share, bar in ((0.01, 917), (0.03, 303)):
        what = f"evidence of 10⁴ for a share of {share:.0%}, by the formula"
        yield AccuracyFigure(what, battles_until(share, 1e4), "battles", at_most=bar)
    # Equal weights: one of 33 models has a weight of 3% and is in 6.1% of the battles; one of 67 in 3.0% of them.
    for models, first, case in (
        (33, _DAY, "declared weight of 3% (in 6.1% of battles)"),
        (67, 0, "declared to be in 3% of battles, never drawn"),
        (67, _DAY, "declared to be in 3% of battles, and drawn for a day"),
    ):
        waits = []
        for seed in range(max(round(40 * scale), 4)):
            gone = WindowEffect(first=first, end=3 * _DAY, sampling={"m005": 0.0})
            board = SimulatedBoard(days=3, votes=10, seed=seed, models=models, effects=[gone])
            before = sum(w.accepted for w, _ in zip(board.windows(), range(first), strict=False))
            waits.append(first_alert(board, SilentDeprecation(), first, _about("m005"))[1] - before)
        # Ten more: the votes of the window in which the model may have appeared before it was silenced.
        what = f"silenced, {case}: median battles to the alert"
        yield AccuracyFigure(what, float(np.median(waits)), "battles", at_most=303 + 10)
    # Every appearance begins a new silence, and one in 10⁴ of them is that long.
    battles = _MONTH * _DAY * 10
    what = "  … (an alert at 10⁴ would come so often without a silence, on this board of 10 votes a window)"
    yield AccuracyFigure(what, 67 * battles * 0.03 / 1e4, "a month")
    what = "  … (before that no rule with one false alarm a month on this board can alert)"
    yield AccuracyFigure(what, least_battles(0.03, battles, 67), "battles")


def _about(subject: str, direction: str | None = None) -> Callable[[AlertSignal], bool]:
    return lambda alert: alert.subject == subject and direction in (None, alert.direction)
