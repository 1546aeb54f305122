"""One batch, one transaction, in the order of the design.

fence → drop repeats within the batch → probe ids → tell duplicates by their body → states → the pure
processor over the new rows → new rows → states, windows, alerts, ledger of offsets. Everything commits
or nothing does; a batch that a race or a lost connection rolled back is simply taken again.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from cachetools import LRUCache
from sqlalchemy.engine import Connection

from pipeline.events import Reject, VoteBatch
from pipeline.events.chunk import Chunk
from pipeline.evidence import Reference
from pipeline.scoring import vote_processor
from pipeline.scoring.signals import Raised, VoterDetector
from pipeline.store.alerting import alerts, outbox
from pipeline.store.boards import snapshots
from pipeline.store.db import dialect
from pipeline.store.db.connection_handover import run_in_thread, run_inline
from pipeline.store.votes import ingest, voter_states, window_counts
from pipeline.store.votes.dictionary import Names, model_names
from pipeline.stream.decoding import Decoded
from pipeline.stream.deduplication import Sifted, sift, write_repeats
from pipeline.stream.voter_state_cache import States
from pipeline.vocabulary.arrays import Bool, Int8, Int32

# Snapshots whose probabilities are held for voters who come back: a day of hourly refreshes. The tables of
# 300 models take 13 MB.
_EARLIER_KEPT = 24


@dataclass
class Owned:
    """A partition that this worker owns: its claim, and what moves with each batch."""

    claim: ingest.Claim
    next_offset: int
    event_time: int | None
    snapshot: int


@dataclass
class Tally:
    """What became of records, by fate, and the alerts that were raised."""

    read: int = 0
    accepted: int = 0
    duplicate: int = 0
    late: int = 0
    quarantined: int = 0
    rejected: int = 0
    alerts: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        """Add another tally to this one."""
        for name in ("read", "accepted", "duplicate", "late", "quarantined", "rejected", "alerts"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for reason, count in other.reasons.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + count


@dataclass(frozen=True)
class Context:
    """What does not change from batch to batch."""

    source_no: int
    names: Names
    detectors: Sequence[VoterDetector]
    lateness: int
    topics: Mapping[str, str] | None  # "alerts" and "rejected"; None where there is no broker
    states: States


@dataclass(frozen=True)
class Written:
    """What one batch did.

    Attributes:
        tally: what became of the records.
        event_time: the new event time by the store's partition number.
        states: voter states that changed.
        flushed: whether all voter states were written with it.
    """

    tally: Tally
    event_time: Mapping[int, int | None]
    states: Mapping[int, Mapping[int, vote_processor.Parts]]
    flushed: bool


@dataclass
class Judge:
    """The newest published snapshot, and the probabilities it gives."""

    sequence: int = 0
    reference: Reference | None = None
    _earlier: LRUCache[int, Reference] = field(default_factory=lambda: LRUCache(_EARLIER_KEPT))

    def refresh(self, connection: Connection) -> None:
        """Take up the newest published snapshot."""
        newest = snapshots.newest_sequence(connection)
        if newest != self.sequence:
            self.reference = snapshots.reference(connection, newest)
            self.sequence = newest

    def earlier(self, connection: Connection, sequence: int) -> Reference:
        """The probabilities of a snapshot that was in force before; the last few stay in memory."""
        found = self._earlier.get(sequence) or snapshots.reference(connection, sequence)
        if found is None:
            raise ValueError(f"snapshot {sequence} judged votes and is not in the store")
        self._earlier[sequence] = found
        return found


def write_batch(
    connection: Connection,
    chunks: Sequence[Chunk],
    decoded: Decoded,
    numbers: Mapping[str, Int32],
    owned: Mapping[int, Owned],
    judge: Judge,
    context: Context,
    now: int,
) -> Written:
    """Write one batch inside the caller's transaction.

    Args:
        chunks: what was polled; their ends become the next offsets.
        decoded: the same, decoded.
        numbers: model_a, model_b, language, category, network of the votes.
        owned: by the source's number; read, not changed: the caller does when it has committed.
        judge: whose probabilities are in force.
        now: wall clock in microseconds.

    Returns:
        What became of it; to be taken up by the caller when it has committed.

    Raises:
        Fenced: a partition is somebody else's now.
    """
    by_no = {o.claim.partition_no: o for o in owned.values()}
    votes = decoded.votes
    fate, event_time = vote_processor.judge(votes, {no: o.event_time for no, o in by_no.items()}, context.lateness)
    progress = [_progress(owned[chunk.partition], chunk, event_time) for chunk in chunks]
    for one in progress:
        ingest.fence(connection, one, now)
    judge.refresh(connection)
    for one in progress:
        if by_no[one.partition_no].snapshot < judge.sequence:
            snapshots.put_in_force(connection, one.partition_no, one.first_offset, judge.sequence)
    repeats = sift(connection, votes, numbers)
    new = repeats.new
    fresh = votes.take(new)
    fates = fate[new]
    models = np.column_stack([numbers["model_a"][new], numbers["model_b"][new]]).astype(np.int64)
    prior = _remembered(connection, fresh, fates, judge, context)
    new_numbers = {name: values[new] for name, values in numbers.items()}
    # A server stores the votes while this thread computes their evidence.
    run = run_in_thread if dialect.has_server(connection) else run_inline
    with run(connection, lambda: ingest.write_votes(connection, fresh, new_numbers, fates)) as wait_for_votes:

        def earlier(sequence: int) -> Reference:
            wait_for_votes()
            return judge.earlier(connection, sequence)

        observed = vote_processor.observe(fresh, models, fates, prior, judge.reference, context.detectors, earlier)
        counted = vote_processor.count_windows(fresh, models, fates, judge.reference)
    raised = [*observed.raised, *write_repeats(connection, votes, repeats)]
    flushed = context.states.due()
    if flushed:
        offsets = {chunk.partition: chunk.next_offset for chunk in chunks}
        write_states(connection, context.states.unwritten(observed.states), owned, offsets)
    window_counts.add(connection, counted)
    ingest.write_rejects(
        connection, decoded.rejects, decoded.partition, decoded.offset, decoded.appended_at, decoded.origins
    )
    ids = alerts.write(connection, raised, names_of(connection, raised), now)
    if context.topics:
        numbers_of = {no: o.claim.number for no, o in by_no.items()}
        outbox.add(connection, context.source_no, _messages(context.topics, ids, raised, decoded, numbers_of))
    progress = [_counted(one, new, fate, votes, repeats, decoded) for one in progress]
    ingest.record(connection, progress)
    return Written(_tally(progress, ids, decoded.rejects), event_time, observed.states, flushed)


def _remembered(
    connection: Connection, fresh: VoteBatch, fates: Int8, judge: Judge, context: Context
) -> vote_processor.Prior:
    """Read the states of a batch's voters now: `observe` wants them while the connection is lent."""
    if judge.reference is None or not context.detectors:
        return lambda _, voters: [None] * len(voters)
    found = {
        part: context.states.get(connection, part, voters)
        for part, voters in vote_processor.voters_of(fresh, fates).items()
    }
    return lambda part, _: found[part]


