"""Five-minute windows as arrays: what anything about a model reads instead of votes.

A window's counts are an int64 array, one row a (kind, group, model):

    kind 0   group: the cohort of the voter's account     model: each model of a vote
    kind 1   group: the network, 32 bits of its hash      model: each model of a vote
    kind 2   group: the prompt, 32 bits of its hash       model: each model of a vote
    kind 3   group: the network                           model: 0; `appearances` are its votes

and the columns of MEASURES (`pipeline.scoring.signals`). Hashes, and not the store's numbers, because numbers depend on
who came first.

Laws: adding is exact in any order and any grouping. Kinds 1 and 2 hold at most MOST rows: where there are more, hashes
are cut to fewer bits, as many as fit. Which bits remain depends on the votes alone: more rows never fit where fewer do
not, so a cut that is made early is one that would have been made at the end.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipeline.evidence import Reference
from pipeline.scoring.signals import COHORTS, MEASURES, Cells, Window
from pipeline.vocabulary.arrays import Bool, Int8, Int64, UInt8
from pipeline.vocabulary.time import DAY, MINUTE, NO_TIME

WIDTH = 5 * MINUTE
"""Microseconds of a window."""

NEW_ACCOUNT = 7 * DAY
"""Microseconds for which an account counts as new."""

COLUMNS = ("kind", "group", "model", *MEASURES)
COHORT, NETWORK, PROMPT, TRAFFIC = range(4)

MOST = 2_048
"""Rows of one kind in one window and partition: some 25 KB of each, compressed."""

# Bits of a hash that are kept, from all to none. The column `kind` holds kind + 4 · position here.
_BITS = (32, 16, 12, 10, 8, 6, 4, 2, 0)


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """Counts of one window in one partition.

    Attributes:
        start: microseconds since 1970 UTC, a multiple of WIDTH.
        partition: the store's number.
        accepted, late: votes.
        counts: int64[rows, 12] in the order of COLUMNS, sorted by (kind, group, model), accepted votes only.
    """

    start: int
    partition: int
    accepted: int
    late: int
    counts: Int64


@dataclass(frozen=True, slots=True)
class Counted:
    """Votes to be counted, arrays of length n.

    Attributes:
        partition, cast_at, outcome: of each vote.
        late: the vote counts in no row, only as late.
        models: int64[n, 2], the store's numbers of a and b.
        side: bit 0 of SHA-256(vote_id).
        cohort: a position in COHORTS.
        network: `group_of` its name, −1 where there is none.
        prompt: 32 bits of its hash, −1 where there is none.
    """

    partition: Int64
    cast_at: Int64
    late: Bool
    models: Int64
    outcome: Int8
    side: UInt8
    cohort: Int64
    network: Int64
    prompt: Int64


def start_of(time: Int64) -> Int64:
    """The start of the window that each time falls into."""
    return time - time % WIDTH


def cohorts(cast_at: Int64, voter_since: Int64) -> Int64:
    """Positions in COHORTS: an account without a date is unknown, of at most 7 days new."""
    age = np.where(voter_since == NO_TIME, 0, cast_at - voter_since)
    return np.where(voter_since == NO_TIME, 0, np.where(age <= NEW_ACCOUNT, 2, 1))


@lru_cache(maxsize=100_000)
def group_of(name: str) -> int:
    """The 32 bits that stand for a network's name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def count(votes: Counted, reference: Reference | None) -> list[WindowCounts]:
    """Counts per (window, partition).

    Args:
        votes: n votes.
        reference: of the snapshot in force, for what it expects; None before the first: no vote is judged.
    """
    if not len(votes.cast_at):
        return []
    starts, window = _windows(start_of(votes.cast_at), votes.partition)
    late = np.bincount(window, weights=votes.late, minlength=len(starts)).astype(np.int64)
    accepted = np.bincount(window, minlength=len(starts)) - late
    place, rows = _rows(votes, window, reference)
    summed_place, summed = _sum(rows, place)
    cuts = np.searchsorted(summed_place, np.arange(len(starts) + 1))
    return [
        WindowCounts(int(start), int(part), int(accepted[i]), int(late[i]), _folded(summed[cuts[i] : cuts[i + 1]]))
        for i, (start, part) in enumerate(starts)
    ]


