"""Erases private fields of archived votes. Each file with a vote to erase is replaced by a new file with a new key.

A file is not changed in place. The new file has all votes of the old one, the erased ones without private fields and
with a blind of zeros, and a new key. The transaction replaces the key of the old file in the table `cold_file` by the
new key. Nobody can then decrypt the old file, which is deleted later (`cold_files.delete_unnamed`).

A key for each voter would spare writing files anew. It was not chosen, because such keys would be as many as voters,
because they would say which votes belong together, and because a vote's key would be needed to read any vote.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.ledger.merkle import WIDTH
from pipeline.store.cold import archive_file, cold_files, cold_votes, vote_table
from pipeline.store.cold.archive_file import ArchiveFile, Part
from pipeline.store.cold.cold_files import ColdFile
from pipeline.store.db import schema
from pipeline.vocabulary.arrays import Bool, Int64

if TYPE_CHECKING:
    import pyarrow as pa


_Position = tuple[int, int]


def erase(connection: Connection, fields: Mapping[_Position, Mapping[str, int | None]]) -> None:
    """Erase private fields and the blinds of archived votes.

    Args:
        connection: the transaction, with the lock `cold_files.LOCK`.
        fields: (partition_no, offset) of each vote → name of a column → what replaces its value: 0, or None for null.

    Raises:
        MissingKey: there is no archive key.
        Unavailable: a file cannot be read or written.
    """
    offsets = _by_partition(fields)
    for one, numbers in _files(connection, offsets):
        with one.open(cold_files.archive_of(connection)) as file:
            written = archive_file.write(cold_files.archive_of(connection), _rewritten(file, numbers, offsets, fields))
        f = schema.cold_file.c
        values = {"sha256": written.sha256, "bytes": written.size, "data_key": written.data_key}
        update = sa.update(schema.cold_file).where(f.file_no == one.file_no)
        connection.execute(update.values(**values, chunks=written.chunks.pack()))
    vote_table.forget(connection)


def find_erased(connection: Connection, positions: Collection[_Position]) -> set[_Position]:
    """Return which of the given positions (partition_no, offset) have an archived vote that was erased."""
    offsets = _by_partition(positions)
    found: set[_Position] = set()
    for one, numbers in _files(connection, offsets):
        with one.open(cold_files.archive_of(connection)) as file:
            for at in numbers:
                part, offset = int(file.chunks.partition[at]), file.rows(at).integers("offset")
                blinds = np.frombuffer(file.blinds(at), dtype=np.uint8).reshape(-1, WIDTH)
                erased = np.isin(offset, offsets[part]) & ~blinds.any(axis=1)
                found |= {(part, one) for one in offset[erased].tolist()}
    return found


def _by_partition(positions: Collection[_Position]) -> dict[int, Int64]:
    by_part: dict[int, list[int]] = {}
    for part, offset in positions:
        by_part.setdefault(part, []).append(offset)
    return {part: np.array(sorted(mine), dtype=np.int64) for part, mine in by_part.items()}


def _files(connection: Connection, offsets: Mapping[int, Int64]) -> Iterator[tuple[ColdFile, list[int]]]:
    """Yield the files that may have votes at these offsets, each with the numbers of some of its chunks.

    These are the chunks that may have such votes.
    """
    for one in cold_files.files_of_time(connection) if offsets else ():
        if numbers := cold_votes.chunks_within(one.chunks, offsets):
            yield one, list(numbers)


def _rewritten(
    file: ArchiveFile,
    numbers: Collection[int],
    offsets: Mapping[int, Int64],
    fields: Mapping[_Position, Mapping[str, int | None]],
) -> Iterator[Part]:
    """Yield the chunks of a file, with fields and blinds of some votes erased."""
    for at in range(len(file.chunks.votes)):
        part, batch, blinds = int(file.chunks.partition[at]), file.rows(at).batch(), file.blinds(at)
        if at in numbers:
            mine = np.isin(batch["offset"].to_numpy(), offsets[part])
            batch = _without_fields(batch, part, mine, fields)
            kept = np.frombuffer(blinds, dtype=np.uint8).reshape(-1, WIDTH).copy()
            kept[mine] = 0
            blinds = kept.tobytes()
        yield part, batch, blinds


def _without_fields(
    batch: pa.RecordBatch, part: int, mine: Bool, fields: Mapping[_Position, Mapping[str, int | None]]
) -> pa.RecordBatch:
    import pyarrow as pa  # noqa: PLC0415 - slow to import, and short commands do not need it

    from pipeline.store.cold import vote_rows  # noqa: PLC0415 - imports Arrow, which short commands do not need

    columns = {name: batch[name].to_pylist() for name in batch.schema.names}
    for row in np.flatnonzero(mine).tolist():
        for name, value in fields[part, columns["offset"][row]].items():
            columns[name][row] = value
    return pa.record_batch([pa.array(columns[f.name], f.type) for f in vote_rows.ROWS], schema=vote_rows.ROWS)
