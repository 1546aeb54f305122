"""Counts votes into five-minute windows, one set of counts per window and partition.

A window's counts are an int64 array with one row per (kind, group, model):

    kind 0   group: the cohort of the voter's account     model: each model of a vote
    kind 1   group: the network, 32 bits of its hash      model: each model of a vote
    kind 2   group: the prompt, 32 bits of its hash       model: each model of a vote
    kind 3   group: the network                           model: 0; `appearances` is the number of votes

The columns after these three are MEASURES (`pipeline.scoring.window`). Networks and prompts are identified by hashes.
Consecutive numbers would depend on the order of arrival. In addition to these rows, the voters of a window are stored,
so that sittings can be counted (`scoring.sittings`).

A late vote of a stream counts in the window of its partition's newest event time (`fate.window_times`). Such a vote
counts neither in `appearances` nor in `chosen`, because its models were drawn at an earlier time.

Counts can be added in any order and grouping with the same result. Kinds 1 and 2 have at most MAX_ROWS rows each.
If there are more rows, the hashes of the kind are shortened to the largest number of bits that gives at most MAX_ROWS
rows. More votes never allow a larger number of bits, so shortening during the count gives the same counts as shortening
at its end.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipeline.events import VoteBatch
from pipeline.evidence import Reference
from pipeline.scoring.row_sums import sort_keys, sum_groups, sum_rows
from pipeline.scoring.sittings import WindowVoters, count_voters, voter_number
from pipeline.scoring.window import MEASURES, NEW_ACCOUNT
from pipeline.vocabulary.arrays import Bool, Int8, Int64, UInt8
from pipeline.vocabulary.fates import LATE, QUARANTINED
from pipeline.vocabulary.time import MINUTE, NO_TIME

WINDOW_WIDTH = 5 * MINUTE
"""Length of a window in microseconds."""

COLUMNS = ("kind", "group", "model", *MEASURES)
COHORT, NETWORK, PROMPT, TRAFFIC = range(4)

MAX_ROWS = 2_048
"""Largest number of rows of one kind in one window and partition. This many rows have about 25 KB when compressed."""

HASH_BITS = (32, 16, 12, 10, 8, 6, 4, 2, 0)
"""Numbers of bits to which hashes are shortened, largest first.

If the hashes of a row have HASH_BITS[i] bits, 4 · i is added to the kind of the row in stored counts."""


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """The counts of one window in one partition.

    Attributes:
        start: start of the window in microseconds since 1970 UTC, a multiple of WINDOW_WIDTH.
        partition: partition number (partition_no).
        accepted: number of votes that count in every measure.
        late: number of late votes, which count in every measure except `appearances` and `chosen`.
        counts: int64[rows, 12] in the order of COLUMNS, sorted by (kind, group, model).
        voters: the voters of the votes that are not late; None if voters were not counted.
    """

    start: int
    partition: int
    accepted: int
    late: int
    counts: Int64
    voters: WindowVoters | None = None


@dataclass(frozen=True, slots=True)
class WindowVotes:
    """Votes to be counted into windows: arrays of length n.

    Attributes:
        partition: partition number (partition_no) of each vote.
        at: time of each vote in microseconds since 1970 UTC; the vote counts in the window with this time.
        late: whether the vote is a late vote of a stream. Late votes count neither in `appearances` nor in `chosen`.
        models: int64[n, 2], model numbers (model_no) of model a and b.
        outcome: int8[n], a position in OUTCOMES.
        side: bit 0 of SHA-256(vote_id): the vote counts in `chosen` for model a if it is 0, for model b if it is 1.
        cohort: a position in COHORTS.
        network: `network_hash` of the network's name, −1 without a network.
        prompt: 32 bits of the prompt's hash, −1 without a prompt.
        voter: the number of each vote's voter (`voter_number`), 0 without a voter; None if voters are not counted.
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
    voter: Int64 | None = None


