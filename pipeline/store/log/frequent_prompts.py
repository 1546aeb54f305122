"""Decides, when votes are sealed, which votes on a frequent prompt are in the sample of that prompt.

`pipeline.ratings.prompt_samples` defines which prompts are frequent, and how many votes each sample has.

A seal decides about the votes of its segment. The decision depends on the number of votes that each prompt has in the
log, this segment included. A decision never changes. The same votes in the same segments get the same decisions in
SQLite and PostgreSQL.

A seal reads and writes only the counts of the prompts in its segment, and one summary of all prompts. If the segment
has more than a quarter of all known prompts, the seal reads the counts of all prompts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.ledger import leaf_encoding
from pipeline.ledger.merkle import WIDTH
from pipeline.ratings.prompt_samples import threshold
from pipeline.store.db import dialect, schema
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.packing import pack_integers, unpack_integers

_TOTAL = "prompts"
# For more than a quarter of the known prompts, reading the whole table is faster than looking up each prompt.
_MOST_SEARCHED = 4
_BLOCK = 50_000


def decide(connection: Connection, prompt: Int64, vote_ids: Callable[[Int64], pa.ChunkedArray], log_size: int) -> Int64:
    """Find the votes of a segment that are outside the samples of their prompts. Store the new counts of prompts.

    A vote on a frequent prompt counts only if it is in the prompt's sample.

    Args:
        connection: a transaction with the lock of seals.
        prompt: int64[n], the hashes of the prompts, never 0. There is one for each vote of the segment that counts and
            has a prompt.
        vote_ids: a function that takes indices in `prompt` and returns the ids of these votes.
        log_size: number of leaves of the log, those of the segment included.

    Returns:
        int64[m], the indices in `prompt` of the votes outside the samples.
    """
    distinct, group, added = np.unique(prompt, return_inverse=True, return_counts=True)
    if not len(distinct):
        return np.zeros(0, dtype=np.int64)
    group = group.ravel()
    spectrum = _read_spectrum(connection)
    votes, kept = _read(connection, distinct, int(spectrum[1].sum()))
    after = votes + added
    spectrum = _moved(spectrum, votes[votes > 0], after)
    most = threshold(spectrum)
    left = np.where(after > most, np.maximum(0, most - kept), added)
    rows = np.flatnonzero((added > left)[group])
    rank = _ranks(group[rows], _hashes(vote_ids(rows)))
    outside = rows[rank >= left[group[rows]]]
    _write(connection, distinct, votes, after, kept + np.minimum(left, added))
    _write_spectrum(connection, spectrum, log_size)
    return outside


def mark(connection: Connection, partition: Int64, offset: Int64) -> None:
    """Mark votes in the store as outside the samples of their prompts.

    Args:
        connection: the transaction.
        partition: int64[n], partition number (partition_no) of each vote.
        offset: int64[n], offset of each vote.
    """
    dialect.load(connection, schema.frequent_vote, {"partition_no": partition, "offset": offset})


def find_marked(connection: Connection, partition_no: int, offsets: list[int]) -> list[int]:
    """Return the offsets, among those given, of a partition's votes that are not in the sample of their prompt."""
    found: list[int] = []
    for start in range(0, len(offsets), dialect.CHUNK):
        where, given = dialect.any_of(connection, "offset", offsets[start : start + dialect.CHUNK], partition_no)
        query = f'SELECT "offset" FROM frequent_vote WHERE {where}'  # noqa: S608
        found += [int(row[0]) for row in connection.exec_driver_sql(query, given)]
    return found


def read_marked(connection: Connection, partition_no: int, first: int, end: int) -> Int64:
    """Return the offsets of those votes in a range that are marked as outside the samples of their prompts.

    Args:
        connection: reads the store.
        partition_no: the partition number of the store (partition_no).
        first, end: the range of offsets, `end` excluded.

    Returns:
        int64[n], ascending.
    """
    f = schema.frequent_vote.c
    query = sa.select(f.offset).where(f.partition_no == partition_no, f.offset >= first, f.offset < end)
    return np.array(list(connection.scalars(query.order_by(f.offset))), dtype=np.int64)


