"""Packs and unpacks the state of a voter in `voter_bias`.

A state has one of two forms. The short form is for voters with up to 32 votes, as most voters have. It keeps each vote:

    head (21 bytes) · pending votes (5 each)

The long form keeps only the newest votes. The older votes are *folded*: they are added to sums, the *components*, and
then dropped (`component_codec`).

    head (40 bytes) · sums (32) · an entry for each model met (58) · one for each provider met (30) · pending votes (5)

A kept vote is called pending, because no exact e-value was needed for it so far. An entry among the pending votes with
outcome 255 is a marker: it names the snapshot against which the votes before the marker are evaluated. The votes after
the last marker are evaluated against the snapshot that the head names.

States of earlier versions have shorter entries for models (32 bytes) and none for providers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.vocabulary.arrays import Bool, Int8, Int64
from pipeline.vocabulary.packing import read_records

MAX_PENDING = 32
"""The largest number of pending entries. To evaluate so few votes again costs less than to store their components."""

MAX_MODEL_NUMBER = np.iinfo(np.uint16).max
"""The largest model number that a pending entry can hold.

A vote on a model with a larger number is folded (module docstring) at once.
"""

_HISTORY, COMPONENTS, _MARKER = ord("H"), ord("D"), 255
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
LONG_HEAD = np.dtype(
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
_PENDING = np.dtype([("model_a", "<u2"), ("model_b", "<u2"), ("outcome", "u1")])
_BARE_MARKER = bytes([0, 0, 0, 0, _MARKER])


@dataclass
class StateHeads:
    """The fixed-length first parts of v voters' states, as arrays of length v.

    Attributes:
        folded: bool[v], whether some votes are folded, which means added to sums (components) and then dropped.
        emitted: int64[v, 2], the highest emitted levels of the alerts with direction `biased` and `random`.
        votes: number of votes that counted as evidence.
        ties: number of ties among these votes.
        bound: upper bound of ln e for `biased`, in units of 2⁻²⁰ nats.
        uniform: exact sum, over the decisive votes, of the log-likelihood ratio of "clicks at random", in the same
            unit.
        tie: exact sum, over all votes, of the log-likelihood ratio of "each vote is a tie with probability ½", in the
            same unit.
        snapshot: sequence number of the snapshot against which the newest pending votes are evaluated.
        pending: number of pending entries. An entry is a vote, or a marker that names the snapshot of the votes before
            it.
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
        """Read the first part (head) of each packed state; None stands for the state of a new voter."""
        v = len(states)
        kinds = read_records(np.uint8, [b"\0" if s is None else s[:1] for s in states])
        lengths = np.array([0 if s is None else len(s) for s in states], dtype=np.int64)
        zeros = [np.zeros(v, dtype=np.int64) for _ in range(7)]
        heads = cls(kinds == COMPONENTS, np.zeros((v, 2), dtype=np.int64), *zeros)
        for kind, dtype in ((_HISTORY, _SHORT), (COMPONENTS, LONG_HEAD)):
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
        """Pack the heads of voters whose votes are all kept one by one, 21 bytes per voter.

        `folded` must be False for all voters.
        """
        return self._pack(_SHORT, _HISTORY)

    def pack_with_components(self, met: Int64) -> bytes:
        """Pack the heads of voters whose older votes were replaced by sums (components), 40 bytes per voter.

        Args:
            met: int64[v], number of models that each voter has met.
        """
        return self._pack(LONG_HEAD, COMPONENTS, pending=self.pending, met=met)

    def _pack(self, dtype: np.dtype[np.void], kind: int, **more: Int64) -> bytes:
        head = np.zeros(len(self.votes), dtype=dtype)
        head["kind"] = kind
        with np.errstate(over="ignore"):
            for name in ("emitted", "votes", "ties", "bound", "uniform", "tie", "snapshot"):
                head[name] = getattr(self, name).astype(dtype[name].base)
        for name, values in more.items():
            head[name] = values
        return head.tobytes()


HISTORY_HEAD, COMPONENTS_HEAD, PENDING_SIZE = _SHORT.itemsize, LONG_HEAD.itemsize, _PENDING.itemsize


def pack_pending(model_a: Int64, model_b: Int64, outcome: Int8) -> bytes:
    """Pack n votes as pending entries; return 5·n bytes.

    Args:
        model_a, model_b: int64[n], model numbers (model_no), at most MAX_MODEL_NUMBER.
        outcome: int8[n]: 0 (a wins), 1 (b wins), or 2 for both kinds of tie.
    """
    entries = np.zeros(len(outcome), dtype=_PENDING)
    entries["model_a"], entries["model_b"] = model_a.astype(np.uint16), model_b.astype(np.uint16)
    entries["outcome"] = outcome
    return entries.tobytes()


def snapshot_marker(snapshot: int) -> bytes:
    """Return the bytes of a marker: an entry among the pending votes that names a snapshot.

    Args:
        snapshot: sequence number of the snapshot that evaluates the pending votes before the marker.
    """
    return snapshot.to_bytes(4, "little") + _BARE_MARKER[4:]


@dataclass(frozen=True)
class PendingVotes:
    """The n pending votes of m voters (without the markers between them): arrays of length n, sorted by voter.

    Attributes:
        voter: position of the voter among the m voters.
        model_a, model_b: model numbers (model_no).
        outcome: 0 (a wins), 1 (b wins), or 2 for both kinds of tie.
        snapshot: sequence number of the snapshot that evaluates the vote.
    """

    voter: Int64
    model_a: Int64
    model_b: Int64
    outcome: Int8
    snapshot: Int64

    @classmethod
    def unpack(cls, states: Sequence[bytes | None], pending: Int64, snapshot: Int64) -> PendingVotes:
        """Read the pending votes of m packed states.

        Args:
            states: the packed states; None stands for a new voter.
            pending: int64[m], number of pending entries of each state (`StateHeads.pending`).
            snapshot: int64[m], sequence number of the snapshot that evaluates the newest pending votes
                (`StateHeads.snapshot`).
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


def _bytes(state: bytes | None) -> bytes:
    return b"" if state is None else state
