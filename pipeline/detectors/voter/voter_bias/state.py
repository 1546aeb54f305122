"""What `voter_bias` remembers of a voter, and how it becomes bytes.

Every state is a *head* and a list of *pending* votes, five bytes each, that no exact e-value needed so far.
A voter of up to 32 votes is nothing else: a *history*. Most voters never cast more. Beyond that the older
votes are folded into *components* between the head and the pending votes: the sums of the generic
alternatives, and one entry for each model met.

    history      head (21 bytes) · pending
    components   head (40) · generic sums and e-value about models (32) · met entries (32 each) · pending

A pending entry with outcome 255 is a marker: the votes before it were judged by the snapshot that it names,
those after it by a later marker's, or by the head's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.detectors.voter.voter_bias.targets import Tally, Targets
from pipeline.vocabulary.arrays import Bool, Int8, Int64

LONGEST_PENDING = 32
"""Entries. Folding them again costs less than the components of as many votes cost to store."""

_MOST_VOTES = np.iinfo(np.uint16).max
# Sums of an entry are kept to ±2,047 nats. Below, e^−2047 is 0 as it is; above, every level was told long ago.
_FARTHEST = np.iinfo(np.int32).max

LARGEST_NUMBER = np.iinfo(np.uint16).max
"""Of a model in a pending entry; a vote on a model with a larger number is folded at once."""

_HISTORY, _COMPONENTS, _MARKER = ord("H"), ord("C"), 255
_SHORT = np.dtype(
    [
        ("kind", "u1"),
        ("told", "u1", 2),
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
        ("told", "u1", 2),
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
class Heads:
    """The heads of the v voters of a call, arrays of length v.

    Attributes:
        folded: bool, whether the state holds components.
        told: int64[v, 2], the level told of `biased` and of `random`.
        votes, ties: votes that counted as evidence, and how many of them were ties.
        bound: no less than the logarithm of the e-value of `biased`, in units of 2⁻²⁰ nats.
        uniform, tie: log-ratio sums of "clicks at random" on decisive votes and on ties; exact.
        snapshot: the one that judged the last pending votes.
        pending: entries, markers included.
    """

    folded: Bool
    told: Int64
    votes: Int64
    ties: Int64
    bound: Int64
    uniform: Int64
    tie: Int64
    snapshot: Int64
    pending: Int64

    @classmethod
    def parse(cls, states: Sequence[bytes | None]) -> Heads:
        """The heads of states; None is a voter not met before."""
        v = len(states)
        kinds = np.frombuffer(b"".join([b"\0" if s is None else s[:1] for s in states]), dtype=np.uint8)
        lengths = np.array([0 if s is None else len(s) for s in states], dtype=np.int64)
        zeros = [np.zeros(v, dtype=np.int64) for _ in range(7)]
        heads = cls(kinds == _COMPONENTS, np.zeros((v, 2), dtype=np.int64), *zeros)
        for kind, dtype in ((_HISTORY, _SHORT), (_COMPONENTS, _LONG)):
            rows = np.flatnonzero(kinds == kind)
            size = dtype.itemsize
            found = np.frombuffer(b"".join([_bytes(states[i])[:size] for i in rows.tolist()]), dtype=dtype)
            for name in ("told", "votes", "ties", "bound", "uniform", "tie", "snapshot"):
                getattr(heads, name)[rows] = found[name]
            if kind == _HISTORY:
                heads.pending[rows] = (lengths[rows] - size) // _PENDING.itemsize
            else:
                heads.pending[rows] = found["pending"]
        return heads

    def histories(self) -> bytes:
        """21 bytes a voter: heads of histories. Those of components are not meant to be used."""
        return self._packed(_SHORT, _HISTORY)

    def components(self, met: Int64) -> bytes:
        """40 bytes a voter: heads of components.

        Args:
            met: int64[v], models met.
        """
        return self._packed(_LONG, _COMPONENTS, pending=self.pending, met=met)

    def _packed(self, dtype: np.dtype[np.void], kind: int, **more: Int64) -> bytes:
        head = np.zeros(len(self.votes), dtype=dtype)
        head["kind"] = kind
        with np.errstate(over="ignore"):
            for name in ("told", "votes", "ties", "bound", "uniform", "tie", "snapshot"):
                head[name] = getattr(self, name).astype(dtype[name].base)
        for name, values in more.items():
            head[name] = values
        return head.tobytes()


HISTORY_HEAD, COMPONENTS_HEAD, PENDING_SIZE = _SHORT.itemsize, _LONG.itemsize, _PENDING.itemsize


def pending_bytes(model_a: Int64, model_b: Int64, outcome: Int8) -> bytes:
    """Votes as pending entries; numbers above LARGEST_NUMBER are not meant to be used."""
    entries = np.zeros(len(outcome), dtype=_PENDING)
    entries["model_a"], entries["model_b"] = model_a.astype(np.uint16), model_b.astype(np.uint16)
    entries["outcome"] = outcome
    return entries.tobytes()


def marker(snapshot: int) -> bytes:
    """The entry that says which snapshot judged the votes before it."""
    return snapshot.to_bytes(4, "little") + _BARE_MARKER[4:]


@dataclass(frozen=True)
class Pending:
    """The pending votes of m voters, arrays of length n sorted by voter, markers taken out.

    Attributes:
        voter: position of the voter in the call.
        model_a, model_b, outcome: of each vote.
        snapshot: the one that judged it.
    """

    voter: Int64
    model_a: Int64
    model_b: Int64
    outcome: Int8
    snapshot: Int64

    @classmethod
    def parse(cls, states: Sequence[bytes | None], pending: Int64, snapshot: Int64) -> Pending:
        """The pending votes of states.

        Args:
            states: m of them.
            pending, snapshot: int64[m], of their heads.
        """
        size = _PENDING.itemsize
        tails = [_bytes(s)[-size * n :] if n else b"" for s, n in zip(states, pending.tolist(), strict=True)]
        entries = np.frombuffer(b"".join(tails), dtype=_PENDING)
        voter = np.repeat(np.arange(len(states)), pending)
        marked = np.flatnonzero(entries["outcome"] == _MARKER)
        named = entries["model_a"][marked].astype(np.int64) | entries["model_b"][marked].astype(np.int64) << 16
        following = np.searchsorted(marked, np.arange(len(entries)))
        beside = np.minimum(following, max(len(marked) - 1, 0))
        judged = snapshot[voter]
        if len(marked):
            same = (following < len(marked)) & (voter[marked[beside]] == voter)
            judged = np.where(same, named[beside], judged)
        rows = entries["outcome"] != _MARKER
        kept = entries[rows]
        return cls(
            voter[rows],
            kept["model_a"].astype(np.int64),
            kept["model_b"].astype(np.int64),
            kept["outcome"].astype(np.int8),
            judged[rows],
        )


def unpack(states: Sequence[bytes | None]) -> tuple[Tally, Targets]:
    """What is folded in states: nothing in a history, nor of a voter not met before."""
    m, size = len(states), _LONG.itemsize
    tally = Tally(np.zeros(m, dtype=np.int64), np.zeros((m, 3), dtype=np.int64), np.zeros(m, dtype=np.int64))
    rows = [i for i, s in enumerate(states) if s is not None and s[0] == _COMPONENTS]
    known = [_bytes(states[i]) for i in rows]
    folded = np.frombuffer(b"".join([s[size : size + _FOLDED.itemsize] for s in known]), dtype=_FOLDED)
    tally.met[rows] = np.frombuffer(b"".join([s[:size] for s in known]), dtype=_LONG)["met"]
    tally.generic[rows], tally.total[rows] = folded["generic"], folded["total"]
    first = size + _FOLDED.itemsize
    ends = (first + tally.met[rows] * _ENTRY.itemsize).tolist()
    entries = np.frombuffer(b"".join([s[first:end] for s, end in zip(known, ends, strict=True)]), dtype=_ENTRY)
    columns = [entries[name].astype(np.int64) for name in ("model", "rank", "votes", "sums")]
    return tally, Targets(np.repeat(np.arange(m), tally.met), *columns)


def pack(tally: Tally, targets: Targets) -> list[bytes]:
    """What is folded as bytes, one a voter: what stands between the head and the pending votes."""
    folded = np.zeros(len(tally.met), dtype=_FOLDED)
    folded["generic"], folded["total"] = tally.generic, tally.total
    entries = np.zeros(len(targets.voter), dtype=_ENTRY)
    entries["model"], entries["rank"] = targets.model, targets.rank
    entries["sums"] = np.clip(targets.sums, -_FARTHEST, _FARTHEST)
    entries["votes"] = np.minimum(targets.votes, _MOST_VOTES)
    heads, body = folded.tobytes(), entries.tobytes()
    ends = np.cumsum(tally.met) * _ENTRY.itemsize
    size = _FOLDED.itemsize
    return [
        heads[i * size : (i + 1) * size] + body[end - met * _ENTRY.itemsize : end]
        for i, (end, met) in enumerate(zip(ends.tolist(), tally.met.tolist(), strict=True))
    ]


def _bytes(state: bytes | None) -> bytes:
    return b"" if state is None else state
