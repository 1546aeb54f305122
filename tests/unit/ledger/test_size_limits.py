"""Each limit on the contents of a bundle admits its own value and refuses the next larger one."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import Refuted
from pipeline.ledger import canonical_json, size_limits

MIB = 1024 * 1024


def test_limits_of_bytes_are_those_of_the_contract() -> None:
    assert (size_limits.MAX_JSON, size_limits.MAX_RECEIPT, size_limits.MAX_SMALL) == (16 * MIB, MIB, 64 * 1024)
    size_limits.require_size("manifest.json", 16 * MIB, size_limits.MAX_JSON)
    with pytest.raises(Refuted, match="16,777,216 bytes, got 16,777,217"):
        size_limits.require_size("manifest.json", 16 * MIB + 1, size_limits.MAX_JSON)


def test_json_has_at_most_a_million_values() -> None:
    def text(values: int) -> bytes:
        return json.dumps([0] * values, separators=(",", ":")).encode()

    # The list is a value of its own. What is within the limit is refused for its form alone: no file is a list.
    with pytest.raises(Refuted, match="expected an object"):
        canonical_json.load(list[int], text(999_999), "a file")
    with pytest.raises(Refuted, match="expected at most 1,000,000 values, got some 1,000,001"):
        canonical_json.load(list[int], text(1_000_000), "a file")


@pytest.mark.parametrize(("models", "fits"), [(1024, True), (1025, False)])
def test_a_fit_takes_96_mib_besides_500_times_the_votes(models: int, fits: bool) -> None:
    # Twelve matrices of 1,024² eight-byte numbers are 96 MiB exactly.
    if fits:
        size_limits.require_ratable(models, 0, "raw")
    else:
        with pytest.raises(Refuted, match="rating 1,025 models takes 100,860,000 bytes, expected at most 100,663,296"):
            size_limits.require_ratable(models, 0, "raw")
    size_limits.require_ratable(1025, 394, "raw")  # 500 × 394 bytes more are enough
    with pytest.raises(Refuted):
        size_limits.require_ratable(1025, 393, "raw")


@pytest.mark.parametrize("over", [False, True])
def test_a_file_unpacks_to_20_times_its_size_and_4_mib(over: bool) -> None:
    def packed(rows: int) -> bytes:
        to = io.BytesIO()
        zeros = pa.table({"leaf": np.zeros(rows, dtype=np.int64)})
        pq.write_table(zeros, to, compression="zstd", use_dictionary=False, write_statistics=False)
        return to.getvalue()

    def unpacked(data: bytes) -> int:
        file = pq.ParquetFile(io.BytesIO(data))
        return sum(chunk.unpacked for chunk in size_limits.chunk_sizes(file.metadata, lambda at, n: data[at : at + n]))

    low, high = 4 * MIB // 8 - 2_000, 5 * MIB // 8  # the largest number of rows that is admitted lies between
    while high - low > 1:
        middle = (low + high) // 2
        data = packed(middle)
        low, high = (middle, high) if unpacked(data) <= 4 * MIB + 20 * len(data) else (low, middle)
    rows = high if over else low
    if over:
        with pytest.raises(Refuted, match="expected at most"):
            size_limits.open_parquet(packed(rows), "votes/0.parquet", "parquet", rows)
    else:
        file, _ = size_limits.open_parquet(packed(rows), "votes/0.parquet", "parquet", rows)
        assert file.metadata.num_rows == rows
        with pytest.raises(Refuted, match="rows"):
            size_limits.open_parquet(packed(rows), "votes/0.parquet", "parquet", rows - 1)
