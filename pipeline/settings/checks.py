"""Types of settings and messages about bad values, worded alike for every setting."""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator
from pydantic.fields import FieldInfo

PREFIX = "INTEGRITY_"
SECRETS = ("voter_key", "ledger_key", "ledger_key_before")
# Not shown either: they hold keys among other words.
_WITH_KEYS = ("publish_key", "publishers")

_KINDS: dict[Any, str] = {bool: "true or false", int: "an integer", float: "a number", str: "text"}


def _hexadecimal(text: str) -> str:
    if text and not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise ValueError("64 hexadecimal digits (`openssl rand -hex 32` makes them)")
    return text


def _model_and_points(text: str) -> str:
    model, _, points = text.rpartition("=")
    try:
        rating = float(points) if text else 0.0
    except ValueError:
        rating = math.nan
    if (text and not model) or not math.isfinite(rating):
        raise ValueError("MODEL=POINTS")
    return text


Seed = Annotated[str, AfterValidator(_hexadecimal)]
Anchor = Annotated[str, AfterValidator(_model_and_points)]


def explain(fault: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> str:
    """Return an entry of `ValidationError.errors()` as a message: the variable, what it must be, and what it is."""
    name = str(fault["loc"][0])
    if name not in fields:
        return f"expected a setting, got {name!r}: `integrity doctor` lists them"
    expected = str(fault["ctx"]["error"]) if fault["type"] == "value_error" else _expectation(fields[name])
    found = "" if name in SECRETS + _WITH_KEYS else f", got {fault['input']!r}"
    return f"{PREFIX}{name.upper()}: expected {expected}{found}"


def shown(name: str, value: Any) -> Any:
    """Return a setting's value as people may see it: without keys and without the store's password."""
    if name in SECRETS + _WITH_KEYS:
        return "(set)" if value else ""
    return re.sub(r"(://[^:/@]*):.*@", r"\1:***@", value) if name == "store" else value


def _expectation(field: FieldInfo) -> str:
    limits = {key: getattr(part, key) for part in field.metadata for key in ("ge", "le") if hasattr(part, key)}
    span = f" from {limits['ge']:,} to {limits['le']:,}" if limits else ""
    return _KINDS[field.annotation or str] + span