def window_start(time: Int64) -> Int64:
    """Return the start of the window that contains each time. Both are in microseconds since 1970 UTC."""
    return time - time % WINDOW_WIDTH


def account_cohorts(cast_at: Int64, voter_since: Int64) -> Int64:
    """Return int64[n], the cohort of each vote as a position in COHORTS.

    Args:
        cast_at: int64[n], when the vote was cast, microseconds since 1970 UTC.
        voter_since: int64[n], when the voter's account was made, in microseconds since 1970 UTC; NO_TIME gives the
            cohort `unknown`.
    """
    age = np.where(voter_since == NO_TIME, 0, cast_at - voter_since)
    return np.where(voter_since == NO_TIME, 0, np.where(age <= NEW_ACCOUNT, 2, 1))


@lru_cache(maxsize=100_000)
def network_hash(name: str) -> int:
    """Return the first 32 bits of the SHA-256 of a network's name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def count_batch(
    batch: VoteBatch, models: Int64, fate: Int8, times: Int64, reference: Reference | None
) -> list[WindowCounts]:
    """Return the counts of a batch's votes, one item for each window and partition that has votes.

    Quarantined votes are not counted. Votes that the rating method of the snapshot in force leaves out are not counted
    either. The snapshot in force is the published snapshot with which these votes are compared.

    Args:
        batch: votes without duplicates.
        models: int64[n, 2], model numbers (model_no) of model a and b.
        fate: int8[n], fate of each vote.
        times: int64[n], the time whose window each vote counts in, from `fate.window_times`.
        reference: reference of the snapshot in force, None before the first snapshot.
    """
    counted = fate != QUARANTINED
    rows = np.flatnonzero(counted if reference is None else counted & (batch.flags & reference.left_out == 0))
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
        np.where(batch.has_voter, voter_number(batch.voter), 0)[rows],
    )
    return count_votes(votes, reference)


def count_votes(votes: WindowVotes, reference: Reference | None) -> list[WindowCounts]:
    """Return the counts of votes, one item for each window and partition that has votes.

    Args:
        votes: the votes to be counted.
        reference: reference of the snapshot in force, which gives the expected wins. If it is None, the measures of
            evaluated votes are 0.
    """
    if not len(votes.at):
        return []
    starts, window = _windows(window_start(votes.at), votes.partition)
    late = np.bincount(window, weights=votes.late, minlength=len(starts)).astype(np.int64)
    accepted = np.bincount(window, minlength=len(starts)) - late
    summed_place, summed = _count_groups(votes, window, reference)
    cuts = np.searchsorted(summed_place, np.arange(len(starts) + 1))
    voters = _voters(votes, window, len(starts))
    return [
        WindowCounts(
            int(start), int(part), int(accepted[i]), int(late[i]), _shortened(summed[cuts[i] : cuts[i + 1]]), voters[i]
        )
        for i, (start, part) in enumerate(starts)
    ]


def _voters(votes: WindowVotes, window: Int64, windows: int) -> Sequence[WindowVoters | None]:
    if votes.voter is None:
        return [None] * windows
    on_time = np.flatnonzero(~votes.late)
    return count_voters(votes.voter[on_time], votes.network[on_time], window[on_time], windows)


def add_counts(*counts: Int64) -> Int64:
    """Return the sum of counts of one window: int64[rows, 12], one row for each kind, group and model.

    If a kind has more than MAX_ROWS rows, the hashes of its groups are shortened. Groups with the same shortened hash
    then share a row.

    Args:
        counts: arrays int64[rows, 12] in the order of COLUMNS.
    """
    return _shortened(sum_rows(np.concatenate(counts), 3))


def _windows(start: Int64, partition: Int64) -> tuple[list[tuple[int, int]], Int64]:
    """Return the distinct (start, partition), sorted; and the position of each vote among them."""
    parts, part = np.unique(partition, return_inverse=True)
    codes, window = np.unique(start // WINDOW_WIDTH * len(parts) + part, return_inverse=True)
    distinct = zip((codes // len(parts) * WINDOW_WIDTH).tolist(), parts[codes % len(parts)].tolist(), strict=True)
    return list(distinct), window


def _count_groups(votes: WindowVotes, window: Int64, reference: Reference | None) -> tuple[Int64, Int64]:
    """Return two arrays: the counts of all windows, int64[rows, 12], and the position of each row's window.

    The rows are sorted by window, kind, group and model. A vote adds to at most seven rows: two models in each of three
    kinds of groups, and one row of network traffic. So its measures are computed once. The local array `source` has,
    for each addition of a vote to a row, the column of `_measures` that is added.
    """
    model = votes.models.T.ravel()
    twice = np.tile(np.arange(len(votes.at)), 2)
    places, kinds, groups, models, sources = [], [], [], [], []
    for kind, of_votes in ((COHORT, votes.cohort), (NETWORK, votes.network), (PROMPT, votes.prompt)):
        group = of_votes[twice]
        known = np.flatnonzero(group >= 0)
        places.append(window[twice[known]])
        kinds.append(np.full(len(known), kind))
        groups.append(group[known])
        models.append(model[known])
        sources.append(known)
    networked = np.flatnonzero((votes.network >= 0) & ~votes.late)
    nothing = np.zeros(len(networked), dtype=np.int64)
    places.append(window[networked])
    kinds.append(nothing + TRAFFIC)
    groups.append(votes.network[networked])
    models.append(nothing)
    sources.append(nothing + len(model))
    keys = [np.concatenate(columns) for columns in (places, kinds, groups, models)]
    order, first = sort_keys(*keys)
    source, example = np.concatenate(sources)[order], order[first]
    summed = np.empty((len(COLUMNS), len(first)), dtype=np.int64)  # columns are written and packed one by one
    for i, column in enumerate(keys[1:]):
        summed[i] = column[example]
    for i, column in enumerate(_measures(votes, reference), start=3):
        summed[i] = sum_groups(column[source], first)
    return keys[0][example], summed.T


def _measures(votes: WindowVotes, reference: Reference | None) -> Int64:
    """Return int64[9, 2n + 1], the measures that votes add to rows, in the order of MEASURES.

    The first n columns are for model a of each vote, the next n for model b. The last column is for rows of the kind
    TRAFFIC: each vote adds 1 to `appearances` and 0 to the other measures. If `reference` is None, the measures of
    evaluated votes (the last five) are 0.
    """
    outcome, side, on_time = votes.outcome, votes.side, ~votes.late
    n = len(outcome)
    rows = np.zeros((len(MEASURES), 2 * n + 1), dtype=np.int64)
    rows[0] = np.concatenate([on_time, on_time, [True]])
    rows[1, :-1] = np.concatenate([on_time & (side == 0), on_time & (side == 1)])
    won = np.stack([outcome == 0, outcome == 1])
    rows[2, :-1], rows[3, :-1] = won.ravel(), won[::-1].ravel()
    if reference is not None:
        a, b = (reference.index_of(votes.models[:, i]) for i in (0, 1))
        evaluated = np.flatnonzero((a >= 0) & (b >= 0))
        both = np.concatenate([evaluated, evaluated + n])
        rows[4, both] = 1
        rows[5, both], rows[6, both] = rows[2, both], rows[3, both]
        expected = np.stack(
            [reference.expected_wins[a[evaluated], b[evaluated]], reference.expected_wins[b[evaluated], a[evaluated]]]
        )
        rows[7, both], rows[8, both] = expected.ravel(), expected[::-1].ravel()
    return rows


def _shortened(rows: Int64) -> Int64:
    """Shorten hashes until each kind of row (module docstring) has at most MAX_ROWS rows.

    Rows whose keys become equal are summed. The hashes of a kind keep as many bits as this limit allows, out of
    HASH_BITS.
    """
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
        short = sum_rows(short, 3)
        if len(short) <= MAX_ROWS:
            break
    return short
