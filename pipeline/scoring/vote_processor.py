"""The pure heart of a worker: a batch and the state before it → what is to be written.

Laws: no clock, no database, no network; the same votes and the same state give the same result
however they are cut into batches; a quarantined vote moves nothing; a late vote is evidence about its
voter and counts in no window's rating.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.events.batch import VoteBatch
from pipeline.evidence import Reference
from pipeline.scoring import window_builder
from pipeline.scoring.signals import Raised, VoterDetector, VoterVotes
from pipeline.vocabulary.arrays import Int8, Int64, UInt64
from pipeline.vocabulary.fates import LATE, QUARANTINED
from pipeline.vocabulary.time import MINUTE

MAX_AHEAD = 5 * MINUTE
"""Microseconds that a vote may be dated after its append time (clocks differ); beyond: quarantined."""

Parts = tuple[bytes | None, ...]
"""What each detector remembers of one voter, in the order of the detectors; None where it does not know the voter."""

Prior = Callable[[int, Sequence[int]], Sequence[Parts | None]]
"""(partition, voters) → what is remembered of each of them, None of who is not known"""


@dataclass(frozen=True, slots=True)
class PartitionVotes:
    """Votes of one partition that have a voter, arrays of length n in the order of offsets.

    Attributes:
        voter: pseudonyms.
        offset, at: coordinates and event time (microseconds).
        model_a, model_b: the store's numbers.
        outcome: int8[n].
        prompt: 64 bits of each prompt's hash, 0 where there is none.
    """

    voter: Int64
    offset: Int64
    at: Int64
    model_a: Int64
    model_b: Int64
    outcome: Int8
    prompt: Int64


@dataclass(frozen=True, slots=True)
class Observed:
    """What is remembered by partition and voter, and what was raised."""

    states: dict[int, dict[int, Parts]]
    raised: list[Raised]


def judge(batch: VoteBatch, event_time: Mapping[int, int | None], lateness: int) -> tuple[Int8, dict[int, int | None]]:
    """The fate that time gives each vote, repeats included.

    A vote is late if it was cast before the watermark of its partition as the votes before it (in
    offset order) left it. Repeats move the watermark too: which of two equal votes on different
    partitions is the repeat depends on who came first, and a fate must not.

    Args:
        batch: votes in the order (partition, offset).
        event_time: per partition, the largest min(cast, append) so far; None before the first vote.
        lateness: microseconds by which the watermark trails.

    Returns:
        int8[n] fates, and the new event times.
    """
    fate = np.zeros(len(batch), dtype=np.int8)
    fate[batch.cast_at > batch.appended_at + MAX_AHEAD] = QUARANTINED
    after = dict(event_time)
    for part in np.unique(batch.partition).tolist():
        rows = np.flatnonzero((batch.partition == part) & (fate != QUARANTINED))
        if not len(rows):
            continue
        seen = np.maximum.accumulate(np.minimum(batch.cast_at[rows], batch.appended_at[rows]))
        before = event_time.get(part)
        start = np.iinfo(np.int64).min + lateness if before is None else before
        mark = np.maximum(np.append(start, seen[:-1]), start)
        fate[rows[batch.cast_at[rows] < mark - lateness]] = LATE
        after[part] = int(max(seen[-1], start))
    return fate, after


def first_of_each(key: UInt64) -> Int64:
    """int64[n]: for each id of a batch (uint64[n, 2]) the row in which it stands first."""
    if not len(key):
        return np.zeros(0, dtype=np.int64)
    order = np.lexsort((key[:, 1], key[:, 0]))  # stable: of equal ids the first row comes first
    ordered = key[order]
    fresh = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    first = np.empty(len(key), dtype=np.int64)
    first[order] = order[np.maximum.accumulate(np.where(fresh, np.arange(len(key)), 0))]
    return first


def observe(
    batch: VoteBatch,
    models: Int64,
    fate: Int8,
    prior: Prior,
    reference: Reference | None,
    detectors: Sequence[VoterDetector],
    earlier: Callable[[int], Reference] | None = None,
) -> Observed:
    """Run the voter detectors over new votes.

    Args:
        batch: new votes only, sorted by (partition, offset).
        models: int64[n, 2], the store's numbers of model a and b.
        fate: int8[n].
        prior: what was remembered before these votes.
        reference: of the snapshot in force; None before the first: then there is no evidence, ever.
        detectors: what to run.
        earlier: sequence number → reference of a snapshot that was in force before.
    """
    if reference is None:
        return Observed({}, [])
    new: dict[int, dict[int, Parts]] = {}
    raised: list[Raised] = []
    visible = _visible(batch, fate)
    for part in np.unique(batch.partition[visible]).tolist():
        rows = visible[batch.partition[visible] == part]
        votes = PartitionVotes(
            batch.voter[rows],
            batch.offset[rows],
            batch.cast_at[rows],
            models[rows, 0],
            models[rows, 1],
            batch.outcome[rows],
            batch.prompt[rows],
        )
        observed = observe_partition(part, votes, prior, reference, detectors, earlier)
        new.update(observed.states)
        raised.extend(observed.raised)
    return Observed(new, raised)


def voters_of(batch: VoteBatch, fate: Int8) -> dict[int, list[int]]:
    """The voters that `observe` will ask for, by partition, in its order."""
    visible = _visible(batch, fate)
    partition, voter = batch.partition[visible], batch.voter[visible]
    return {part: np.unique(voter[partition == part]).tolist() for part in np.unique(partition).tolist()}


def observe_partition(
    partition: int,
    given: PartitionVotes,
    prior: Prior,
    reference: Reference,
    detectors: Sequence[VoterDetector],
    earlier: Callable[[int], Reference] | None = None,
) -> Observed:
    """Run the voter detectors over votes of one partition, in the order of offsets."""
    names, voter = np.unique(given.voter, return_inverse=True)
    order = np.argsort(voter, kind="stable")  # keeps the order of offsets
    votes = VoterVotes(
        voter[order],
        names,
        partition,
        given.offset[order],
        given.at[order],
        given.model_a[order],
        given.model_b[order],
        given.outcome[order],
        given.prompt[order],
    )
    raised: list[Raised] = []
    voters, after = names.tolist(), []
    known = prior(partition, voters) if detectors else []
    for k, detector in enumerate(detectors):
        before = [None if parts is None else parts[k] for parts in known]
        states, said = detector.observe(votes, before, reference, earlier)
        after.append(states)
        raised.extend(said)
    return Observed({partition: dict(zip(voters, zip(*after, strict=True), strict=True))} if after else {}, raised)


def count_windows(
    batch: VoteBatch, models: Int64, fate: Int8, reference: Reference | None
) -> list[window_builder.WindowCounts]:
    """Window counts of new votes; quarantined ones belong to no window.

    Args:
        reference: of the snapshot in force, for what it expects; None before the first.
    """
    rows = np.flatnonzero(fate != QUARANTINED)
    networks = [-1 if name is None else window_builder.group_of(name) for name in batch.network]
    prompt = np.where(batch.prompt == 0, -1, batch.prompt & 0xFFFFFFFF)
    counted = window_builder.Counted(
        batch.partition[rows].astype(np.int64),
        batch.cast_at[rows],
        fate[rows] == LATE,
        models[rows],
        batch.outcome[rows],
        batch.side[rows],
        window_builder.cohorts(batch.cast_at[rows], batch.voter_since[rows]),
        np.array(networks, dtype=np.int64)[rows],
        prompt[rows],
    )
    return window_builder.count(counted, reference)


def _visible(batch: VoteBatch, fate: Int8) -> Int64:
    return np.flatnonzero(batch.has_voter & (fate != QUARANTINED))