def _windows(start: Int64, partition: Int64) -> tuple[list[tuple[int, int]], Int64]:
    """The (start, partition) that there are, sorted, and which of them each vote belongs to."""
    parts, part = np.unique(partition, return_inverse=True)
    codes, window = np.unique(start // WIDTH * len(parts) + part, return_inverse=True)
    there = zip((codes // len(parts) * WIDTH).tolist(), parts[codes % len(parts)].tolist(), strict=True)
    return list(there), window


def _rows(votes: Counted, window: Int64, reference: Reference | None) -> tuple[Int64, Int64]:
    """A row for every vote, kind and model; unsummed, with the window that each belongs to."""
    kept = np.flatnonzero(~votes.late)
    measures = _measures(votes, kept, reference)
    model = votes.models[kept].T.ravel()
    twice = np.concatenate([kept, kept])
    places, parts = [], []
    for kind, group in ((COHORT, votes.cohort), (NETWORK, votes.network), (PROMPT, votes.prompt)):
        mine = np.flatnonzero(group[twice] >= 0)
        places.append(window[twice[mine]])
        parts.append(np.column_stack([np.full(len(mine), kind), group[twice[mine]], model[mine], measures[mine]]))
    known = kept[votes.network[kept] >= 0]
    traffic = np.zeros((len(known), len(COLUMNS)), dtype=np.int64)
    traffic[:, 0], traffic[:, 1], traffic[:, 3] = TRAFFIC, votes.network[known], 1
    return np.concatenate([*places, window[known]]), np.concatenate([*parts, traffic])


def _measures(votes: Counted, kept: Int64, reference: Reference | None) -> Int64:
    """int64[2n, 9]: what each vote says of model a, then of model b."""
    outcome, side = votes.outcome[kept], votes.side[kept]
    n = len(kept)
    rows = np.zeros((2 * n, len(MEASURES)), dtype=np.int64)
    rows[:, 0] = 1
    rows[:, 1] = np.concatenate([side == 0, side == 1])
    won = np.stack([outcome == 0, outcome == 1])
    rows[:, 2], rows[:, 3] = won.ravel(), won[::-1].ravel()
    if reference is not None:
        a, b = (reference.index_of(votes.models[kept, i]) for i in (0, 1))
        judged = np.flatnonzero((a >= 0) & (b >= 0))
        both = np.concatenate([judged, judged + n])
        rows[both, 4] = 1
        rows[both, 5:7] = rows[both, 2:4]
        expected = np.stack([reference.wins[a[judged], b[judged]], reference.wins[b[judged], a[judged]]])
        rows[both, 7], rows[both, 8] = expected.ravel(), expected[::-1].ravel()
    return rows


def _sum(rows: Int64, place: Int64 | None = None) -> tuple[Int64, Int64]:
    """Rows of one place, kind, group and model as one, sorted."""
    if place is None:
        place = np.zeros(len(rows), dtype=np.int64)
    if not len(rows):
        return place, rows
    order = _order(place, rows)
    ordered, where = rows[order], place[order]
    fresh = np.ones(len(rows), dtype=np.bool_)
    fresh[1:] = (ordered[1:, :3] != ordered[:-1, :3]).any(axis=1) | (where[1:] != where[:-1])
    first = np.flatnonzero(fresh)
    summed = np.add.reduceat(ordered, first, axis=0)
    summed[:, :3] = ordered[first, :3]
    return where[first], summed


def _order(place: Int64, rows: Int64) -> Int64:
    """Sorts rows by place, kind, group and model; as one number where that fits, which sorts three times as fast."""
    kinds, groups, models = (int(rows[:, i].max()) + 1 for i in range(3))
    if (int(place.max()) + 1) * kinds * groups * models >= 2**63:
        return np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0], place))
    return np.argsort(((place * kinds + rows[:, 0]) * groups + rows[:, 1]) * models + rows[:, 2], kind="stable")


def add(*counts: Int64) -> Int64:
    """The sum of counts, one row a (kind, group, model)."""
    return _folded(_sum(np.concatenate(counts))[1])


def _folded(rows: Int64) -> Int64:
    """With the hashes of each kind cut to as many bits as give at most MOST rows."""
    if len(rows) <= MOST and (rows[:, 0] < 4).all():
        return rows
    parts = [_fold(rows[rows[:, 0] & 3 == kind], kind) for kind in range(4)]
    return np.concatenate(parts)


def _fold(rows: Int64, kind: int) -> Int64:
    if kind not in (NETWORK, PROMPT) or not len(rows):
        return rows
    for place in range(int(rows[:, 0].max()) >> 2, len(_BITS)):
        cut = rows.copy()
        cut[:, 0], cut[:, 1] = kind + 4 * place, rows[:, 1] & ((1 << _BITS[place]) - 1)
        cut = _sum(cut)[1]
        if len(cut) <= MOST:
            break
    return cut


_NOTHING = Cells((), (), np.zeros((0, len(MEASURES)), dtype=np.int64))


