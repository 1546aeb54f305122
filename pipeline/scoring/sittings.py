"""Counts sittings. A sitting is a series of votes of one voter without a pause of half an hour.

The votes of a sitting are not independent, so the number of votes in a window varies more than a Poisson number.
Detectors of rates therefore count the sittings that begin in a window, not the votes.

A window's voters are an int64 array with one row for each voter and network: 31 bits of the voter's pseudonym plus 1,
the network's hash, and the number of votes. Votes without a voter have the voter 0 and are sittings of their own. A
voter begins a sitting in a window if no vote of the voter lies in the six windows before the window. The sitting
belongs to the network with most of the voter's votes in that window.

Rows can be added in any order and grouping with the same result. So neither the order of votes nor their split into
batches, files and partitions changes a count. If a window would have more than MAX_VOTERS rows, only a sample of the
voters is stored: the voters whose number ends in b zero bits, with the smallest b for which the rows fit. More votes
never need a smaller b.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline.scoring.row_sums import sum_rows
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.time import MINUTE

SITTING = 30 * MINUTE
"""A pause of this length, in microseconds, ends a sitting."""

MAX_VOTERS = 16_384
"""Largest number of rows of a window in one partition. If there are more, a sample of the voters is counted."""

_WINDOWS = 6  # of five minutes in half an hour
_NO_ROWS = np.zeros((0, 3), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class WindowVoters:
    """The voters of one window in one partition. If there are too many, only a sample of the voters is stored.

    Attributes:
        bits: what is sampled: the voters whose number (31 bits) ends in this many zero bits. 0 means all voters.
        rows: int64[r, 3]: voter, network (0 without one) and number of votes, sorted by voter and network.
    """

    bits: int
    rows: Int64


@dataclass(frozen=True, slots=True)
class SittingCounts:
    """The sittings that begin in a window.

    Attributes:
        total: number of sittings.
        counted: number of sittings that `by_network` counts: all sittings, or a random sample of them on a busy board.
        by_network: network hash → number of the counted sittings.
    """

    total: int
    counted: int
    by_network: dict[int, int]


def voter_number(pseudonym: Int64) -> Int64:
    """Return the number by which window counts identify each voter, int64[n]: 31 bits of the pseudonym, plus 1."""
    return (pseudonym & 0x7FFFFFFF) + 1


def count_voters(voter: Int64, network: Int64, window: Int64, windows: int) -> list[WindowVoters]:
    """Return one item for each window: its voters with their numbers of votes. Too many voters become a sample.

    Args:
        voter: int64[n], the number of each vote's voter (`voter_number`); 0 without a voter.
        network: int64[n], hash of the network; −1 without a network.
        window: int64[n], the window of each vote, from 0 to `windows` − 1.
        windows: number of windows.
    """
    summed = sum_rows(np.stack([window, voter, np.maximum(network, 0), np.ones_like(voter)]).T, 3)
    cuts = np.searchsorted(summed[:, 0], np.arange(windows + 1))
    return [_bounded(summed[a:b, 1:]) for a, b in pairwise(cuts.tolist())]


def add_voters(parts: Sequence[WindowVoters]) -> WindowVoters:
    """Return the voters of one window, added up over several parts, such as partitions."""
    if len(parts) == 1:
        return parts[0]
    bits = max((part.bits for part in parts), default=0)
    rows = np.concatenate([_NO_ROWS, *(_thinned(part.rows, bits) for part in parts)])
    return _bounded(sum_rows(rows, 2), bits)


def without_voters(voters: WindowVoters, forgotten: Int64) -> WindowVoters:
    """Remove some voters from those of a window. Their votes then count as votes without a voter or a network.

    Args:
        voters: the voters of the window; not changed.
        forgotten: int64[k], numbers of the voters that are removed (`voter_number`).
    """
    rows = voters.rows.copy()
    rows[np.isin(rows[:, 0], forgotten), :2] = 0
    return WindowVoters(voters.bits, sum_rows(rows, 2))


def _thinned(rows: Int64, bits: int) -> Int64:
    """Return the rows of voters whose number ends in `bits` zero bits, and all rows without a voter.

    In the rows without a voter, a network whose hash does not end in `bits` zero bits becomes 0.
    """
    if not bits:
        return rows
    mask = (1 << bits) - 1
    nobody = rows[:, 0] == 0
    kept = rows[nobody | (rows[:, 0] & mask == 0)].copy()
    nobody = kept[:, 0] == 0
    kept[nobody, 1] = np.where(kept[nobody, 1] & mask == 0, kept[nobody, 1], 0)
    return sum_rows(kept, 2)


def _bounded(rows: Int64, bits: int = 0) -> WindowVoters:
    while len(rows) > MAX_VOTERS:
        bits += 1
        rows = _thinned(rows, bits)
    return WindowVoters(bits, rows)


class SittingCounter:
    """Counts the sittings (a voter's votes without a pause of half an hour) that begin in windows.

    Windows are read in order of time. The voters of the last half hour are remembered, since a vote of one of these
    voters continues a sitting.
    """

    def __init__(self) -> None:
        self._recent: deque[tuple[int, WindowVoters]] = deque()

    def read(self, number: int, parts: Sequence[WindowVoters]) -> SittingCounts:
        """Count the sittings (series of votes without a long pause) that begin in a window.

        The voters of the window are remembered for later calls.

        Args:
            number: number of the window, counted from 1970 UTC. Numbers must ascend from call to call.
            parts: the voters of the window in each partition.
        """
        now = add_voters(parts)
        while self._recent and self._recent[0][0] < number - _WINDOWS:
            self._recent.popleft()
        bits = max([now.bits, *(one.bits for _, one in self._recent)])
        rows = _thinned(now.rows, bits)
        nobody = rows[:, 0] == 0
        known = np.concatenate([np.zeros(0, dtype=np.int64), *(one.rows[:, 0] for _, one in self._recent)])
        begins = rows[~nobody & ~np.isin(rows[:, 0], known)]
        self._recent.append((number, now))
        begins = begins[np.lexsort((begins[:, 1], -begins[:, 2], begins[:, 0]))]
        voters, first = np.unique(begins[:, 0], return_index=True)
        alone = int(rows[nobody, 2].sum())
        networks = np.concatenate([begins[first, 1], rows[nobody, 1]])
        votes = np.concatenate([np.ones(len(first), dtype=np.int64), rows[nobody, 2]])
        kinds, place = np.unique(networks, return_inverse=True)
        sums = np.bincount(place, weights=votes, minlength=len(kinds)).astype(np.int64)
        by_network = {int(k): int(s) for k, s in zip(kinds, sums, strict=True) if k}
        return SittingCounts((len(voters) << bits) + alone, len(voters) + alone, by_network)
