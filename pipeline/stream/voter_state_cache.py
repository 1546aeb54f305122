"""Keeps voter states in memory, and delays writing them.

A voter state is what the voter detectors know about a voter after the voter's last vote. It can be computed from stored
votes, so it is not written with every batch. States are written every 20 batches or 5 seconds, together with the state
offset. The written states include all votes before this offset. The next owner of a partition replays the votes from
the state offset on (`replay_states`). The replay opens no alerts, because the former owner opened them.

Memory is bounded, but an unwritten state is never dropped. The cache is cleared when partitions change their owner.

A packed state has, for each detector, a tag byte, a length and the detector's state. A new detector finds no state for
any voter. The state of a removed detector is dropped at the voter's next vote.
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
"""States of voters by the store's partition number, then by pseudonym; each with one state per detector."""


class VoterStateCache:
    """Keeps the states of the voters of owned partitions: unwritten states, and written states that were used recently.

    Written states are kept in two generations. When the young generation is full, it becomes the old generation, and
    the previous old generation is dropped. This approximates an LRU cache, and reads 20 times as fast as
    cachetools.LRUCache.
    """

    def __init__(self, detectors: Sequence[VoterDetector], capacity: int = _CAPACITY) -> None:
        self._tags = bytes(detector.tag for detector in detectors)
        self._half = max(capacity // 2, 1)
        self.clear()

    def clear(self) -> None:
        """Drop all states, because partitions changed their owner. Other workers may have newer states."""
        self._young: ByVoter = {}
        self._old: ByVoter = {}
        self._young_count = 0
        self._carrying: dict[int, list[int]] = {}
        self._reset_unwritten()

    def _reset_unwritten(self) -> None:
        self._unwritten: ByVoter = {}
        self._batches, self._since = 0, time.monotonic()

    def get(
        self, connection: Connection, part: int, voters: Sequence[int], appended_at: int | None = None
    ) -> list[DetectorStates | None]:
        """Return the states of voters from memory or, for states that are not there, from the store.

        If a voter votes in the partition for the first time, the state is read from the partition where the voter voted
        before. The list of partitions to look in is kept in memory until `mark_written`. It is then read from the store
        again, because a file may have been imported, which adds a partition.

        Args:
            connection: reads the store.
            part: the partition number of the store (partition_no).
            voters: n pseudonyms.
            appended_at: append time of the vote that will be the first stored vote of the partition, in microseconds
                since 1970 UTC. None if there is no such vote. The time is ignored if the partition has a stored vote.

        Returns:
            n values: the voter's state of every detector, or None for a voter without a state.
        """
        unwritten, young, old = (half.get(part, {}) for half in (self._unwritten, self._young, self._old))
        found = [unwritten.get(v) or young.get(v) or old.get(v) for v in voters]
        missing = [v for v, parts in zip(voters, found, strict=True) if parts is None]
        if missing:
            stored = voter_states.read(connection, part, missing)
            new = [voter for voter in missing if voter not in stored]
            if new and (others := self._carrying_partitions(connection, part, appended_at)):
                stored |= voter_states.read_carried(connection, others, new)
            for row, voter in enumerate(voters) if stored else ():
                if found[row] is None and voter in stored:
                    found[row] = unpack_parts(stored[voter], self._tags)
        return found

    def _carrying_partitions(self, connection: Connection, part: int, appended_at: int | None) -> list[int]:
        if part not in self._carrying:
            self._carrying[part] = voter_states.carrying_partitions(connection, part, appended_at)
        return self._carrying[part]

    def put(self, states: Mapping[int, Mapping[int, DetectorStates]]) -> None:
        """Add the states that a committed batch changed. They are unwritten until `mark_written`.

        Args:
            states: partition number (partition_no) → pseudonym → the voter's detector states.
        """
        for part, group in states.items():
            self._unwritten.setdefault(part, {}).update(group)
        self._batches += 1

    def write_due(self) -> bool:
        """Return whether the next batch should also write the voter states that are not written yet."""
        waited = time.monotonic() - self._since
        full = sum(map(len, self._unwritten.values())) >= self._half
        return self._batches >= _BATCHES or full or waited >= _SECONDS

    def unwritten(self, batch: Mapping[int, Mapping[int, DetectorStates]] | None = None) -> dict[int, dict[int, bytes]]:
        """Return the unwritten states, packed for the store, as partition number (partition_no) → pseudonym → state.

        Args:
            batch: states that an uncommitted batch changed: partition number (partition_no) → pseudonym → the voter's
                detector states. They replace the cached states of these voters. None if there is no such batch.
        """
        tags, packed = self._tags, {}
        for part in self._unwritten.keys() | (batch or {}).keys():
            group = {**self._unwritten.get(part, {}), **(batch or {}).get(part, {})}
            packed[part] = dict(zip(group, pack_parts(list(group.values()), tags), strict=True))
        return packed

    def mark_written(self) -> None:
        """Mark all states as written, so that they may be dropped.

        The cache also forgets the lists of partitions in which `get` looks for the states of voters who are new in a
        partition. `get` reads these lists from the store again.
        """
        self._carrying.clear()
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
    """Bring the voter states of a partition up to date, by evaluating its votes in [first, end) again.

    No alerts are opened, and nothing is written to the store. Each vote is evaluated by the snapshot that was in force
    at its offset.

    Args:
        connection: reads the store.
        states: the cache, which receives the new states.
        partition_no: the partition number of the store (partition_no).
        first: the state offset: stored states include the votes before this offset.
        end: the next offset of the partition.
        detectors: the voter detectors to run.
        reference: a function that takes the sequence number of a snapshot and returns its reference.
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
