"""Packs and unpacks the components of a voter's state: the sums over the votes that are no longer kept one by one.

The components are between the head of the state and the pending votes (`state_codec`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.detectors.voter.voter_bias.cell_counts import ProviderCells
from pipeline.detectors.voter.voter_bias.state_codec import COMPONENTS, COMPONENTS_HEAD, LONG_HEAD, PENDING_SIZE
from pipeline.detectors.voter.voter_bias.target_models import FoldedSums, TargetModels
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.packing import read_records

_MAX_VOTES = np.iinfo(np.uint16).max
# Sums of an entry are limited to ±2,047 nats: e^−2047 is 0, and at e^2047 every level was emitted.
_MAX_SUM = np.iinfo(np.int32).max
_OLD_COMPONENTS = ord("C")

_FOLDED = np.dtype([("generic", "<i8", 3), ("total", "<i8")])
_OLD_ENTRY = np.dtype([("model", "<i4"), ("rank", "<u2"), ("votes", "<u2"), ("sums", "<i4", 6)])
_CELL = [("outcomes", "<u2", 3), ("chances", "<u4", 5)]
_ENTRY = np.dtype([*((name, _OLD_ENTRY[name]) for name in _OLD_ENTRY.names or ()), *_CELL])
_PROVIDER = np.dtype([("provider", "<i4"), *_CELL])


def upgrade_states(states: Sequence[bytes | None]) -> Sequence[bytes | None]:
    """Return packed states in the present form. If a state is of an earlier version, its cells get the counts 0."""
    if not any(s is not None and s[0] == _OLD_COMPONENTS for s in states):
        return states
    return [s if s is None or s[0] != _OLD_COMPONENTS else _upgrade(s) for s in states]


def _upgrade(state: bytes) -> bytes:
    head = np.frombuffer(state[:COMPONENTS_HEAD], dtype=LONG_HEAD)
    first = COMPONENTS_HEAD + _FOLDED.itemsize
    end = first + int(head["met"][0]) * _OLD_ENTRY.itemsize
    old = np.frombuffer(state[first:end], dtype=_OLD_ENTRY)
    entries = np.zeros(len(old), dtype=_ENTRY)
    for name in _OLD_ENTRY.names or ():
        entries[name] = old[name]
    return bytes([COMPONENTS]) + state[1:first] + entries.tobytes() + state[end:]


def unpack_components(states: Sequence[bytes | None]) -> tuple[FoldedSums, TargetModels, ProviderCells]:
    """Read the components of packed states.

    The components replace a voter's older votes, which were added to sums and dropped (folded). A voter whose votes are
    all kept has no components, and neither has a new voter. The sums of such a voter are 0, and the voter has no models
    and no providers.

    Args:
        states: the packed states; None stands for a new voter.

    Returns:
        Three values: the sums over the folded votes of each voter; the models that the voters have met; and the cells
            of providers.
    """
    m, size = len(states), LONG_HEAD.itemsize
    sums = FoldedSums(np.zeros(m, dtype=np.int64), np.zeros((m, 3), dtype=np.int64), np.zeros(m, dtype=np.int64))
    rows = [i for i, s in enumerate(states) if s is not None and s[0] == COMPONENTS]
    known = [states[i] or b"" for i in rows]
    folded, heads = (read_records(dtype, [s[a:b] for s in known]) for dtype, a, b in _PARTS)
    sums.met[rows] = heads["met"]
    sums.generic[rows], sums.total[rows] = folded["generic"], folded["total"]
    first = size + _FOLDED.itemsize
    ends = (first + sums.met[rows] * _ENTRY.itemsize).tolist()
    entries = read_records(_ENTRY, [s[first:end] for s, end in zip(known, ends, strict=True)])
    model, rank, cast, of_model = (entries[name].astype(np.int64) for name in ("model", "rank", "votes", "sums"))
    targets = TargetModels(np.repeat(np.arange(m), sums.met), model, rank, cast, of_model, _unpack_cells(entries))
    closes = [len(s) - PENDING_SIZE * pending for s, pending in zip(known, heads["pending"].tolist(), strict=True)]
    found = read_records(_PROVIDER, [s[end:close] for s, end, close in zip(known, ends, closes, strict=True)])
    counts = [(close - end) // _PROVIDER.itemsize for end, close in zip(ends, closes, strict=True)]
    owner = np.repeat(np.array(rows, dtype=np.int64), counts)
    return sums, targets, ProviderCells(owner, found["provider"].astype(np.int64), _unpack_cells(found))


_PARTS = ((_FOLDED, LONG_HEAD.itemsize, LONG_HEAD.itemsize + _FOLDED.itemsize), (LONG_HEAD, 0, LONG_HEAD.itemsize))


def pack_components(folded: FoldedSums, targets: TargetModels, providers: ProviderCells) -> list[bytes]:
    """Pack each voter's components: the bytes between the head and the pending votes of a state.

    Args:
        folded: the sums over the older votes of each voter.
        targets: the models that the voters have met, sorted by voter.
        providers: the cells of providers, sorted by voter.
    """
    sums = np.zeros(len(folded.met), dtype=_FOLDED)
    sums["generic"], sums["total"] = folded.generic, folded.total
    entries = np.zeros(len(targets.voter), dtype=_ENTRY)
    entries["model"], entries["rank"] = targets.model, targets.rank
    entries["sums"] = np.clip(targets.sums, -_MAX_SUM, _MAX_SUM)
    entries["votes"] = np.minimum(targets.votes, _MAX_VOTES)
    _pack_cells(targets.cells, entries)
    beside = np.zeros(len(providers.voter), dtype=_PROVIDER)
    beside["provider"] = providers.provider
    _pack_cells(providers.counts, beside)
    heads, body, tail = sums.tobytes(), entries.tobytes(), beside.tobytes()
    ends = np.cumsum(folded.met) * _ENTRY.itemsize
    edges = np.searchsorted(providers.voter, np.arange(len(folded.met) + 1)) * _PROVIDER.itemsize
    size = _FOLDED.itemsize
    return [
        heads[i * size : (i + 1) * size] + body[end - met * _ENTRY.itemsize : end] + tail[edges[i] : edges[i + 1]]
        for i, (end, met) in enumerate(zip(ends.tolist(), folded.met.tolist(), strict=True))
    ]


def _unpack_cells(entries: Any) -> Int64:
    return np.concatenate([entries["outcomes"].astype(np.int64), entries["chances"].astype(np.int64)], axis=1)


def _pack_cells(counts: Int64, into: Any) -> None:
    """Write the counts of each cell into the entry of the cell in `into`.

    An entry has 16 bits for the number of votes with each outcome. If one of these numbers does not fit, zeros are
    written for all counts of the cell.
    """
    full = counts[:, :3].max(axis=1, initial=0) > _MAX_VOTES
    kept = np.where(full[:, None], 0, counts)
    into["outcomes"], into["chances"] = kept[:, :3], kept[:, 3:]
