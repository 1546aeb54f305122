"""What a request may say: limits, cursors, ids, forms of answer.

Laws: a cursor is opaque, names the last row seen, and is refused when it is none of ours; a page holds at most
MOST rows; text that no database can hold (NUL) is refused before it gets there.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request

from pipeline.api.problems import Problem

MOST = 1_000
# Characters that JSON, a URL and both databases carry: no controls.
TEXT = r"^[^\x00-\x1f\x7f]+$"
_PLAIN = r"^[ -~]+$"
_LARGEST = 2**63 - 1

View = Literal["raw", "defended", "style"]
Form = Literal["json", "csv", "parquet"]
_FORMS: dict[str, Form] = {"text/csv": "csv", "application/vnd.apache.parquet": "parquet"}

Limit = Annotated[int, Query(ge=1, le=MOST, description="The most rows of a page.")]
Cursor = Annotated[
    str | None, Query(max_length=200, pattern=_PLAIN, description="`next` of the page before, as it came.")
]
ViewOf = Annotated[
    View, Query(description="raw: all votes; defended: without exclusions; style: those under style control.")
]
FormOf = Annotated[
    Form | None, Query(alias="format", description="The form of the answer; default: what Accept asks for, else JSON.")
]
SnapshotId = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="A snapshot's digest.")]
Name = Annotated[str, Path(max_length=300, min_length=1)]


async def nothing_else(request: Request) -> None:
    """Refuse a query that holds what its route does not know: a slip of the pen must not be taken for the default.

    Nor can anybody make one answer be made, and kept, over and over under other names.

    Raises:
        Problem: 422, names it and what is known.
    """
    known = [one.alias for one in request.scope["route"].dependant.query_params]
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in known:
            raise Problem(422, f"query {name[:100]}: expected one of {', '.join(known) or 'nothing'}")
        if given.count(name) > 1:
            raise Problem(422, f"query {name}: expected it once, got it {given.count(name)} times")


def form_of(asked: Form | None, accept: str) -> Form:
    """The form of an answer; `?format=` goes before Accept."""
    return asked or preferred(accept)


def preferred(accept: str) -> Form:
    """What an Accept header asks for among the forms of a table."""
    for part in accept.split(","):
        kind = part.split(";")[0].strip().lower()
        if kind in _FORMS:
            return _FORMS[kind]
    return "json"


def cursor_of(*key: Any) -> str:
    """The cursor that names a row."""
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def key_of(cursor: str | None, *kinds: type) -> tuple[Any, ...] | None:
    """The key in a cursor, None without one.

    Raises:
        Problem: 422, it is none of ours.
    """
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        key = json.loads(raw)
    except (binascii.Error, ValueError, RecursionError):
        key = None
    if not (isinstance(key, list) and len(key) == len(kinds) and all(map(_fits, key, kinds))):
        raise Problem(422, "query cursor: expected `next` of the page before, as it came")
    return tuple(key)


def _fits(value: Any, kind: type) -> bool:
    if isinstance(value, int) and kind is int:
        return not isinstance(value, bool) and abs(value) <= _LARGEST
    return kind is str and isinstance(value, str) and len(value) <= 300 and value.isprintable()