def merged(
    start: int,
    parts: Sequence[WindowCounts],
    models: Mapping[int, str],
    networks: Mapping[int, str],
    key: Mapping[str, str],
) -> Window:
    """A window over all partitions, as detectors see it.

    Args:
        start: of the window.
        parts: its counts in each partition; none where no vote came.
        models: number → name.
        networks: `group_of` a name → the name; a hash without one stands for itself.
        key: a later name of a model → its first name, whose votes they are.
    """
    if not parts:
        return Window(start, start + WIDTH, 0, 0, (), _NOTHING.counts, _NOTHING, _NOTHING, _NOTHING, {})
    rows = parts[0].counts if len(parts) == 1 else add(*(part.counts for part in parts))
    kinds = rows[:, 0] & 3
    traffic = rows[kinds == TRAFFIC][:, [1, 3]].tolist()
    votes_of = {networks.get(group, f"{group:08x}"): votes for group, votes in traffic}
    cells = {kind: _cells(rows[kinds == kind], models, networks, key) for kind in (COHORT, NETWORK, PROMPT)}
    together = _by_name([("", name) for name in cells[COHORT].model], cells[COHORT].counts)
    return Window(
        start,
        start + WIDTH,
        sum(part.accepted for part in parts),
        sum(part.late for part in parts),
        together.model,
        together.counts,
        cells[COHORT],
        cells[NETWORK],
        cells[PROMPT],
        votes_of,
    )


def _cells(rows: Int64, models: Mapping[int, str], networks: Mapping[int, str], key: Mapping[str, str]) -> Cells:
    groups = [_group(kind & 3, kind >> 2, group, networks) for kind, group in rows[:, :2].tolist()]
    names = [models[number] for number in rows[:, 2].tolist()]
    if key:
        names = [key.get(name, name) for name in names]
    return _by_name(list(zip(groups, names, strict=True)), rows[:, 3:])


def _by_name(names: list[tuple[str, str]], counts: Int64) -> Cells:
    """Rows of equal (group, model) as one, sorted by name: numbers depend on who came first."""
    place = {name: i for i, name in enumerate(sorted(set(names)))}
    table = np.zeros((len(place), len(MEASURES)), dtype=np.int64)
    np.add.at(table, [place[name] for name in names], counts)
    return Cells(tuple(group for group, _ in place), tuple(model for _, model in place), table)


def _group(kind: int, place: int, group: int, networks: Mapping[int, str]) -> str:
    if kind == COHORT:
        return COHORTS[group]
    if place:
        return f"{group:x}/{_BITS[place]}"  # the hashes that end in these bits
    return networks.get(group, f"{group:08x}") if kind == NETWORK else f"{group:08x}"


# Types of kind, group, model, the seven counts and the two expectations; the first line that is wide enough is used.
_LAYOUTS = (("u1", "<u4", "<u2", "u1", "<u2"), ("u1", "<u4", "<u4", "<u4", "<u4"), ("u1", "<u4", "<u4", "<i8", "<i8"))
_PARTS = (slice(0, 1), slice(1, 2), slice(2, 3), slice(3, 10), slice(10, 12))


def pack(counts: Int64) -> bytes:
    """Counts as compressed bytes: one for the layout, then the columns, which compress better than rows.

    A window of a quiet hour is some hundred bytes: setting up the usual 32 KB of state would cost more than it saves.
    """
    columns = counts.T
    highest = [int(columns[part].max(initial=0)) for part in _PARTS]
    layout = next(i for i, kinds in enumerate(_LAYOUTS) if all(map(_fits, highest, kinds)))
    body = b"".join(columns[part].astype(kind).tobytes() for part, kind in zip(_PARTS, _LAYOUTS[layout], strict=True))
    squeeze = zlib.compressobj(1, zlib.DEFLATED, 12, 5)
    return b"%d" % layout + squeeze.compress(body) + squeeze.flush()


@lru_cache(maxsize=1024)
def _fits(value: int, kind: str) -> bool:
    return value <= int(np.iinfo(kind).max)


def unpack(raw: bytes) -> Int64:
    """The counts of `pack`."""
    body, kinds = zlib.decompress(raw[1:]), _LAYOUTS[int(raw[:1])]
    widths = [np.dtype(kind).itemsize * (part.stop - part.start) for part, kind in zip(_PARTS, kinds, strict=True)]
    rows = len(body) // sum(widths)
    counts, at = np.empty((rows, len(COLUMNS)), dtype=np.int64), 0
    for part, kind, width in zip(_PARTS, kinds, widths, strict=True):
        column = np.frombuffer(body, dtype=kind, count=rows * (part.stop - part.start), offset=at)
        counts[:, part] = column.reshape(-1, rows).T if rows else 0
        at += rows * width
    return counts
