"""Runs the window detectors over closed windows.

Every detector reads every window of [first, end) once, in order, empty windows included. If there are no votes
for more than a week, only the first week of that period is read; otherwise one vote that is dated decades ago would
cost millions of windows. The windows that are read do not depend on how calls split [first, end).
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.registry import Registry
from pipeline.scoring.detector_contracts import WindowContext, WindowDetector, WindowState
from pipeline.scoring.signals import Signal
from pipeline.scoring.sittings import SITTING, SittingCounter, SittingCounts
from pipeline.scoring.window import NO_BATTLES, IssuedBattles, Window
from pipeline.scoring.window_builder import build_window
from pipeline.scoring.window_counter import WINDOW_WIDTH, WindowCounts
from pipeline.vocabulary.time import DAY

LONGEST_SILENCE = 7 * DAY
"""Length of a period without votes, in microseconds, after which windows are skipped until the next vote."""


@dataclass(frozen=True)
class WindowNames:
    """The names of the models and networks that window counts identify by numbers and hashes.

    Attributes:
        models: model number (model_no) → name of the model.
        networks: `network_hash` of a network → name of the network.
    """

    models: Mapping[int, str]
    networks: Mapping[int, str]


@dataclass(frozen=True)
class IssuedByWindow:
    """The battles that the operator showed, by window.

    Attributes:
        first: start of the first window with such a battle; in earlier windows only votes can be counted.
        windows: start of a window → its battles. A window after `first` that is missing here has no battles.
    """

    first: int
    windows: Mapping[int, IssuedBattles]


@dataclass(frozen=True)
class FalseAlarmLimits:
    """The false alarms that the operator tolerates.

    Attributes:
        false_alarms: number of false alarms of a detector per month, over all its subjects.
        false_share: share of false alarms among alerts that open together.
    """

    false_alarms: float = 1.0
    false_share: float = 0.1


@dataclass(frozen=True)
class EvaluatedWindow:
    """A window, and the signals that all window detectors emitted in it."""

    window: Window
    signals: list[Signal]


def windows_between(
    parts: Iterable[WindowCounts],
    first: int,
    end: int,
    last_votes: int | None,
    names: WindowNames,
    registry: Registry,
    issued: IssuedByWindow | None = None,
) -> Iterator[Window]:
    """Yield the windows that start in [first, end), in order, each summed over partitions.

    Windows without votes are yielded too, unless they start before the first vote or more than LONGEST_SILENCE after
    the last vote.

    Args:
        parts: counts of these windows in each partition, in the order of `start`. Windows that start up to SITTING
            before `first` are included: a sitting (a series of votes of one voter) may have begun in them.
        first, end: starts of windows, microseconds since 1970 UTC.
        last_votes: start of the last window before `first` that has an accepted vote; None if there is none.
        names: names of models and networks.
        registry: gives the first names of renamed models.
        issued: the battles that the operator showed; None on a board that does not publish them.
    """
    grouped = {start: list(group) for start, group in itertools.groupby(parts, key=lambda part: part.start)}
    starts = sorted(grouped)
    at, coming, counter = first, 0, SittingCounter()
    for start in starts:
        if first - SITTING <= start < first:
            _count_sittings(counter, start, grouped[start])
    while at < end:
        while coming < len(starts) and starts[coming] < at:
            coming += 1
        following = starts[coming] if coming < len(starts) else end
        silent = last_votes is None or at - last_votes > LONGEST_SILENCE
        if silent and at < following:
            at = min(following, end)
            continue
        now = grouped.get(at, [])
        sittings = _count_sittings(counter, at, now)
        window = build_window(at, now, names.models, names.networks, registry.as_of(at).aliases, sittings)
        if window.accepted:
            last_votes = at
        if issued is not None and at >= issued.first:
            battles = issued.windows.get(at, NO_BATTLES)
            window = replace(window, issued=battles.renamed(registry.as_of(at).aliases))
        yield window
        at += WINDOW_WIDTH


def _count_sittings(counter: SittingCounter, start: int, parts: Sequence[WindowCounts]) -> SittingCounts | None:
    voters = [part.voters for part in parts if part.voters is not None]
    if len(voters) < len(parts):
        return None  # counted by a version that did not count voters
    return counter.read(start // WINDOW_WIDTH, voters) if parts else None


def run_window_detectors(
    windows: Iterable[Window],
    states: Mapping[str, WindowState],
    registry: Registry,
    detectors: Sequence[WindowDetector],
    limits: FalseAlarmLimits,
    emit: Callable[[EvaluatedWindow], None],
) -> dict[str, WindowState]:
    """Run window detectors over windows.

    Args:
        windows: the windows in order of time.
        states: name of a detector → its state before the first window. A missing state is empty.
        registry: gives the state of the registry at the start of each window.
        detectors: the detectors to run.
        limits: the false alarms that the operator tolerates.
        emit: called once for each window, with the window and its signals.

    Returns:
        The state of each detector after the last window, by name of the detector.
    """
    after = dict(states)
    for window in windows:
        context = window_context(window, registry, limits)
        signals: list[Signal] = []
        for detector in detectors:
            after[detector.name], more = detector.observe(window, after.get(detector.name, {}), context)
            signals += more
        emit(EvaluatedWindow(window, signals))
    return after


def window_context(window: Window, registry: Registry, limits: FalseAlarmLimits) -> WindowContext:
    """Return the context of a window: what detectors may use besides the window's counts.

    The context has the registry at the start of the window and the tolerated false alarms. It also states whether the
    sampling policy stayed the same during this window and the window before.

    Args:
        window: the window.
        registry: gives the state of the registry at the start of the window.
        limits: the false alarms that the operator tolerates.
    """
    changes = registry.has_policy_change(window.start - WINDOW_WIDTH + 1, window.end)
    return WindowContext(registry.as_of(window.start), not changes, limits.false_alarms, limits.false_share)
