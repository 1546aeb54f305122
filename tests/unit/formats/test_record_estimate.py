"""The number of records of a file is known before it is read, well enough for a progress bar."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.formats.battle_file import open_battles
from pipeline.formats.record_estimate import estimate_records

ROWS = [{"model_a": "ant", "model_b": "bee", "winner": "tie", "n": 1_000_000 + n} for n in range(30_000)]


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet"])
def test_the_estimate_is_near_the_number_of_records(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"battles.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif suffix == "csv":
        path.write_text("\n".join([",".join(ROWS[0]), *(",".join(map(str, row.values())) for row in ROWS)]))
    else:
        lines = [json.dumps(row) for row in ROWS]
        path.write_text("\n".join(lines) if suffix == "jsonl" else "[" + ",\n".join(lines) + "]")
    assert estimate_records(open_battles(path)) == pytest.approx(len(ROWS), rel=0.02)
    assert estimate_records(open_battles(tmp_path)) == pytest.approx(len(ROWS), rel=0.02)


def test_of_a_compressed_file_nothing_is_estimated(tmp_path: Path) -> None:
    with pa.output_stream(str(tmp_path / "battles.jsonl.gz"), compression="gzip") as stream:
        stream.write(json.dumps(ROWS[0]).encode() + b"\n")
    assert estimate_records(open_battles(tmp_path / "battles.jsonl.gz")) is None
    (tmp_path / "empty.csv").write_text("model_a,model_b,winner")
    assert estimate_records(open_battles(tmp_path / "empty.csv")) == 0
