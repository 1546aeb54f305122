"""The log of the first version: a hash chain over votes, and what has become of it.

A segment's digest was SHA-256 of the digest before it and of a line a vote; a snapshot's, of its body's digest, its
number and the digest of the snapshot before it. Nobody signed them. A store that was migrated keeps them, and its
public log takes the chain's votes segment by segment, in the chain's order.

Laws: a size of the chain means the same votes in the public log; a vote of the chain that was changed, taken out or put
in since is found here too, but for segments that hold erased votes: the lines named their voters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Refuted
from pipeline.ledger.merkle import WIDTH
from pipeline.store import manifests, names, schema, snapshots, stored_votes
from pipeline.store.snapshots import Snapshot
from pipeline.store.stored_votes import Range

_GENESIS = hashlib.sha256(b"leaderboard-integrity vote log 1").hexdigest()


@dataclass(frozen=True, slots=True)
class Rechecked:
    """What was compared.

    Attributes:
        segments: of the chain.
        erased: those that cannot be made again, for they hold erased votes.
    """

    segments: int
    erased: int


def rounds(connection: Connection, size: int, waiting: Sequence[Range]) -> list[list[Range]]:
    """What a seal takes, segment by segment of the chain, then the rest.

    Args:
        connection: reads.
        size: of the public log.
        waiting: what is not sealed: partition, first offset, end.
    """
    chained = [ranges for _, ranges in _segments(connection, size)]
    ends = {part: end for ranges in chained for part, _, end in ranges}
    rest = [(part, max(first, ends.get(part, first)), end) for part, first, end in waiting]
    return [*chained, [one for one in rest if one[1] < one[2]]]


def ends(connection: Connection, log_size: int) -> dict[int, int]:
    """How far the chain at a size had read each partition; nothing where it was never that long."""
    taken = [row for row in _rows(connection, 0) if row.log_size <= log_size]
    return {row.partition_no: row.next_offset for row in taken}


def unsealed(connection: Connection) -> int:
    """Votes of the chain that the next seal takes into the public log."""
    newest = [sa.select(sa.func.max(table.c.log_size)) for table in (schema.first_segment, schema.segment)]
    chained, sealed = (int(connection.scalar(query) or 0) for query in newest)
    return max(chained - sealed, 0)


def unsigned(published: Sequence[Snapshot], signed: Sequence[manifests.Signed]) -> list[Snapshot]:
    """Of all published snapshots, oldest first, those before the first one that was signed."""
    return list(published[: max(len(published) - len(signed), 0)])


def recheck(connection: Connection) -> Rechecked:
    """Hold the chain against the votes.

    Raises:
        Refuted: names the segment that its votes do not give.
    """
    known, places = names.model_names(connection), stored_votes.sources(connection)
    segments, erased, before, first = 0, 0, _GENESIS, 0
    for row, ranges in _segments(connection, 0):
        found = hashlib.sha256(before.encode())
        for part, start, end in ranges:
            for lines in _lines(connection, known, *places[part], (part, start, end)):
                found.update(lines)
        if found.hexdigest() != row.digest:
            if not _erased(connection, first, row.log_size):
                where = f"segment {row.segment_no} of the first chain"
                raise Refuted("digest", where, f"expected digest {row.digest}, its votes give {found.hexdigest()}")
            erased += 1
        segments, before, first = segments + 1, row.digest, row.log_size
    return Rechecked(segments, erased)


def check_links(connection: Connection, unsigned_ones: Sequence[Snapshot]) -> None:
    """Hold the snapshots of the first version against the chain that they form.

    Raises:
        Refuted: names the snapshot that does not follow from the one before it.
    """
    s, previous = schema.first_segment.c, snapshots.GENESIS
    digests = {row.log_size: row.digest for row in connection.execute(sa.select(s.log_size, s.digest))}
    for sequence, one in enumerate(unsigned_ones, start=1):
        where = f"snapshot {one.sequence} ({one.snapshot_id[:12]})"
        link = {"snapshot": one.snapshot_id, "sequence": one.sequence, "previous": one.previous}
        if (one.sequence, one.previous, one.digest) != (sequence, previous, snapshots.digest_of(link)):
            raise Refuted("previous", where, f"expected number {sequence} after {previous[:12]}, or a signed manifest")
        if snapshots.digest_of(one.body) != one.snapshot_id:
            raise Refuted("digest", where, "its body does not have its digest")
        # A store without that chain has no snapshot of its time, whatever a body leaves out.
        if one.log_size not in digests or one.body.get("log_digest") != digests[one.log_size]:
            raise Refuted("root", where, f"the chain at {one.log_size} votes is not the one that it rates")
        previous = one.digest


def _segments(connection: Connection, size: int) -> list[tuple[Any, list[Range]]]:
    """The chain's segments beyond a size, with their ranges."""
    grouped = groupby(_rows(connection, size), key=lambda row: row.segment_no)
    found = [list(rows) for _, rows in grouped]
    return [(rows[0], [(row.partition_no, row.first_offset, row.next_offset) for row in rows]) for rows in found]


def _rows(connection: Connection, size: int) -> list[Any]:
    s, r = schema.first_segment.c, schema.first_segment_range.c
    query = (
        sa.select(s.segment_no, s.log_size, s.digest, r.partition_no, r.first_offset, r.next_offset)
        .join(schema.first_segment_range, r.segment_no == s.segment_no)
        .where(s.log_size > size)
        .order_by(s.log_size, r.partition_no)
    )
    return list(connection.execute(query).all())


def _lines(connection: Connection, models: dict[int, str], source: str, number: int, of: Range) -> Iterator[bytes]:
    """The lines of the votes of a range, as the first version wrote them."""
    for batch in stored_votes.batches(connection, *of):
        fields = [
            *(batch[name].cast(pa.string()) for name in ("offset", "vote_id")),
            *(_spelt(batch[name], models) for name in ("model_a", "model_b")),
            *(batch[name].cast(pa.string()) for name in ("outcome", "fate", "cast_at", "voter")),
        ]
        rows = pc.binary_join_element_wise(f"{source}|{number}", *fields, "|")
        yield "".join(f"{line}\n" for line in rows.to_pylist()).encode()


def _spelt(column: Any, models: dict[int, str]) -> pa.Array:
    return pa.array([models[number] for number in column.to_pylist()], pa.string())


def _erased(connection: Connection, first: int, end: int) -> bool:
    """Whether the private fields of any vote of these leaves were erased."""
    b = schema.blind.c
    begin = connection.scalar(sa.select(sa.func.max(b.first_leaf)).where(b.first_leaf <= first)) or 0
    query = sa.select(b.first_leaf, b.blinds).where(b.first_leaf >= begin, b.first_leaf < end)
    for row in connection.execute(query):
        blinds = bytes(row.blinds)
        for leaf in range(max(first, row.first_leaf), min(end, row.first_leaf + len(blinds) // WIDTH)):
            at = (leaf - row.first_leaf) * WIDTH
            if not any(blinds[at : at + WIDTH]):
                return True
    return False
