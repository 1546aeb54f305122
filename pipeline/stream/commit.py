"""One batch, one transaction, in the order of the design.

fence → drop repeats within the batch → probe ids → tell duplicates by their body → states → the pure
processor over the new rows → new rows → states, windows, alerts, ledger of offsets. Everything commits
or nothing does; a batch that a race or a lost connection rolled back is simply taken again.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy.engine import Connection

from pipeline.alerts import Raised, VoterDetector, voter_label
from pipeline.events import Reject, VoteBatch
from pipeline.events.batch import Int64
from pipeline.evidence import Reference
from pipeline.store import alerts, ingest, outbox, snapshots, windows
from pipeline.store.names import Names, model_names
from pipeline.stream import processor
from pipeline.stream.batch import Decoded
from pipeline.stream.source.contract import Chunk
from pipeline.stream.states import States

Fates = npt.NDArray[np.int8]

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
    states: States = field(default_factory=States)


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
    states: Mapping[processor.StateKey, bytes]
    flushed: bool


@dataclass
class Judge:
    """The newest published snapshot, and the probabilities it gives."""

    sequence: int = 0
    reference: Reference | None = None
    _earlier: dict[int, Reference] = field(default_factory=dict)

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
        self._earlier.pop(sequence, None)
        self._earlier[sequence] = found
        while len(self._earlier) > _EARLIER_KEPT:
            del self._earlier[next(iter(self._earlier))]
        return found


def write_batch(
    connection: Connection,
    chunks: Sequence[Chunk],
    decoded: Decoded,
    numbers: Mapping[str, npt.NDArray[np.int32]],
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
    fate, event_time = processor.judge(votes, {no: o.event_time for no, o in by_no.items()}, context.lateness)
    progress = [_progress(owned[chunk.partition], chunk, event_time) for chunk in chunks]
    for one in progress:
        ingest.fence(connection, one, now)
    judge.refresh(connection)
    for one in progress:
        if by_no[one.partition_no].snapshot < judge.sequence:
            snapshots.put_in_force(connection, one.partition_no, one.first_offset, judge.sequence)
    new, repeats = _sift(connection, votes)
    fresh = votes.take(new)
    fates = fate[new]
    models = np.column_stack([numbers["model_a"][new], numbers["model_b"][new]]).astype(np.int64)
    keys = processor.needed_states(fresh, fates, context.detectors) if judge.reference else []
    states = context.states.get(connection, keys)
    observed = processor.observe(
        fresh, models, fates, states, judge.reference, context.detectors, partial(judge.earlier, connection)
    )
    terms = {name: values[new] for name, values in numbers.items()}
    ingest.write_votes(connection, fresh, {**terms, "prompt": _prompts(fresh)}, fates)
    raised = [*observed.raised, *_write_repeats(connection, votes, repeats)]
    flushed = context.states.due()
    if flushed:
        offsets = {chunk.partition: chunk.next_offset for chunk in chunks}
        write_states(connection, {**context.states.unwritten, **observed.states}, owned, offsets)
    windows.add(connection, processor.count_windows(fresh, models, fates))
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


def write_states(
    connection: Connection,
    states: Mapping[processor.StateKey, bytes],
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
        ingest.states_hold_to(connection, one.claim.partition_no, one.claim.epoch, offset)
    ingest.write_states(connection, states)


def names_of(connection: Connection, raised: Sequence[Raised]) -> dict[int, str]:
    """Names for the model numbers in alerts; asked only when there are any."""
    return model_names(connection) if raised else {}


def _progress(owned: Owned, chunk: Chunk, event_time: Mapping[int, int | None]) -> ingest.Progress:
    no = owned.claim.partition_no
    return ingest.Progress(
        no, owned.claim.epoch, owned.next_offset, chunk.next_offset, event_time.get(no), len(chunk.values),
        0, 0, 0, 0, 0,
    )  # fmt: skip


@dataclass(frozen=True)
class _Repeats:
    """Votes whose id is known: their rows, where the first stands, and whether it says the same."""

    rows: Int64
    firsts: list[ingest.Known]
    same: list[bool]


def _sift(connection: Connection, votes: VoteBatch) -> tuple[npt.NDArray[np.bool_], _Repeats]:
    """True for votes with a new id, and the others with what they repeat."""
    raw = votes.key.astype(">u8").tobytes()
    keys = [raw[16 * i : 16 * i + 16] for i in range(len(votes))]
    first = processor.first_of_each(votes.key)
    stored = ingest.probe(connection, [keys[i] for i in np.flatnonzero(first).tolist()])
    new = first & np.array([key not in stored for key in keys], dtype=np.bool_)
    known = dict(stored)
    for i in np.flatnonzero(new).tolist():
        known[keys[i]] = ingest.Known(int(votes.partition[i]), int(votes.offset[i]), votes.body[i])
    rows = np.flatnonzero(~new)
    firsts = [known[keys[i]] for i in rows.tolist()]
    same = [f.body == votes.body[i] for f, i in zip(firsts, rows.tolist(), strict=True)]
    return new, _Repeats(rows, firsts, same)


def _write_repeats(connection: Connection, votes: VoteBatch, repeats: _Repeats) -> list[Raised]:
    """Write duplicates; an id that comes back saying something else is an alert: the first one counts."""
    ingest.write_duplicates(connection, votes.take(repeats.rows), repeats.firsts, repeats.same)
    return [
        Raised(
            detector="duplicate_votes",
            subject_kind="voter" if votes.has_voter[i] else "board",
            subject=voter_label(int(votes.voter[i])) if votes.has_voter[i] else "votes",
            direction="same id, other vote",
            severity="warning",
            e_value=None,
            level=1,
            partition=int(votes.partition[i]),
            offset=int(votes.offset[i]),
            at=int(votes.cast_at[i]),
            evidence={
                "vote_id": votes.vote_id[i],
                "counted": {"partition": first.partition_no, "offset": first.offset},
                "ignored": {"partition": int(votes.partition[i]), "offset": int(votes.offset[i])},
            },
        )
        for i, first, same in zip(repeats.rows.tolist(), repeats.firsts, repeats.same, strict=True)
        if not same
    ]


def _prompts(votes: VoteBatch) -> Int64:
    """Prompts as 64 bits of their hash, 0 where there is none."""
    return np.array(
        [
            0 if p is None else int.from_bytes(hashlib.sha256(p.encode()).digest()[:8], "big", signed=True)
            for p in votes.prompt_hash
        ],
        dtype=np.int64,
    )


def _counted(
    one: ingest.Progress,
    new: npt.NDArray[np.bool_],
    fate: Fates,
    votes: VoteBatch,
    repeats: _Repeats,
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
