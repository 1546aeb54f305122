"""Voter states in memory, with delayed writes.

A voter's state is computed from stored votes alone, so it need not be written with every batch. It is written every 20
batches or 5 seconds, with the offset up to which the written states include votes. The next owner of a partition
replays the votes after that offset (`replay_states`) and raises no alert, since the former owner raised it.

Laws: an unwritten state is never evicted; memory is bounded; the cache is cleared when partitions change hands.

The store keeps one packed state per voter: for each detector its tag byte, a length, and its own state. A new detector
finds no state of its own; the state of a removed detector is dropped at the voter's next vote.
"""

import time
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy.engine import Connection

from pipeline.evidence import Reference
from pipeline.scoring.detector_contracts import VoterDetector
from pipeline.scoring.vote_processor import DetectorResults, DetectorStates, run_detectors_on_partition
from pipeline.store.votes import snapshots_in_force, voter_states
from pipeline.vocabulary.packing import pack_parts, unpack_parts

# Written states that stay in memory: about 400 bytes each with their dictionary entry, so 80 MB.
_CAPACITY = 200_000
_BATCHES, _SECONDS = 20, 5.0

ByVoter = dict[int, dict[int, DetectorStates]]
"""Partition number → voter → states of its detectors."""


class VoterStateCache:
    """States of the voters of owned partitions: all unwritten states, and recently used written states.

    Written states are kept in two generations. When the young generation is full it becomes the old one, and the
    previous old one is dropped. That approximates an LRU cache; reading cachetools.LRUCache takes 20 times as long.
    """

    def __init__(self, detectors: Sequence[VoterDetector], capacity: int = _CAPACITY) -> None:
        self._tags = bytes(detector.tag for detector in detectors)
        self._half = max(capacity // 2, 1)
        self.clear()

    def clear(self) -> None:
        """Drop everything: the partitions changed hands, and the new owner has newer states."""
        self._young: ByVoter = {}
        self._old: ByVoter = {}
        self._young_count = 0
        self._reset_unwritten()

    def _reset_unwritten(self) -> None:
        self._unwritten: ByVoter = {}
        self._batches, self._since = 0, time.monotonic()

    def get(self, connection: Connection, part: int, voters: Sequence[int]) -> list[DetectorStates | None]:
        """Return the state of each voter, None for an unknown voter. Reads missing states from the store."""
        unwritten, young, old = (half.get(part, {}) for half in (self._unwritten, self._young, self._old))
        found = [unwritten.get(v) or young.get(v) or old.get(v) for v in voters]
        missing = [v for v, parts in zip(voters, found, strict=True) if parts is None]
        if missing:
            stored = voter_states.read(connection, part, missing)
            for row, voter in enumerate(voters) if stored else ():
                if found[row] is None and voter in stored:
                    found[row] = unpack_parts(stored[voter], self._tags)
        return found

    def put(self, states: Mapping[int, Mapping[int, DetectorStates]]) -> None:
        """Add the states that a committed batch changed."""
        for part, group in states.items():
            self._unwritten.setdefault(part, {}).update(group)
        self._batches += 1

    def write_due(self) -> bool:
        """Return whether unwritten states should be written with the next batch."""
        waited = time.monotonic() - self._since
        full = sum(map(len, self._unwritten.values())) >= self._half
        return self._batches >= _BATCHES or full or waited >= _SECONDS

    def unwritten(self, batch: Mapping[int, Mapping[int, DetectorStates]] | None = None) -> dict[int, dict[int, bytes]]:
        """Return the unwritten states, packed, with the changes of a batch that is not committed yet."""
        tags, packed = self._tags, {}
        for part in self._unwritten.keys() | (batch or {}).keys():
            group = {**self._unwritten.get(part, {}), **(batch or {}).get(part, {})}
            packed[part] = {voter: pack_parts(parts, tags) for voter, parts in group.items()}
        return packed

    def mark_written(self) -> None:
        """Mark all states as written, so that they may be evicted."""
        for part, group in self._unwritten.items():
            young = self._young.setdefault(part, {})
            before = len(young)
            young.update(group)
            self._young_count += len(young) - before
            if self._young_count > self._half:
                self._old, self._young, self._young_count = self._young, {}, 0
        self._reset_unwritten()


def replay_states(
    connection: Connection,
    states: VoterStateCache,
    partition_no: int,
    first: int,
    end: int,
    detectors: Sequence[VoterDetector],
    reference: Callable[[int], Reference],
) -> None:
    """Bring the states written up to offset `first` forward to `end`, from the stored votes. Raises no alert.

    Args:
        reference: sequence number of a snapshot → its reference; a vote is evaluated by the snapshot then in force.
    """

    def prior(part: int, voters: Sequence[int]) -> list[DetectorStates | None]:
        return states.get(connection, part, voters)

    periods = snapshots_in_force.periods(connection, partition_no)
    for sequence, start, stop in snapshots_in_force.split_range(periods, first, end):
        in_force = reference(sequence)
        for votes in voter_states.votes_to_replay(connection, partition_no, start, stop):
            replayed: DetectorResults = run_detectors_on_partition(
                partition_no, votes, prior, in_force, detectors, reference
            )
            states.put(replayed.states)
