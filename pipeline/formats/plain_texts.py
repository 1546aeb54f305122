"""Finds the columns of a Parquet file that are read faster as plain texts than as dictionary codes.

These are columns whose texts hardly repeat, such as ids. A Parquet writer stops using a dictionary when it grows too
large, and writes the other texts plainly. If such a column is read as codes, a dictionary of a whole row group must be
built. If a column with a dictionary is read as plain texts, each repeated text is copied.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.vocabulary.parquet_pages import ChunkSizes

LONG = 1_000
"""A column is read as plain texts only if no text in its dictionaries is larger, in bytes. Names are always shorter."""

# With more row groups, each is so small that its dictionary is too.
_MOST_GROUPS = 256


def find_plain_columns(path: Path, chunks: Sequence[ChunkSizes], columns: Collection[str]) -> frozenset[str]:
    """Return the names of the columns that are read faster as plain texts than as dictionary codes.

    The result is empty if the file has very many row groups.

    Args:
        path: a Parquet file.
        chunks: the sizes of the file's columns in each row group.
        columns: names of text columns, none of them nested.
    """
    by_column = {name: [chunk for chunk in chunks if chunk.column == name] for name in columns}
    wanted = {name for name, own in by_column.items() if own and _is_mostly_plain(own)}
    if not wanted or max(len(by_column[name]) for name in wanted) > _MOST_GROUPS:
        return frozenset()
    with pq.ParquetFile(path, read_dictionary=sorted(wanted)) as file:
        filled = [group for group in range(file.metadata.num_row_groups) if file.metadata.row_group(group).num_rows]
        for place, group in enumerate(filled):
            head = next(file.iter_batches(1, row_groups=[group], columns=sorted(wanted), use_threads=False))
            wanted &= {name for name in wanted if _is_short(by_column[name][place], head.column(name))}
            if not wanted:
                break
    return frozenset(wanted)


def _is_mostly_plain(chunks: Sequence[ChunkSizes]) -> bool:
    plain, all_values = sum(chunk.plain for chunk in chunks), sum(chunk.values for chunk in chunks)
    return 2 * plain > all_values and all(chunk.plain + chunk.coded == chunk.values for chunk in chunks)


def _is_short(chunk: ChunkSizes, head: pa.Array) -> bool:
    """Return whether every text in the dictionary of a column chunk has at most LONG bytes. True without a dictionary.

    Args:
        chunk: the sizes of the column chunk.
        head: the first value of the chunk, as an Arrow array with the chunk's dictionary.
    """
    if not chunk.has_dictionary:
        return True
    if not pa.types.is_dictionary(head.type) or len(head.dictionary) != chunk.dictionary_values:
        return False
    return bool((pc.max(pc.binary_length(head.dictionary)).as_py() or 0) <= LONG)
