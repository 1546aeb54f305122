"""Reads and checks the parameters of requests: limits, cursors, ids and formats.

A cursor encodes the key of the last row of a page. An invalid cursor is refused. A page has at most MAX_ROWS rows. Text
with control characters is refused, because PostgreSQL cannot store NUL.
"""

import base64
import binascii
import json
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request

from pipeline.api.error_responses import Problem

MAX_ROWS = 1_000
# No control characters: JSON, URLs and both databases can carry everything else.
TEXT_PATTERN = r"^[^\x00-\x1f\x7f]+$"
_ASCII = r"^[ -~]+$"
_LARGEST = 2**63 - 1

View = Literal["raw", "defended", "style"]
VIEWS: tuple[View, ...] = ("raw", "defended", "style")
TableFormat = Literal["json", "csv", "parquet"]
_MEDIA_TYPES: dict[str, TableFormat] = {"text/csv": "csv", "application/vnd.apache.parquet": "parquet"}

LimitParam = Annotated[int, Query(ge=1, le=MAX_ROWS, description="Largest number of rows on a page.")]
CursorParam = Annotated[str | None, Query(max_length=200, pattern=_ASCII, description="`next` of the previous page.")]
ViewParam = Annotated[
    View, Query(description="raw: all votes; defended: without exclusions; style: defended, style-controlled.")
]
BoardParam = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=220,
        pattern=TEXT_PATTERN,
        description="category/LABEL or language/LABEL: the defended board of the votes with that label.",
    ),
]
FormatParam = Annotated[
    TableFormat | None, Query(alias="format", description="Format of the response; default: by Accept, else JSON.")
]
SnapshotParam = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="A snapshot's digest.")]
SnapshotPairParam = Annotated[
    str, Path(pattern=r"^[0-9a-f]{64}\.\.[0-9a-f]{64}$", description="OLDER..NEWER, two digests.")
]
AlertParam = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="An alert's id.")]
IncidentParam = Annotated[
    str, Path(pattern="^[0-9a-f]{4,12}$", description="An incident's id, a former id, or the unique beginning of one.")
]
VoteParam = Annotated[str, Query(min_length=1, max_length=300, pattern=TEXT_PATTERN, description="A vote's id.")]
ModelParam = Annotated[str, Query(min_length=1, max_length=300, pattern=TEXT_PATTERN, description="A model's name.")]
AnyModelParam = Annotated[
    str | None,
    Query(
        min_length=1, max_length=300, pattern=TEXT_PATTERN, description="A model's name; without it the first models."
    ),
]
ProviderParam = Annotated[
    str, Query(min_length=1, max_length=300, pattern=TEXT_PATTERN, description="A provider's name in the registry.")
]


async def reject_unknown_params(request: Request) -> None:
    """Reject unknown and repeated query parameters.

    Without this check, a misspelt parameter would silently have its default value. Requests with unknown parameters
    could also fill the response cache.

    Raises:
        Problem: status 422, which names the parameter and the known parameters.
    """
    known = [one.alias for one in request.scope["route"].dependant.query_params]
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in known:
            raise Problem(422, f"query {name[:100]}: expected one of {', '.join(known) or 'nothing'}")
        if given.count(name) > 1:
            raise Problem(422, f"query {name}: expected it once, got it {given.count(name)} times")


def format_from_accept(accept: str) -> TableFormat:
    """Return the first table format that an Accept header names; JSON if the header names none."""
    for part in accept.split(","):
        kind = part.split(";")[0].strip().lower()
        if kind in _MEDIA_TYPES:
            return _MEDIA_TYPES[kind]
    return "json"


def encode_cursor(*key: Any) -> str:
    """Return the cursor for the next page. `key` has the values by which the last row of this page is sorted."""
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, *kinds: type) -> tuple[Any, ...] | None:
    """Return the key that a cursor encodes.

    Args:
        cursor: the cursor; None for the first page.
        kinds: the types of the values in the key, in order.

    Returns:
        The values by which the last row of the previous page is sorted; None for the first page.

    Raises:
        Problem: status 422, if the text is not a cursor with values of these types.
    """
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        key = json.loads(raw)
    except (binascii.Error, ValueError, RecursionError):
        key = None
    if not (isinstance(key, list) and len(key) == len(kinds) and all(map(_has_type, key, kinds))):
        raise Problem(422, "query cursor: expected `next` of the previous page, unchanged")
    return tuple(key)


def _has_type(value: Any, kind: type) -> bool:
    if isinstance(value, int) and kind is int:
        return not isinstance(value, bool) and abs(value) <= _LARGEST
    return kind is str and isinstance(value, str) and len(value) <= 300 and value.isprintable()
