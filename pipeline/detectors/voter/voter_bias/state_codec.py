"""The state of a voter in `voter_bias`, and its bytes.

Every state has a *head* and a list of *pending* votes, five bytes each: votes for which no exact e-value was needed so
far. A voter of up to 32 votes has nothing else; that state is a *history*. Most voters never cast more. Beyond that the
older votes are folded into *components* between the head and the pending votes: the sums of the generic alternatives,
and one entry for each model met.

    history      head (21 bytes) · pending
    components   head (40) · generic sums and e-value about models (32) · met entries (32 each) · pending

A pending entry with outcome 255 is a marker. The votes before a marker are evaluated against the snapshot that it
names; the votes after the last marker, against the snapshot in the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.detectors.voter.voter_bias.target_models import FoldedSums, TargetModels
from pipeline.vocabulary.arrays import Bool, Int8, Int64
from pipeline.vocabulary.packing import read_records

MAX_PENDING = 32
"""Most entries of a history. Folding them again costs less than storing the components of as many votes."""

_MAX_VOTES = np.iinfo(np.uint16).max
# Sums of an entry are limited to ±2,047 nats: e^−2047 is 0, and at e^2047 every level was emitted.
_MAX_SUM = np.iinfo(np.int32).max

MAX_MODEL_NUMBER = np.iinfo(np.uint16).max
"""The largest model number in a pending entry; a vote on a model with a larger one is folded at once."""

_HISTORY, _COMPONENTS, _MARKER = ord("H"), ord("C"), 255
_SHORT = np.dtype(
    [
        ("kind", "u1"),
        ("emitted", "u1", 2),
        ("votes", "u1"),
        ("ties", "u1"),
        ("bound", "<i4"),
        ("uniform", "<i4"),
        ("tie", "<i4"),
        ("snapshot", "<u4"),
    ]
)
_LONG = np.dtype(
    [
        ("kind", "u1"),
        ("emitted", "u1", 2),
        ("pending", "u1"),
        ("votes", "<u4"),
        ("ties", "<u4"),
        ("bound", "<i4"),
        ("uniform", "<i8"),
        ("tie", "<i8"),
        ("snapshot", "<u4"),
        ("met", "<u4"),
    ]
)
_FOLDED = np.dtype([("generic", "<i8", 3), ("total", "<i8")])
_ENTRY = np.dtype([("model", "<i4"), ("rank", "<u2"), ("votes", "<u2"), ("sums", "<i4", 6)])
_PENDING = np.dtype([("model_a", "<u2"), ("model_b", "<u2"), ("outcome", "u1")])
_BARE_MARKER = bytes([0, 0, 0, 0, _MARKER])


@dataclass
class StateHeads:
    """The heads of the v voters of a call, arrays of length v.

    Attributes:
        folded: bool, whether the state has components.
        emitted: int64[v, 2], the emitted levels of `biased` and of `random`.
        votes, ties: number of votes that counted as evidence, and how many of them were ties.
        bound: upper bound of ln e of `biased`, in units of 2⁻²⁰ nats.
        uniform, tie: log-ratio sums of "clicks at random" on decisive votes and on ties; exact.
        snapshot: the snapshot that the last pending votes are evaluated against.
        pending: number of entries, markers included.
    """

    folded: Bool
    emitted: Int64
    votes: Int64
    ties: Int64
    bound: Int64
    uniform: Int64
    tie: Int64
    snapshot: Int64
    pending: Int64

    @classmethod
    def unpack(cls, states: Sequence[bytes | None]) -> StateHeads:
        """Return the heads of the given states; None is a new voter."""
        v = len(states)
        kinds = read_records(np.uint8, [b"\0" if s is None else s[:1] for s in states])
        lengths = np.array([0 if s is None else len(s) for s in states], dtype=np.int64)
        zeros = [np.zeros(v, dtype=np.int64) for _ in range(7)]
        heads = cls(kinds == _COMPONENTS, np.zeros((v, 2), dtype=np.int64), *zeros)
        for kind, dtype in ((_HISTORY, _SHORT), (_COMPONENTS, _LONG)):
            rows = np.flatnonzero(kinds == kind)
            size = dtype.itemsize
            found = read_records(dtype, [_bytes(states[i])[:size] for i in rows.tolist()])
            for name in ("emitted", "votes", "ties", "bound", "uniform", "tie", "snapshot"):
                getattr(heads, name)[rows] = found[name]
            if kind == _HISTORY:
                heads.pending[rows] = (lengths[rows] - size) // _PENDING.itemsize
            else:
                heads.pending[rows] = found["pending"]
        return heads

    def pack_histories(self) -> bytes:
        """Return every head as the head of a history, 21 bytes a voter. Invalid for voters with components."""
        return self._pack(_SHORT, _HISTORY)

    def pack_with_components(self, met: Int64) -> bytes:
        """Return every head as the head of a state with components, 40 bytes a voter.

        Args:
            met: int64[v], number of models met.
        """
        return self._pack(_LONG, _COMPONENTS, pending=self.pending, met=met)

    def _pack(self, dtype: np.dtype[np.void], kind: int, **more: Int64) -> bytes:
        head = np.zeros(len(self.votes), dtype=dtype)
        head["kind"] = kind
        with np.errstate(over="ignore"):
            for name in ("emitted", "votes", "ties", "bound", "uniform", "tie", "snapshot"):
                head[name] = getattr(self, name).astype(dtype[name].base)
        for name, values in more.items():
            head[name] = values
        return head.tobytes()


HISTORY_HEAD, COMPONENTS_HEAD, PENDING_SIZE = _SHORT.itemsize, _LONG.itemsize, _PENDING.itemsize


def pack_pending(model_a: Int64, model_b: Int64, outcome: Int8) -> bytes:
    """Return votes as pending entries. Invalid for model numbers above MAX_MODEL_NUMBER."""
    entries = np.zeros(len(outcome), dtype=_PENDING)
    entries["model_a"], entries["model_b"] = model_a.astype(np.uint16), model_b.astype(np.uint16)
    entries["outcome"] = outcome
    return entries.tobytes()


def snapshot_marker(snapshot: int) -> bytes:
    """Return the marker that names the snapshot of the votes before it."""
    return snapshot.to_bytes(4, "little") + _BARE_MARKER[4:]


@dataclass(frozen=True)
class PendingVotes:
    """The pending votes of m voters, arrays of length n sorted by voter, without markers.

    Attributes:
        voter: position of the voter in the call.
        model_a, model_b, outcome: models (the store's numbers) and outcome of each vote.
        snapshot: the snapshot that each vote is evaluated against.
    """

    voter: Int64
    model_a: Int64
    model_b: Int64
    outcome: Int8
    snapshot: Int64

    @classmethod
    def unpack(cls, states: Sequence[bytes | None], pending: Int64, snapshot: Int64) -> PendingVotes:
        """Return the pending votes of m states.

        Args:
            states: the states.
            pending, snapshot: int64[m], these two columns of their `StateHeads`.
        """
        size = _PENDING.itemsize
        tails = [_bytes(s)[-size * n :] if n else b"" for s, n in zip(states, pending.tolist(), strict=True)]
        entries = read_records(_PENDING, tails)
        voter = np.repeat(np.arange(len(states)), pending)
        marked = np.flatnonzero(entries["outcome"] == _MARKER)
        named = entries["model_a"][marked].astype(np.int64) | entries["model_b"][marked].astype(np.int64) << 16
        following = np.searchsorted(marked, np.arange(len(entries)))
        beside = np.minimum(following, max(len(marked) - 1, 0))
        evaluated = snapshot[voter]
        if len(marked):
            same = (following < len(marked)) & (voter[marked[beside]] == voter)
            evaluated = np.where(same, named[beside], evaluated)
        rows = entries["outcome"] != _MARKER
        kept = entries[rows]
        return cls(
            voter[rows],
            kept["model_a"].astype(np.int64),
            kept["model_b"].astype(np.int64),
            kept["outcome"].astype(np.int8),
            evaluated[rows],
        )


def unpack_components(states: Sequence[bytes | None]) -> tuple[FoldedSums, TargetModels]:
    """Return the components of the given states; a history and a new voter have none."""
    m, size = len(states), _LONG.itemsize
    sums = FoldedSums(np.zeros(m, dtype=np.int64), np.zeros((m, 3), dtype=np.int64), np.zeros(m, dtype=np.int64))
    rows = [i for i, s in enumerate(states) if s is not None and s[0] == _COMPONENTS]
    known = [_bytes(states[i]) for i in rows]
    folded = read_records(_FOLDED, [s[size : size + _FOLDED.itemsize] for s in known])
    sums.met[rows] = read_records(_LONG, [s[:size] for s in known])["met"]
    sums.generic[rows], sums.total[rows] = folded["generic"], folded["total"]
    first = size + _FOLDED.itemsize
    ends = (first + sums.met[rows] * _ENTRY.itemsize).tolist()
    entries = read_records(_ENTRY, [s[first:end] for s, end in zip(known, ends, strict=True)])
    columns = [entries[name].astype(np.int64) for name in ("model", "rank", "votes", "sums")]
    return sums, TargetModels(np.repeat(np.arange(m), sums.met), *columns)


def pack_components(folded: FoldedSums, targets: TargetModels) -> list[bytes]:
    """Return each voter's components: the bytes between the head and the pending votes."""
    sums = np.zeros(len(folded.met), dtype=_FOLDED)
    sums["generic"], sums["total"] = folded.generic, folded.total
    entries = np.zeros(len(targets.voter), dtype=_ENTRY)
    entries["model"], entries["rank"] = targets.model, targets.rank
    entries["sums"] = np.clip(targets.sums, -_MAX_SUM, _MAX_SUM)
    entries["votes"] = np.minimum(targets.votes, _MAX_VOTES)
    heads, body = sums.tobytes(), entries.tobytes()
    ends = np.cumsum(folded.met) * _ENTRY.itemsize
    size = _FOLDED.itemsize
    return [
        heads[i * size : (i + 1) * size] + body[end - met * _ENTRY.itemsize : end]
        for i, (end, met) in enumerate(zip(ends.tolist(), folded.met.tolist(), strict=True))
    ]


def _bytes(state: bytes | None) -> bytes:
    return b"" if state is None else state
