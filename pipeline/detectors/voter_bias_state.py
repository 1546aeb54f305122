"""What `voter_bias` remembers of a voter, and how it becomes bytes.

A voter of up to 32 votes under one snapshot is a *history*: the votes themselves, five bytes each,
folded again when the voter comes back. Most voters never cast more. Later, or under another snapshot,
a state is *components*: counts, the sums of the generic alternatives, and one entry for each model met.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.alerts import VoterVotes
from pipeline.evidence import starts
from pipeline.evidence.fixed import Int64

LONGEST_HISTORY = 32
"""Votes. Folding them again costs less than the components of as many votes cost to store."""

_HISTORY, _COMPONENTS = b"H", b"C"
_HISTORY_HEAD = struct.Struct("<cBBI")  # kind, level told of `biased` and of `random`, snapshot
_PAST = np.dtype([("model_a", "<u2"), ("model_b", "<u2"), ("outcome", "u1")])
_HEAD = np.dtype(
    [
        ("votes", "<i4"),
        ("ties", "<i4"),
        ("met", "<i4"),
        ("told", "<i2", 2),
        ("generic", "<i8", 5),
        ("total", "<i8"),
    ]
)
_ENTRY = np.dtype([("model", "<i4"), ("rank", "<i4"), ("sums", "<i8", 6)])


@dataclass(frozen=True)
class History:
    """A voter's votes so far, all under one snapshot.

    Attributes:
        told: the levels told of `biased` and of `random`.
        snapshot: sequence number of the snapshot.
        votes: model_a, model_b, outcome of each.
    """

    told: tuple[int, int]
    snapshot: int
    votes: npt.NDArray[np.void]

    @classmethod
    def parse(cls, state: bytes | None) -> History | None:
        """The history in a state, None if it is none."""
        if state is None or state[:1] != _HISTORY:
            return None
        _, biased, random, snapshot = _HISTORY_HEAD.unpack_from(state)
        return cls((biased, random), snapshot, np.frombuffer(state, dtype=_PAST, offset=_HISTORY_HEAD.size))


def pack_histories(
    told: Int64, snapshot: int, votes: VoterVotes, outcome: npt.NDArray[np.int8], chosen: npt.NDArray[np.bool_]
) -> dict[int, bytes]:
    """States of the chosen voters as histories.

    Args:
        told: int64[v, 2], levels told.
        snapshot: the one that all the votes were judged by.
        votes: all votes of the voters, sorted by voter.
        outcome: int8[n], 0, 1 or 2.
        chosen: bool[v].

    Returns:
        Index of a voter → state. Empty if a model's number does not fit.
    """
    if max(votes.model_a.max(initial=0), votes.model_b.max(initial=0)) > np.iinfo(np.uint16).max:
        return {}
    past = np.zeros(len(votes.voter), dtype=_PAST)
    past["model_a"], past["model_b"], past["outcome"] = votes.model_a, votes.model_b, outcome
    raw, size = past.tobytes(), _PAST.itemsize
    ends = np.cumsum(np.bincount(votes.voter, minlength=len(told))).tolist()
    begins = [0, *ends[:-1]]
    levels = told.tolist()
    return {
        i: _HISTORY_HEAD.pack(_HISTORY, *levels[i], snapshot) + raw[size * begins[i] : size * ends[i]]
        for i in np.flatnonzero(chosen).tolist()
    }


@dataclass
class Tally:
    """Per voter of a call, arrays of length v.

    Attributes:
        votes, ties: votes that counted as evidence, and how many of them were ties.
        met: models met.
        told: int64[v, 2], the level told of `biased` and of `random`.
        generic: int64[v, 5], log-ratio sums of left, right, anti-rating, uniform, ties at random.
        total: int64[v], the target half of the e-value in units of 2⁻²⁴.
    """

    votes: Int64
    ties: Int64
    met: Int64
    told: Int64
    generic: Int64
    total: Int64


@dataclass
class Targets:
    """The models that the voters of a call have met, arrays of length m sorted by voter and rank.

    Attributes:
        voter: index of the voter.
        model: the store's number.
        rank: r, 1 for the first model the voter met.
        sums: int64[m, 6], log-ratio sums: promotes by each δ, then demotes by each δ.
        old: bool[m], met in an earlier call, so part of the e-value so far.
    """

    voter: Int64
    model: Int64
    rank: Int64
    sums: Int64
    old: npt.NDArray[np.bool_]

    def take(self, order: Int64) -> Targets:
        """The entries in another order."""
        return Targets(self.voter[order], self.model[order], self.rank[order], self.sums[order], self.old[order])


def unpack(states: Sequence[bytes | None]) -> tuple[Tally, Targets]:
    """Components → arrays. None is a voter not met before."""
    blank = bytes(_HEAD.itemsize)
    known = [blank if state is None else state[1:] for state in states]
    head = np.frombuffer(b"".join([s[: _HEAD.itemsize] for s in known]), dtype=_HEAD)
    entries = np.frombuffer(b"".join([s[_HEAD.itemsize :] for s in known]), dtype=_ENTRY)
    tally = Tally(*(head[name].astype(np.int64) for name in ("votes", "ties", "met", "told", "generic", "total")))
    voter = np.repeat(np.arange(len(known)), tally.met)
    model, rank, sums = (entries[name].astype(np.int64) for name in ("model", "rank", "sums"))
    return tally, Targets(voter, model, rank, sums, np.ones(len(voter), dtype=np.bool_))


def pack(tally: Tally, targets: Targets) -> list[bytes]:
    """Arrays → components, one state a voter."""
    head = np.zeros(len(tally.votes), dtype=_HEAD)
    for name in ("votes", "ties", "met", "told", "generic", "total"):
        head[name] = getattr(tally, name)
    entries = np.zeros(len(targets.voter), dtype=_ENTRY)
    for name in ("model", "rank", "sums"):
        entries[name] = getattr(targets, name)
    heads, body = head.tobytes(), entries.tobytes()
    ends = np.cumsum(tally.met) * _ENTRY.itemsize
    size = _HEAD.itemsize
    return [
        _COMPONENTS + heads[i * size : (i + 1) * size] + body[end - met * _ENTRY.itemsize : end]
        for i, (end, met) in enumerate(zip(ends.tolist(), tally.met.tolist(), strict=True))
    ]


def join_targets(votes: VoterVotes, targets: Targets, tally: Tally) -> tuple[Targets, Int64]:
    """Add the models that the voters meet for the first time, and say where each vote's models are.

    Of a vote's two models the one shown as a is met first. `tally.met` is brought up to date.

    Returns:
        The joined targets, and int64[2n]: the position in them of a and b of vote 0, of vote 1, …
    """
    voter = np.repeat(votes.voter, 2)
    model = np.stack([votes.model_a, votes.model_b], axis=1).ravel()
    width = int(max(model.max(initial=0), targets.model.max(initial=0))) + 1
    code, known = voter * width + model, targets.voter * width + targets.model
    fresh, first = np.unique(code, return_index=True)
    unmet = ~np.isin(fresh, known, assume_unique=True)
    first = np.sort(first[unmet])  # rows stand in the order of voter and vote
    new_voter = voter[first]
    rank = _rank_within(new_voter) + tally.met[new_voter]
    tally.met = tally.met + np.bincount(new_voter, minlength=len(tally.met))
    joined = Targets(
        np.concatenate([targets.voter, new_voter]),
        np.concatenate([targets.model, model[first]]),
        np.concatenate([targets.rank, rank]),
        np.concatenate([targets.sums, np.zeros((len(first), 6), dtype=np.int64)]),
        np.concatenate([targets.old, np.zeros(len(first), dtype=np.bool_)]),
    )
    joined = joined.take(np.lexsort((joined.rank, joined.voter)))
    codes = joined.voter * width + joined.model
    by_code = np.argsort(codes)
    return joined, by_code[np.searchsorted(codes, code, sorter=by_code)]


def _rank_within(group: npt.NDArray[np.int64]) -> Int64:
    """1, 2, 3 … within each run of equal values."""
    index = np.arange(len(group))
    first = index[starts(group)] if len(group) else index
    return index - np.repeat(first, np.diff(np.append(first, len(group)))) + 1
