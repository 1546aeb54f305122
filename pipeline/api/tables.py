"""Rows as JSON, CSV and Parquet.

Law: a cell of a CSV file that a spreadsheet would take for a formula begins with an apostrophe.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fastapi.responses import Response

from pipeline.api.request_params import Form

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
CSV = "text/csv; charset=utf-8"
PARQUET = "application/vnd.apache.parquet"
_WHOSE = ("raw_", "defended_", "style_", "before_", "after_", "battles_")
_WHOLE = frozenset(
    {"rank", "rank_best", "rank_worst", "votes", "wins", "losses", "places", "sequence", "log_size", "votes_counted",
     "votes_excluded", "votes_flagged", "partition", "offset", "number", "variants_tested"}
)  # fmt: skip
_REAL = frozenset(
    {"rating", "lower", "upper", "share", "e_value", "score", "expected", "points_settings", "points_exclusions",
     "points_votes"}
)  # fmt: skip
# Where the page goes on, for forms that have no place for it in themselves.
NEXT = "x-next-cursor"


def answer(
    document: Mapping[str, Any],
    form: Form,
    name: str,
    headers: Mapping[str, str] | None = None,
    columns: Sequence[str] = (),
) -> Response:
    """A page of rows in a form.

    Args:
        document: {"rows": […], "next": cursor or None, …}.
        form: JSON gets all of it, the others the rows.
        name: of the file that a browser would save, without its ending.
        headers: besides.
        columns: of a table that may have no rows.
    """
    more = {"vary": "Accept", **(headers or {})}
    if form == "json":
        return as_json(document, more)
    if document.get("next"):
        more[NEXT] = document["next"]
    more["content-disposition"] = f'attachment; filename="{name}.{form}"'
    rows = [_flat(row) for row in document["rows"]]
    if form == "csv":
        return Response(csv_of(rows, columns), media_type=CSV, headers=more)
    return Response(parquet_of(rows, columns), media_type=PARQUET, headers=more)


def as_json(document: Any, headers: Mapping[str, str] | None = None) -> Response:
    """One JSON document."""
    try:
        body = json.dumps(document, ensure_ascii=False, allow_nan=False)
    except ValueError:
        body = json.dumps(_finite(document), ensure_ascii=False, allow_nan=False)
    return Response(body.encode(), media_type="application/json", headers=dict(headers or {}))


def _finite(value: Any) -> Any:
    """The same, with None for what JSON has no number for."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value


def csv_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> bytes:
    """Rows of the same fields as CSV (RFC 4180)."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(rows[0] if rows else columns)
    writer.writerows([_cell(value) for value in row.values()] for row in rows)
    return out.getvalue().encode()


def parquet_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> bytes:
    """Rows of the same fields as a Parquet file; a column has one type on every page, rows or none."""
    schema = pa.schema([(name, _type(name)) for name in (rows[0] if rows else columns)])
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=schema), out)
    return out.getvalue()


def _type(name: str) -> pa.DataType:
    """The type of a column by its name; what stands in front of it says whose it is."""
    figure = name.removeprefix(next((before for before in _WHOSE if name.startswith(before)), ""))
    if figure in _WHOLE:
        return pa.int64()
    return pa.float64() if figure in _REAL else pa.string()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row whose values are no documents: {"raw": {"rank": 1}} becomes {"raw_rank": 1}, lists become JSON."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, Mapping) and key != "evidence":
            flat |= {f"{key}_{inner}": one for inner, one in _flat(value).items()}
        elif isinstance(value, list | Mapping):
            flat[key] = json.dumps(value, ensure_ascii=False)
        else:
            flat[key] = value
    return flat
