"""Columns of ids are read as they are, unless what their dictionary repeats would fill the memory."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.formats.bounded_parquet import open_bounded, read_batches

ROWS = 6_000


def _write(path: Path, first: list[str], **options: object) -> Path:
    """Write ids that do not repeat after texts that fill the dictionary, which is then given up."""
    ids = (first * ROWS)[: ROWS // 4] + [f"{row:032x}" for row in range(ROWS - ROWS // 4)]
    table = pa.table({"id": ids, "model": ["ant", "bee"] * (ROWS // 2)})
    settings = {
        "dictionary_pagesize_limit": 8_192,
        "data_page_size": 4_096,
        "write_batch_size": 64,
        "row_group_size": ROWS // 2,
    } | options
    pq.write_table(table, path, **settings)
    return path


def _types(path: Path) -> dict[str, bool]:
    """Return for each column whether it is read as codes; all rows are the file's."""
    file, rows = open_bounded(path, ["id", "model"])
    with file:
        batches = list(read_batches(file, ["id", "model"], rows))
    read = pa.Table.from_batches(
        [pa.record_batch([c.cast(pa.string()) for c in batch.columns], ["id", "model"]) for batch in batches]
    )
    assert read.equals(pq.read_table(path))
    return {field.name: pa.types.is_dictionary(field.type) for field in batches[0].schema}


def test_ids_that_do_not_repeat_are_read_as_they_are(tmp_path: Path) -> None:
    assert _types(_write(tmp_path / "a.parquet", ["x", "y"])) == {"id": False, "model": True}
    assert _types(_write(tmp_path / "b.parquet", ["x"], use_dictionary=["model"])) == {"id": False, "model": True}


@pytest.mark.parametrize(
    ("first", "options"),
    [
        (["x", "y" * 2_000], {}),  # a long text that the dictionary repeats
        (["x"], {"row_group_size": 20}),  # row groups too many to look into each
    ],
)
def test_other_columns_are_read_as_codes(first: list[str], options: dict[str, object], tmp_path: Path) -> None:
    assert _types(_write(tmp_path / "a.parquet", first, **options)) == {"id": True, "model": True}
