"""Checks single settings, and builds messages about bad values in the same form for every setting."""

import ipaddress
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator
from pydantic.fields import FieldInfo

from pipeline.compute.engine import Engine
from pipeline.vocabulary.url_passwords import without_passwords

PREFIX = "INTEGRITY_"
SECRETS = ("voter_key", "ledger_key", "ledger_key_before", "archive_key")
"""The settings with keys in hexadecimal digits. Their values are never shown."""
PASSWORDS = ("kafka_sasl_plain_password", "kafka_ssl_password", "postgres_password", "postgres_sslpassword")
"""The settings with passwords and other secret text. Their values are never shown."""
SECURITY_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
SASL_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# Of addresses that pyarrow's filesystems read.
_SCHEMES = ("file", "s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
_WITH_KEYS = ("publish_key", "publishers")
"""The settings whose text may contain keys, together with other words. Their values are never shown."""
_HIDDEN = (*SECRETS, *PASSWORDS, *_WITH_KEYS)

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


def _topic_name(text: str) -> str:
    """Return the name if Kafka accepts it as the name of a topic.

    Raises:
        ValueError: Kafka does not accept the name. The message says what a name may contain.
    """
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", text) or text in (".", ".."):
        raise ValueError("a topic: 1 to 249 letters, digits, dots, dashes and underscores")
    return text


def _one_of(*words: str) -> AfterValidator:
    def check(text: str) -> str:
        if text not in words:
            raise ValueError("one of " + ", ".join(filter(None, words)))
        return text

    return AfterValidator(check)


def _address(text: str) -> str:
    if len(text) > 300 or not text.isprintable():
        raise ValueError("one line of at most 300 visible characters")
    return text


def _page_address(text: str) -> str:
    """Return the address of the pages without a slash at its end, so that a path can be appended."""
    address = text.rstrip("/")
    # The links of the pages begin with "/", so the pages cannot be below a path.
    if text and not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]_-]{1,280}", address):
        raise ValueError("the address of the page without a path, such as https://board.example")
    return address


def _engine(text: str) -> str:
    return str(Engine.parse(text))


def _ledger_place(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if scheme in ("s3", "gs", "gcs") and "@" in rest.partition("?")[0]:
        raise ValueError("an address without a key: each worker has credentials in its own environment")
    if (separator and (scheme not in _SCHEMES or not rest)) or not text.isprintable():
        raise ValueError(
            f"a folder, or an address with one of the schemes {', '.join(_SCHEMES)}, such as s3://BUCKET/PATH"
        )
    return text


def _addresses(text: str) -> str:
    for one in filter(None, map(str.strip, text.split(","))):
        try:
            ipaddress.ip_network(one)
        except ValueError:
            raise ValueError("addresses and networks separated by commas, such as 10.0.0.2,10.1.0.0/16") from None
    return text


Topic = Annotated[str, AfterValidator(_topic_name)]
SecurityProtocol = Annotated[str, _one_of(*SECURITY_PROTOCOLS)]
LogIds = Annotated[str, _one_of("keyed", "conversation")]
SaslMechanism = Annotated[str, _one_of("", *SASL_MECHANISMS)]
SslMode = Annotated[str, _one_of("", *_SSL_MODES)]
ComputeLedger = Annotated[str, AfterValidator(_ledger_place)]
Compute = Annotated[str, AfterValidator(_engine)]
Address = Annotated[str, AfterValidator(_address)]
PageAddress = Annotated[str, AfterValidator(_page_address)]
Seed = Annotated[str, AfterValidator(_hexadecimal)]
Anchor = Annotated[str, AfterValidator(_model_and_points)]
Proxies = Annotated[str, AfterValidator(_addresses)]


def explain(fault: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> str:
    """Return a sentence about a bad value of a setting.

    The sentence has the name of the variable, what was expected and, unless the setting is secret, the value.

    Args:
        fault: an entry of pydantic's `ValidationError.errors()`.
        fields: name of a setting → its pydantic field.
    """
    name = str(fault["loc"][0])
    if name not in fields:
        return f"expected a setting, got {name!r}: `integrity doctor` lists them"
    expected = str(fault["ctx"]["error"]) if fault["type"] == "value_error" else _expectation(fields[name])
    found = "" if name in _HIDDEN else f", got {shown(name, fault['input'])!r}"
    return f"{PREFIX}{name.upper()}: expected {expected}{found}"


def is_secret(name: str, value: str) -> bool:
    """Return whether the value of a setting contains a key or a password.

    Args:
        name: name of the setting.
        value: value of the setting.
    """
    return bool(value) and shown(name, value) != value


def shown(name: str, value: Any) -> Any:
    """Return the value of a setting in the form in which it may be shown.

    A secret becomes "(set)", or "" if it is not set. A URL loses its passwords.

    Args:
        name: name of the setting.
        value: value of the setting.
    """
    if name in _HIDDEN:
        return "(set)" if value else ""
    return without_passwords(value) if isinstance(value, str) else value


def _expectation(field: FieldInfo) -> str:
    limits = {key: getattr(part, key) for part in field.metadata for key in ("ge", "le") if hasattr(part, key)}
    span = f" from {limits['ge']:,} to {limits['le']:,}" if limits else ""
    return _KINDS[field.annotation or str] + span
