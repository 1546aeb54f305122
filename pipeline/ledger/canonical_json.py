"""Writes and reads canonical JSON (RFC 8785), and records that have exactly their declared fields.

Every value has one spelling: other bytes are refused. A missing field and an undeclared field are errors. An optional
field with the value None is left out. A digest is 64 lower-case hexadecimal digits.

Not handled: the meaning of fields.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from math import isfinite
from types import NoneType, UnionType
from typing import Any, NewType, TypeVar, get_args, get_origin, get_type_hints

import rfc8785

from ..errors import Refuted

Digest = NewType("Digest", str)
"""SHA-256 as 64 lower-case hexadecimal digits."""

T = TypeVar("T")

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
# Other JSON readers round larger integers.
_MAX_INTEGER = 2**53 - 1
# Most values of a file: parsed, each takes some 100 bytes. A manifest of 10,000 models has 200,000.
_MAX_VALUES = 1_000_000


def dump(record: Any) -> bytes:
    """Return a record (a dataclass) or a JSON value as the bytes of its canonical JSON."""
    return rfc8785.dumps(_plain(record))


def _plain(value: Any) -> Any:
    """Return a dataclass as a JSON value, together with all dataclasses inside it."""
    if is_dataclass(value) and not isinstance(value, type):
        given = ((field, getattr(value, field.name)) for field in fields(value))
        return {field.name: _plain(one) for field, one in given if one is not None or field.default is MISSING}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return value


def to_json(record: Any) -> Any:
    """Return a record (a dataclass) as a JSON value of dictionaries, lists, texts and numbers."""
    return json.loads(dump(record))


def load(kind: type[T], data: bytes, where: str) -> T:
    """Read a record from its canonical bytes.

    Args:
        kind: the dataclass of the record.
        data: bytes of the file.
        where: name of the file, for messages.

    Returns:
        The record.

    Raises:
        Refuted: reason `limit`: there are too many values. Reason `canonical`: the JSON is not canonical. Reason
            `fields`: the fields are not the declared ones. The message names the place.
    """
    values = 1 + sum(data.count(sign) for sign in (b",", b"[", b"{"))
    if values > _MAX_VALUES:
        raise Refuted("limit", where, f"expected at most {_MAX_VALUES:,} values, got some {values:,}")
    try:
        value = json.loads(data)
        canonical = rfc8785.dumps(value)
    except (ValueError, RecursionError) as error:
        raise Refuted("canonical", where, f"expected JSON in the form of RFC 8785: {error}") from None
    if canonical != data:
        if data.replace(b"\r\n", b"\n").strip(b"\n") == canonical:
            ends = "CRLF" if b"\r\n" in data else "LF"
            raise Refuted("canonical", where, f"expected no line ending at the end of the file, got {ends}")
        place = next((at for at, (a, b) in enumerate(zip(canonical, data, strict=False)) if a != b), len(canonical))
        raise Refuted("canonical", where, f"expected JSON in the form of RFC 8785, it differs at byte {place}")
    result: T = _read(kind, value, where)
    return result


def _read(kind: Any, value: Any, where: str) -> Any:
    if is_dataclass(kind):
        return _record(kind, value, where)
    origin = get_origin(kind)
    if origin is tuple:
        _expect(isinstance(value, list), "a list", value, where)
        return tuple(_read(get_args(kind)[0], one, f"{where}[{place}]") for place, one in enumerate(value))
    if origin is not None and origin is not UnionType:
        _expect(isinstance(value, dict), "an object", value, where)
        return {name: _read(get_args(kind)[1], one, f"{where}.{name}") for name, one in value.items()}
    return _scalar(kind, value, where)


def _record(kind: Any, value: Any, where: str) -> Any:
    _expect(isinstance(value, dict), "an object", value, where)
    hints = _hints(kind)
    optional = {field.name for field in fields(kind) if field.default is None}
    for name in sorted((hints.keys() ^ value.keys()) - (optional - value.keys())):
        detail = "expected this field, got none" if name in hints else "expected no such field"
        raise Refuted("fields", f"{where}.{name}", detail)
    return kind(
        **{
            name: _read(_present(hint) if name in optional else hint, value[name], f"{where}.{name}")
            for name, hint in hints.items()
            if name in value
        }
    )


def _present(hint: Any) -> Any:
    """Return the type of an optional field without None."""
    return next(one for one in get_args(hint) if one is not NoneType)


def _scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is Digest:
        _expect(isinstance(value, str) and bool(_DIGEST.fullmatch(value)), "64 hexadecimal digits", value, where)
    elif kind is int:
        _expect(type(value) is int and 0 <= value <= _MAX_INTEGER, "a whole number from 0", value, where)
    elif kind is float:
        _expect(type(value) in (int, float) and isfinite(value), "a number", value, where)
        return float(value)
    elif kind is str:
        _expect(isinstance(value, str), "a text", value, where)
    elif kind is bool:
        _expect(isinstance(value, bool), "true or false", value, where)
    else:
        _expect(isinstance(value, str | int | float | bool | None), "a plain value", value, where)
    return value


def _expect(good: bool, what: str, value: Any, where: str) -> None:
    if not good:
        raise Refuted("fields", where, f"expected {what}, got {str(value)[:80]!r}")


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}
