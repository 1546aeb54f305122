"""Closed windows through the window detectors: pure, the same whoever calls it and however windows are grouped.

Laws: every detector sees every window of [first, end), each once and in order, empty ones too; but of a stretch
without votes that is longer than a week only the first week (a stray vote of 1970 would cost millions of windows).
Which windows are seen follows from the windows alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.registry import Registry
from pipeline.scoring.signals import Context, Said, Window, WindowDetector, WindowState
from pipeline.scoring.window_builder import WIDTH, WindowCounts, merged
from pipeline.vocabulary.time import DAY

LONGEST_SILENCE = 7 * DAY
"""Microseconds without votes that are watched; beyond them nothing is said until votes come again."""


@dataclass(frozen=True)
class Names:
    """Numbers and hashes as names.

    Attributes:
        models: the store's number → name.
        networks: `group_of` a name → the name.
    """

    models: Mapping[int, str]
    networks: Mapping[int, str]


@dataclass(frozen=True)
class Levels:
    """What the operator puts up with; see `Context`."""

    false_alarms: float = 1.0
    false_share: float = 0.1


@dataclass(frozen=True)
class Seen:
    """A window and what was said about it, by every detector."""

    window: Window
    said: list[Said]


def windows(
    parts: Iterable[WindowCounts], first: int, end: int, last_votes: int | None, names: Names, registry: Registry
) -> Iterator[Window]:
    """The windows that start in [first, end), merged over partitions.

    Args:
        parts: their counts, in the order of start.
        last_votes: start of the last window before `first` that holds an accepted vote; None if there is none.
    """
    grouped = {start: list(group) for start, group in itertools.groupby(parts, key=lambda part: part.start)}
    starts = sorted(grouped)
    at, coming = first, 0
    while at < end:
        while coming < len(starts) and starts[coming] < at:
            coming += 1
        following = starts[coming] if coming < len(starts) else end
        silent = last_votes is None or at - last_votes > LONGEST_SILENCE
        if silent and at < following:
            at = min(following, end)
            continue
        window = merged(at, grouped.get(at, []), names.models, names.networks, registry.as_of(at).aliases)
        if window.accepted:
            last_votes = at
        yield window
        at += WIDTH


def watch(
    windows_: Iterable[Window],
    states: Mapping[str, WindowState],
    registry: Registry,
    detectors: Sequence[WindowDetector],
    levels: Levels,
    tell: Callable[[Seen], None],
) -> dict[str, WindowState]:
    """Run detectors over windows.

    Args:
        states: by the detector's name; one that is not there begins.
        tell: called after every window.

    Returns:
        The states after the last window.
    """
    after = dict(states)
    for window in windows_:
        context = context_of(window, registry, levels)
        said: list[Said] = []
        for detector in detectors:
            after[detector.name], more = detector.observe(window, after.get(detector.name, {}), context)
            said += more
        tell(Seen(window, said))
    return after


def context_of(window: Window, registry: Registry, levels: Levels) -> Context:
    """What detectors may know beside a window."""
    changes = registry.policy_changes(window.start - WIDTH + 1, window.end)
    return Context(registry.as_of(window.start), not changes, levels.false_alarms, levels.false_share)