def write_states(
    connection: Connection,
    states: Mapping[int, Mapping[int, bytes]],
    owned: Mapping[int, Owned],
    offsets: Mapping[int, int],
) -> None:
    """Write voter states, and up to which offset of each owned partition they hold.

    Args:
        offsets: by the source's number, where it is not the partition's next offset.

    Raises:
        Fenced: a partition is somebody else's now.
    """
    for number, one in owned.items():
        offset = offsets.get(number, one.next_offset)
        voter_states.hold_to(connection, one.claim.partition_no, one.claim.epoch, offset)
    voter_states.write(connection, states)


def names_of(connection: Connection, raised: Sequence[Raised]) -> dict[int, str]:
    """Names for the model numbers in alerts; asked only when there are any."""
    return model_names(connection) if raised else {}


def _progress(owned: Owned, chunk: Chunk, event_time: Mapping[int, int | None]) -> ingest.Progress:
    no = owned.claim.partition_no
    return ingest.Progress(
        no, owned.claim.epoch, owned.next_offset, chunk.next_offset, event_time.get(no), len(chunk.values),
        0, 0, 0, 0, 0,
    )  # fmt: skip


def _counted(
    one: ingest.Progress,
    new: Bool,
    fate: Int8,
    votes: VoteBatch,
    repeats: Sifted,
    decoded: Decoded,
) -> ingest.Progress:
    mine = votes.partition == one.partition_no
    accepted, late, quarantined = np.bincount(fate[new & mine], minlength=3).tolist()
    rejected = sum(int(decoded.partition[r.position]) == one.partition_no for r in decoded.rejects)
    return replace(
        one,
        accepted=accepted,
        late=late,
        quarantined=quarantined,
        duplicate=int(mine[repeats.rows].sum()),
        rejected=rejected,
    )


def _tally(progress: Sequence[ingest.Progress], ids: Sequence[str], rejects: Sequence[Reject]) -> Tally:
    tally = Tally(alerts=len(set(ids)))
    for name in ("read", "accepted", "duplicate", "late", "quarantined", "rejected"):
        setattr(tally, name, sum(getattr(p, name) for p in progress))
    for reject in rejects:
        tally.reasons[reject.reason] = tally.reasons.get(reject.reason, 0) + 1
    return tally


def _messages(
    topics: Mapping[str, str],
    ids: Sequence[str],
    raised: Sequence[Raised],
    decoded: Decoded,
    number: Mapping[int, int],
) -> list[tuple[str, bytes, bytes]]:
    """(topic, key, value) for every alert and reject of the batch; a reader knows the source's numbers only."""
    messages = []
    for alert_id, r in zip(ids, raised, strict=True):
        value = {
            "schema": 1, "id": alert_id, "detector": r.detector, "severity": r.severity,
            "subject": {"kind": r.subject_kind, "id": r.subject}, "direction": r.direction,
            "e_value": r.e_value, "partition": number[r.partition], "offset": r.offset,
        }  # fmt: skip
        messages.append((topics["alerts"], alert_id.encode(), _json(value)))
    for reject in decoded.rejects:
        value = {
            "schema": 1, "partition": number[int(decoded.partition[reject.position])],
            "offset": int(decoded.offset[reject.position]), "reason": reject.reason, "detail": reject.detail,
            "origin": decoded.origins[reject.position], "sha256": reject.sha256.hex(),
            "sample": base64.b64encode(reject.sample).decode(),
        }  # fmt: skip
        messages.append((topics["rejected"], reject.sha256[:16], _json(value)))
    return messages


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
