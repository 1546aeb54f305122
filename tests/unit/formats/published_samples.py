"""Rows of published leaderboards in the shapes of public files, made here: the schemas are facts, the rows are ours."""

import csv
import gzip
import json
import math
import random
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]
MODELS = [f"model-{i:02} [int4]" if i % 7 == 0 else f"model-{i:02}" for i in range(25)]
CATEGORIES = ["overall", "math"]
LAST = date(2026, 9, 1)


def board_rows(days: int = 12, seed: int = 0, categories: list[str] = CATEGORIES) -> list[Row]:
    """Rows of the arena's dataset: 25 models, by default 12 days and two categories, so 600 rows."""
    draw = random.Random(seed)  # noqa: S311
    rows = []
    for category in categories:
        rating = [1000.0 + 12 * i for i in range(len(MODELS))]
        votes = [500 + 300 * i for i in range(len(MODELS))]
        for day in range(days):
            order = sorted(range(len(MODELS)), key=lambda i: -rating[i])
            for i in order:
                half = 400 / math.sqrt(votes[i])
                rows.append(
                    {
                        "model_name": MODELS[i],
                        "organization": f"org {i % 5}",
                        "license": "MIT" if i % 3 else "Proprietary",
                        "rating": round(rating[i], 4),
                        "rating_lower": round(rating[i] - half, 4),
                        "rating_upper": round(rating[i] + half, 4),
                        "variance": round(half**2 / 4, 4),
                        "vote_count": votes[i],
                        "rank": order.index(i) + 1,
                        "category": category,
                        "leaderboard_publish_date": str(LAST - timedelta(7 * (days - day - 1))),
                    }
                )
            rating = [value + draw.gauss(0, 1) for value in rating]
            votes = [value + draw.randrange(0, 200) for value in votes]
    return rows


def agent_rows(days: int = 20, seed: int = 1) -> list[Row]:
    """Rows of the agent board: 500 with `days` of 20; scores from 0 to 1."""
    names = {
        "rating": "score", "rating_lower": "score_ci_lower", "rating_upper": "score_ci_upper",
        "vote_count": "observation_count",
    }  # fmt: skip
    found = []
    for row in board_rows(days, seed, ["overall"]):
        renamed = {names.get(key, key): value for key, value in row.items() if key != "variance"}
        for key in ("score", "score_ci_lower", "score_ci_upper"):
            renamed[key] = renamed[key] / 2000
        found.append({**renamed, "session_count": renamed["observation_count"] // 3})
    return found


def write_csv(path: Path, rows: list[Row], delimiter: str = ",") -> None:
    with path.open("w", newline="", encoding="utf-8") as text:
        writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


def write_json(path: Path, rows: list[Row]) -> None:
    path.write_text(json.dumps(rows, indent=1))


def write_lines(path: Path, rows: list[Row]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_parquet(path: Path, rows: list[Row]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


def write_dated_parquet(path: Path, rows: list[Row]) -> None:
    """Write days as dates, counts as floats, names as a dictionary: as pandas writes them."""
    table = pa.Table.from_pylist(rows)
    for name, kind in (
        ("leaderboard_publish_date", pa.timestamp("ns")),
        ("vote_count", pa.float64()),
        ("model_name", pa.dictionary(pa.int32(), pa.string())),
    ):
        at = table.column_names.index(name)
        table = table.set_column(at, name, table.column(name).cast(kind))
    pq.write_table(table, path)


def packed(write: Callable[[Path, list[Row]], None], codec: str) -> Callable[[Path, list[Row]], None]:
    """Return a writer of a compressed file."""

    def write_packed(path: Path, rows: list[Row]) -> None:
        plain = path.with_suffix("")
        write(plain, rows)
        if codec == "gzip":
            path.write_bytes(gzip.compress(plain.read_bytes()))
        else:
            with pa.CompressedOutputStream(str(path), "zstd") as out:
                out.write(plain.read_bytes())
        plain.unlink()

    return write_packed


CONTAINERS: dict[str, Callable[[Path, list[Row]], None]] = {
    "csv": write_csv,
    "tsv": lambda path, rows: write_csv(path, rows, "\t"),
    "json": write_json,
    "jsonl": write_lines,
    "parquet": write_parquet,
    "csv.gz": packed(write_csv, "gzip"),
    "jsonl.zst": packed(write_lines, "zstd"),
    "json.gz": packed(write_json, "gzip"),
    "parquet.zst": packed(write_parquet, "zstd"),
}
