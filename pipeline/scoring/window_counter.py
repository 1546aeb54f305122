"""Counts votes into five-minute windows, one set of counts per window and partition.

A window's counts are an int64 array with one row per (kind, group, model):

    kind 0   group: the cohort of the voter's account     model: each model of a vote
    kind 1   group: the network, 32 bits of its hash      model: each model of a vote
    kind 2   group: the prompt, 32 bits of its hash       model: each model of a vote
    kind 3   group: the network                           model: 0; `appearances` is the number of votes

and the columns of MEASURES (`pipeline.scoring.window`). Groups are hashes: numbers depend on the order of arrival.

A late vote of a stream counts in the window of its partition's newest event time (`fate.window_times`), with its
outcome alone: whom it met says nothing about the sampling of that time.

Laws: addition is exact, in any order and grouping. Kinds 1 and 2 have at most MAX_ROWS rows; with more, their hashes
are shortened to the most bits that give few enough rows. That number of bits depends on the votes alone, since further
votes never allow more bits: shortening early gives the same as shortening at the end.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipeline.events import VoteBatch
from pipeline.evidence import Reference
from pipeline.scoring.window import MEASURES
from pipeline.vocabulary.arrays import Bool, Int8, Int64, UInt8
from pipeline.vocabulary.fates import LATE, QUARANTINED
from pipeline.vocabulary.time import DAY, MINUTE, NO_TIME

WINDOW_WIDTH = 5 * MINUTE
"""Microseconds of a window."""

NEW_ACCOUNT = 7 * DAY
"""Microseconds for which an account counts as new."""

COLUMNS = ("kind", "group", "model", *MEASURES)
COHORT, NETWORK, PROMPT, TRAFFIC = range(4)

MAX_ROWS = 2_048
"""Rows of one kind in one window and partition: some 25 KB each, compressed."""

HASH_BITS = (32, 16, 12, 10, 8, 6, 4, 2, 0)
"""Bits to which hashes are shortened, in this order. The column `kind` stores kind + 4 · position here."""


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """Counts of one window in one partition.

    Attributes:
        start: microseconds since 1970 UTC, a multiple of WINDOW_WIDTH.
        partition: the store's number of the partition.
        accepted: number of votes that count with every measure.
        late: number of votes that count with their outcome alone.
        counts: int64[rows, 12] in the order of COLUMNS, sorted by (kind, group, model).
    """

    start: int
    partition: int
    accepted: int
    late: int
    counts: Int64


@dataclass(frozen=True, slots=True)
class WindowVotes:
    """Votes to be counted into windows, arrays of length n.

    Attributes:
        partition, outcome: as in `VoteBatch`.
        at: the time whose window counts the vote.
        late: whether the vote was cast before its window: it then counts neither as an appearance nor with its side.
        models: int64[n, 2], the store's numbers of model a and b.
        side: bit 0 of SHA-256(vote_id).
        cohort: a position in COHORTS.
        network: `network_hash` of the network's name, −1 without a network.
        prompt: 32 bits of the prompt's hash, −1 without a prompt.
    """

    partition: Int64
    at: Int64
    late: Bool
    models: Int64
    outcome: Int8
    side: UInt8
    cohort: Int64
    network: Int64
    prompt: Int64


def window_start(time: Int64) -> Int64:
    """Return the start of the window that contains each time."""
    return time - time % WINDOW_WIDTH


def account_cohorts(cast_at: Int64, voter_since: Int64) -> Int64:
    """Return positions in COHORTS: unknown without a date of the account, new up to NEW_ACCOUNT before the vote."""
    age = np.where(voter_since == NO_TIME, 0, cast_at - voter_since)
    return np.where(voter_since == NO_TIME, 0, np.where(age <= NEW_ACCOUNT, 2, 1))


@lru_cache(maxsize=100_000)
def network_hash(name: str) -> int:
    """Return the first 32 bits of SHA-256 of a network's name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def count_batch(
    batch: VoteBatch, models: Int64, fate: Int8, times: Int64, reference: Reference | None
) -> list[WindowCounts]:
    """Return the counts of a batch's new votes. Quarantined votes belong to no window.

    Args:
        times: time of each vote, from `fate.window_times`.
        models: int64[n, 2], the store's numbers of model a and b.
        reference: as in `count_votes`.
    """
    rows = np.flatnonzero(fate != QUARANTINED)
    networks = [-1 if name is None else network_hash(name) for name in batch.network]
    prompt = np.where(batch.prompt == 0, -1, batch.prompt & 0xFFFFFFFF)
    votes = WindowVotes(
        batch.partition[rows].astype(np.int64),
        times[rows],
        (fate[rows] == LATE) & ~batch.of_file[rows],
        models[rows],
        batch.outcome[rows],
        batch.side[rows],
        account_cohorts(batch.cast_at[rows], batch.voter_since[rows]),
        np.array(networks, dtype=np.int64)[rows],
        prompt[rows],
    )
    return count_votes(votes, reference)


def count_votes(votes: WindowVotes, reference: Reference | None) -> list[WindowCounts]:
    """Return the counts of votes per (window, partition).

    Args:
        votes: n votes.
        reference: gives the expected wins; None before the first snapshot, when no vote is evaluated.
    """
    if not len(votes.at):
        return []
    starts, window = _windows(window_start(votes.at), votes.partition)
    late = np.bincount(window, weights=votes.late, minlength=len(starts)).astype(np.int64)
    accepted = np.bincount(window, minlength=len(starts)) - late
    place, rows = _rows(votes, window, reference)
    summed_place, summed = _sum(rows, place)
    cuts = np.searchsorted(summed_place, np.arange(len(starts) + 1))
    return [
        WindowCounts(int(start), int(part), int(accepted[i]), int(late[i]), _shortened(summed[cuts[i] : cuts[i + 1]]))
        for i, (start, part) in enumerate(starts)
    ]


