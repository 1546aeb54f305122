"""Builds responses that contain rows, as JSON, CSV or Parquet.

An apostrophe is put before a CSV value that a spreadsheet would execute as a formula.
"""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import Request
from fastapi.responses import Response

from pipeline.api.request_params import TableFormat, format_from_accept
from pipeline.vocabulary.export_text import csv_cell
from pipeline.vocabulary.method_rules import RULE_BITS
from pipeline.vocabulary.visible_text import json_text

PARQUET = "application/vnd.apache.parquet"
_CSV = "text/csv; charset=utf-8"
# Prefixes that `_flatten` puts before a column's name.
_PREFIXES = ("raw_", "defended_", "style_", "before_", "after_", "battles_", "coverage_", "left_out_")
_INTEGERS = frozenset(
    {"rank", "rank_best", "rank_worst", "votes", "wins", "losses", "ties", "places", "sequence", "log_size",
     "votes_counted",
     "clustered_best", "clustered_worst", "sure_best", "sure_worst",
     "votes_excluded", "votes_flagged", "partition", "offset", "number", "variants_tested", "late", "unchecked",
     "alerts", "accounts", "accounts_left_out", "votes_left_out",
     *RULE_BITS}
)  # fmt: skip
_BOOLEANS = frozenset({"preliminary"})
_FLOATS = frozenset(
    {"rating", "lower", "upper", "clustered_lower", "clustered_upper", "sequence_lower", "sequence_upper", "gap_lower",
     "gap_upper", "share", "e_value", "score", "expected", "points_settings", "points_exclusions",
     "points_votes", "points_method"}
)  # fmt: skip
# The next page's cursor, for the formats that have no place for it in the body.
_NEXT_CURSOR = "x-next-cursor"


def table_response(
    request: Request,
    table_format: TableFormat | None,
    document: Mapping[str, Any],
    name: str,
    headers: Mapping[str, str],
    columns: Sequence[str] = (),
    table_row: Callable[[dict[str, Any]], dict[str, Any]] = lambda row: row,
) -> Response:
    """Return a response with a page of rows, in the format that the client asks for.

    Args:
        request: the request, whose Accept header is used if `table_format` is None.
        table_format: the value of the parameter `format`; None if the request does not have it.
        document: {"rows": […], "next": cursor or None, …}. The JSON response contains the whole document; the other
            formats contain only the rows.
        name: file name for downloads, without suffix.
        headers: headers of the response.
        columns: names of the columns, used if there are no rows.
        table_row: converts a row for the formats other than JSON. The converted rows must all have the same columns.
    """
    table_format = table_format or format_from_accept(request.headers.get("accept", ""))
    more = {**headers, "vary": ", ".join(["Accept", *filter(None, [headers.get("vary")])])}
    if table_format == "json":
        return json_response(document, more)
    if document.get("next"):
        more[_NEXT_CURSOR] = document["next"]
    more["content-disposition"] = f'attachment; filename="{name}.{table_format}"'
    rows = [_flatten(table_row(row)) for row in document["rows"]]
    if table_format == "csv":
        return Response(to_csv(rows, columns), media_type=_CSV, headers=more)
    return Response(to_parquet(rows, columns), media_type=PARQUET, headers=more)


def file_name(board: str) -> str:
    """Convert the name of a board to letters, digits and hyphens, for a file name; "board" if none are left."""
    return re.sub(r"[^A-Za-z0-9]+", "-", board).strip("-") or "board"


def json_response(document: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with a document as JSON. NaN and infinite numbers become null."""
    try:
        body = json_text(document)
    except ValueError:
        body = json_text(_replace_non_finite(document))
    return Response(body.encode(), media_type="application/json", headers=dict(headers or {}))


def _replace_non_finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _replace_non_finite(one) for key, one in value.items()}
    return [_replace_non_finite(one) for one in value] if isinstance(value, list | tuple) else value


def to_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> bytes:
    """Convert rows to the bytes of a CSV file (RFC 4180). All rows must have the same fields.

    If there are no rows, `columns` has the names of the columns.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(rows[0] if rows else columns)
    writer.writerows([csv_cell(value) for value in row.values()] for row in rows)
    return out.getvalue().encode()


def to_parquet(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> bytes:
    """Convert rows to the bytes of a Parquet file. All rows must have the same fields.

    A column has the same type on every page. If there are no rows, `columns` has the names of the columns.
    """
    schema = pa.schema([(name, _arrow_type(name)) for name in (rows[0] if rows else columns)])
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=schema), out)
    return out.getvalue()


def _arrow_type(name: str) -> pa.DataType:
    figure = name.removeprefix(next((prefix for prefix in _PREFIXES if name.startswith(prefix)), ""))
    if figure in _INTEGERS:
        return pa.int64()
    if figure in _BOOLEANS:
        return pa.bool_()
    return pa.float64() if figure in _FLOATS else pa.string()


def _flatten(row: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten nested documents, {"raw": {"rank": 1}} to {"raw_rank": 1}. Lists and evidence become JSON text."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, Mapping) and key != "evidence":
            flat |= {f"{key}_{inner}": one for inner, one in _flatten(value).items()}
        elif isinstance(value, list | Mapping):
            flat[key] = json.dumps(value, ensure_ascii=False)
        else:
            flat[key] = value
    return flat
