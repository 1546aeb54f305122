"""Voter states in memory, written behind.

A voter's state is a fold of stored votes, so it need not be in every batch's transaction: it is written
every 20 batches or 5 seconds, together with the offset up to which the written states hold. Who takes a
partition over folds the votes after that offset again (`refold`), raising nothing: they were told.

Laws: a state that is not written yet is never let go of; memory is bounded; what is held is forgotten
when partitions change hands.

In the store what all detectors remember of a voter is one *bundle*: of each the byte that stands for it, a length
and its state. A detector that is new finds nothing of its own there; what one that was taken out left is dropped
when the voter comes back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy.engine import Connection

from pipeline.evidence import Reference
from pipeline.scoring.signals import VoterDetector
from pipeline.scoring.vote_processor import Observed, Parts, observe_partition
from pipeline.store.votes import snapshots_in_force, voter_states

# Written states that stay in memory: about 400 bytes each with their place in the dictionary, so 80 MB.
_HELD = 200_000
_BATCHES, _SECONDS = 20, 5.0
# A length that does not fit one byte follows in four.
_LONG = 255

ByVoter = dict[int, dict[int, Parts]]


def bundle(parts: Parts, tags: bytes) -> bytes:
    """What all detectors remember of a voter, as one state.

    Args:
        parts: of each detector.
        tags: the byte that stands for each detector.
    """
    joined = []
    for tag, part in zip(tags, parts, strict=True):
        if part:
            n = len(part)
            joined.append(bytes((tag, n)) if n < _LONG else bytes((tag, _LONG)) + n.to_bytes(4, "little"))
            joined.append(part)
    return b"".join(joined)


def parts_of(state: bytes, tags: bytes) -> Parts:
    """The parts of a bundle, None for a detector that has none in it."""
    found: list[bytes | None] = [None] * len(tags)
    at, end = 0, len(state)
    while at < end:
        place, n = tags.find(state[at]), state[at + 1]
        at += 2
        if n == _LONG:
            n, at = int.from_bytes(state[at : at + 4], "little"), at + 4
        if place >= 0:
            found[place] = state[at : at + n]
        at += n
    return tuple(found)


class States:
    """The states of the voters of owned partitions: those not written yet, and of the others those met lately.

    "Lately" is kept in two halves: when the young half is full it becomes the old one, and what was old is let go of.
    Whoever is met in the old half is young again. That is a queue of least recent use without its cost: reading
    cachetools.LRUCache takes 20 times as long.
    """

    def __init__(self, detectors: Sequence[VoterDetector], held: int = _HELD) -> None:
        self._tags = bytes(detector.tag for detector in detectors)
        self._half = max(held // 2, 1)
        self._young: ByVoter = {}
        self._old: ByVoter = {}
        self._count = 0  # of the young
        self._unwritten: ByVoter = {}
        self._batches = 0
        self._since = time.monotonic()

    def __len__(self) -> int:
        """States in memory."""
        return sum(len(group) for half in (self._young, self._old, self._unwritten) for group in half.values())

    def get(self, connection: Connection, part: int, voters: Sequence[int]) -> list[Parts | None]:
        """What is remembered of each of these voters, None of who is not known; asks the store for the rest."""
        unwritten, young, old = (half.get(part, {}) for half in (self._unwritten, self._young, self._old))
        found = [unwritten.get(v) or young.get(v) or old.get(v) for v in voters]
        missing = [v for v, parts in zip(voters, found, strict=True) if parts is None]
        if missing:
            stored = voter_states.read(connection, part, missing)
            for row, voter in enumerate(voters) if stored else ():
                if found[row] is None and voter in stored:
                    found[row] = parts_of(stored[voter], self._tags)
        return found

    def put(self, states: Mapping[int, Mapping[int, Parts]]) -> None:
        """Take in what a committed batch changed."""
        for part, group in states.items():
            self._unwritten.setdefault(part, {}).update(group)
        self._batches += 1

    def due(self) -> bool:
        """Whether it is time to write."""
        waited = time.monotonic() - self._since
        many = sum(map(len, self._unwritten.values())) >= self._half
        return self._batches >= _BATCHES or many or waited >= _SECONDS

    def unwritten(self, more: Mapping[int, Mapping[int, Parts]] | None = None) -> dict[int, dict[int, bytes]]:
        """The bundles that must still be written, with the changes of a batch that is not taken in yet."""
        tags, whole = self._tags, {}
        for part in self._unwritten.keys() | (more or {}).keys():
            group = {**self._unwritten.get(part, {}), **(more or {}).get(part, {})}
            whole[part] = {voter: bundle(parts, tags) for voter, parts in group.items()}
        return whole

    def written(self) -> None:
        """Everything is in the store: from here on it may be let go of."""
        for part, group in self._unwritten.items():
            young = self._young.setdefault(part, {})
            before = len(young)
            young.update(group)
            self._count += len(young) - before
            if self._count > self._half:
                self._old, self._young, self._count = self._young, {}, 0
        self._unwritten = {}
        self._batches, self._since = 0, time.monotonic()

    def forget(self) -> None:
        """Partitions changed hands: whoever owns them has newer states."""
        self._young, self._old, self._unwritten, self._count = {}, {}, {}, 0
        self._batches, self._since = 0, time.monotonic()


def refold(
    connection: Connection,
    states: States,
    partition_no: int,
    first: int,
    end: int,
    detectors: Sequence[VoterDetector],
    reference: Callable[[int], Reference],
) -> None:
    """Fold the stored votes of [first, end) into the states that are written up to `first`.

    Each vote is judged by the snapshot that was in force for it. Nothing is raised.
    """

    def prior(part: int, voters: Sequence[int]) -> list[Parts | None]:
        return states.get(connection, part, voters)

    periods = snapshots_in_force.in_force(connection, partition_no)
    for sequence, start, stop in snapshots_in_force.within(periods, first, end):
        judged_by = reference(sequence)
        for votes in snapshots_in_force.voter_votes(connection, partition_no, start, stop):
            folded: Observed = observe_partition(partition_no, votes, prior, judged_by, detectors, reference)
            states.put(folded.states)