def _ranks(group: Int64, hashes: Int64) -> Int64:
    """Return the rank of each row in its group, from 0, in ascending order of the hashes."""
    order = np.lexsort((hashes, group))
    ordered = group[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])) if len(ordered) else ordered
    start = np.repeat(first, np.diff(np.append(first, len(ordered))))
    rank = np.empty(len(group), dtype=np.int64)
    rank[order] = np.arange(len(group)) - start
    return rank


def _hashes(vote_ids: pa.ChunkedArray) -> Int64:
    """Return int64[n]: for each id the first 64 bits of its SHA-256, with the highest bit set to 0."""
    texts = vote_ids.cast(pa.binary())
    raw = b"".join(leaf_encoding.sha256_each(chunk) for chunk in texts.chunks)
    heads = np.frombuffer(raw, dtype=np.uint8).reshape(-1, WIDTH)[:, :8]
    return np.ascontiguousarray(heads).view(">u8").ravel().astype(np.uint64).view(np.int64) & (2**63 - 1)


def _moved(spectrum: Int64, before: Int64, after: Int64) -> Int64:
    """Return the spectrum after the numbers of votes of some prompts have changed.

    Args:
        spectrum: int64[2, n]. The first row has the numbers of votes that occur among the prompts, each once. The
            second row has, for each number in the first row, how many prompts have exactly that number of votes.
        before: the numbers of votes before the change, of the changed prompts that had votes.
        after: the numbers of votes after the change, of all changed prompts.
    """
    votes = np.concatenate([spectrum[0], before, after])
    prompts = np.concatenate([spectrum[1], np.full(len(before), -1), np.ones(len(after), dtype=np.int64)])
    distinct, group = np.unique(votes, return_inverse=True)
    total = np.zeros(len(distinct), dtype=np.int64)
    np.add.at(total, group.ravel(), prompts)
    return np.stack([distinct[total > 0], total[total > 0]])


def _read(connection: Connection, distinct: Int64, known: int) -> tuple[Int64, Int64]:
    """Return two arrays int64[n]: for each of n prompts the stored number of votes, and how many are in its sample.

    Args:
        connection: reads the store.
        distinct: int64[n], hashes of the prompts, ascending.
        known: number of prompts in the store.
    """
    found = np.zeros((2, len(distinct)), dtype=np.int64)
    if not known:
        return found[0], found[1]
    for prompt, votes, kept in _stored(connection, distinct, known):
        at = np.minimum(np.searchsorted(distinct, prompt), len(distinct) - 1)
        ours = distinct[at] == prompt
        found[:, at[ours]] = votes[ours], kept[ours]
    return found[0], found[1]


def _stored(connection: Connection, distinct: Int64, known: int) -> list[Int64]:
    p = schema.prompt_count.c
    if len(distinct) * _MOST_SEARCHED > known:
        return list(dialect.read_integers(connection, sa.select(p.prompt, p.votes, p.kept), _BLOCK))
    blocks = []
    for start in range(0, len(distinct), dialect.CHUNK):
        where, given = dialect.any_of(connection, "prompt", distinct[start : start + dialect.CHUNK].tolist())
        query = f"SELECT prompt, votes, kept FROM prompt_count WHERE {where}"  # noqa: S608
        rows = connection.exec_driver_sql(query, given).all()
        blocks.append(np.array([tuple(row) for row in rows], dtype=np.int64).reshape(-1, 3).T)
    return blocks


def _write(connection: Connection, prompt: Int64, before: Int64, votes: Int64, kept: Int64) -> None:
    new = before == 0
    columns = {"prompt": prompt, "votes": votes, "kept": kept}
    dialect.load(connection, schema.prompt_count, {name: column[new] for name, column in columns.items()})
    again = zip(*(column[~new].tolist() for column in columns.values()), strict=True)
    dialect.upsert(connection, schema.prompt_count, ["prompt"], [dict(zip(columns, row, strict=True)) for row in again])


def _read_spectrum(connection: Connection) -> Int64:
    t = schema.sealed_total.c
    raw = connection.scalar(sa.select(t.counts).where(t.name == _TOTAL))
    return np.zeros((2, 0), dtype=np.int64) if raw is None else unpack_integers(bytes(raw)).reshape(2, -1)


def _write_spectrum(connection: Connection, spectrum: Int64, log_size: int) -> None:
    row = {"name": _TOTAL, "log_size": log_size, "counts": pack_integers(spectrum)}
    dialect.upsert(connection, schema.sealed_total, ["name"], [row])