def add_counts(*counts: Int64) -> Int64:
    """Return the sum of the given counts, with one row per (kind, group, model)."""
    return _shortened(_sum(np.concatenate(counts))[1])


def _windows(start: Int64, partition: Int64) -> tuple[list[tuple[int, int]], Int64]:
    """Return the distinct (start, partition), sorted; and the position of each vote among them."""
    parts, part = np.unique(partition, return_inverse=True)
    codes, window = np.unique(start // WINDOW_WIDTH * len(parts) + part, return_inverse=True)
    distinct = zip((codes // len(parts) * WINDOW_WIDTH).tolist(), parts[codes % len(parts)].tolist(), strict=True)
    return list(distinct), window


def _rows(votes: WindowVotes, window: Int64, reference: Reference | None) -> tuple[Int64, Int64]:
    """Return the rows before summing, one per vote, kind and model; and the window of each row."""
    measures = _measures(votes, reference)
    model = votes.models.T.ravel()
    twice = np.tile(np.arange(len(votes.at)), 2)
    places, parts = [], []
    for kind, group in ((COHORT, votes.cohort), (NETWORK, votes.network), (PROMPT, votes.prompt)):
        known = np.flatnonzero(group[twice] >= 0)
        places.append(window[twice[known]])
        parts.append(np.column_stack([np.full(len(known), kind), group[twice[known]], model[known], measures[known]]))
    networked = np.flatnonzero((votes.network >= 0) & ~votes.late)
    traffic = np.zeros((len(networked), len(COLUMNS)), dtype=np.int64)
    traffic[:, 0], traffic[:, 1], traffic[:, 3] = TRAFFIC, votes.network[networked], 1
    return np.concatenate([*places, window[networked]]), np.concatenate([*parts, traffic])


def _measures(votes: WindowVotes, reference: Reference | None) -> Int64:
    """Return int64[2n, 9]: the measures of model a of every vote, then of model b."""
    outcome, side, on_time = votes.outcome, votes.side, ~votes.late
    n = len(outcome)
    rows = np.zeros((2 * n, len(MEASURES)), dtype=np.int64)
    rows[:, 0] = np.concatenate([on_time, on_time])
    rows[:, 1] = np.concatenate([on_time & (side == 0), on_time & (side == 1)])
    won = np.stack([outcome == 0, outcome == 1])
    rows[:, 2], rows[:, 3] = won.ravel(), won[::-1].ravel()
    if reference is not None:
        a, b = (reference.index_of(votes.models[:, i]) for i in (0, 1))
        evaluated = np.flatnonzero((a >= 0) & (b >= 0))
        both = np.concatenate([evaluated, evaluated + n])
        rows[both, 4] = 1
        rows[both, 5:7] = rows[both, 2:4]
        expected = np.stack(
            [reference.expected_wins[a[evaluated], b[evaluated]], reference.expected_wins[b[evaluated], a[evaluated]]]
        )
        rows[both, 7], rows[both, 8] = expected.ravel(), expected[::-1].ravel()
    return rows


def _sum(rows: Int64, place: Int64 | None = None) -> tuple[Int64, Int64]:
    """Return the sums of the rows of equal place, kind, group and model, sorted by these four."""
    if place is None:
        place = np.zeros(len(rows), dtype=np.int64)
    if not len(rows):
        return place, rows
    order = _order(place, rows)
    ordered, where = rows[order], place[order]
    new = np.ones(len(rows), dtype=np.bool_)
    new[1:] = (ordered[1:, :3] != ordered[:-1, :3]).any(axis=1) | (where[1:] != where[:-1])
    first = np.flatnonzero(new)
    summed = np.add.reduceat(ordered, first, axis=0)
    summed[:, :3] = ordered[first, :3]
    return where[first], summed


def _order(place: Int64, rows: Int64) -> Int64:
    """Return the order by place, kind, group and model, sorted as one number where they fit (three times as fast)."""
    kinds, groups, models = (int(rows[:, i].max()) + 1 for i in range(3))
    if (int(place.max()) + 1) * kinds * groups * models >= 2**63:
        return np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0], place))
    return np.argsort(((place * kinds + rows[:, 0]) * groups + rows[:, 1]) * models + rows[:, 2], kind="stable")


def _shortened(rows: Int64) -> Int64:
    """Return the rows with each kind's hashes shortened to the most bits that give at most MAX_ROWS rows."""
    if len(rows) <= MAX_ROWS and (rows[:, 0] < 4).all():
        return rows
    parts = [_shortened_kind(rows[rows[:, 0] & 3 == kind], kind) for kind in range(4)]
    return np.concatenate(parts)


def _shortened_kind(rows: Int64, kind: int) -> Int64:
    if kind not in (NETWORK, PROMPT) or not len(rows):
        return rows
    for place in range(int(rows[:, 0].max()) >> 2, len(HASH_BITS)):
        short = rows.copy()
        short[:, 0], short[:, 1] = kind + 4 * place, rows[:, 1] & ((1 << HASH_BITS[place]) - 1)
        short = _sum(short)[1]
        if len(short) <= MAX_ROWS:
            break
    return short
