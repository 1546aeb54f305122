"""Parses kafka://HOST:PORT,HOST:PORT…/TOPIC, the address of a Kafka cluster. The login is in settings, not in the URL.

A URL with a part that is not allowed is an error. The message never has a password.
"""

import re
from urllib.parse import parse_qsl

from pipeline.errors import Usage

EXPECTED = "kafka://HOST:PORT or kafka://HOST:PORT,HOST:PORT/TOPIC"
_DEFAULT_PORT = 9092
_LARGEST_PORT = 65_535
_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?)(?::([0-9]{1,5}))?")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


def is_kafka_url(text: str) -> bool:
    """Return whether the address of a source begins like a Kafka URL. Any other address is that of a file."""
    return text.lower().startswith("kafka:")


def parse_kafka_url(url: str) -> tuple[str, str]:
    """Parse a Kafka URL into its servers and its topic.

    Returns:
        Two texts: the servers as HOST:PORT,HOST:PORT (a missing port becomes 9092), and the topic ("" if the URL names
        none).

    Raises:
        Usage: the text is not a Kafka URL, or has a login, parameters or an invalid topic.
    """
    scheme, mark, rest = url.partition("://")
    if scheme.lower() != "kafka" or not mark:
        raise Usage(f"expected {EXPECTED}, got {_shown(url)!r}")
    address, _, _ = rest.partition("#")
    place, _, query = address.partition("?")
    servers, _, topic = place.partition("/")
    if "@" in rest:
        raise Usage(
            f"expected {EXPECTED} without a login, got {_shown(url)!r}: INTEGRITY_KAFKA_SASL_PLAIN_USERNAME and "
            "INTEGRITY_KAFKA_SASL_PLAIN_PASSWORD give user and password"
        )
    if "?" in rest or "#" in rest:
        names = ", ".join(name for name, _ in parse_qsl(query, keep_blank_values=True)) or "a fragment"
        raise Usage(f"expected {EXPECTED} without parameters, got {names} in {_shown(url)!r}: settings give the rest")
    topic = topic.removesuffix("/")
    if topic and (not _TOPIC.fullmatch(topic) or topic in (".", "..")):
        raise Usage(f"expected {EXPECTED}, got topic {topic!r} in {_shown(url)!r}")
    return ",".join(_server(one, url) for one in servers.split(",")), topic


def check_topic(name: str) -> str:
    """Check that Kafka accepts the name of a topic, and return the name.

    Raises:
        Usage: the name is not 1 to 249 letters, digits, dots, dashes and underscores.
    """
    if not _TOPIC.fullmatch(name) or name in (".", ".."):
        raise Usage(f"expected a topic of 1 to 249 letters, digits, dots, dashes and underscores, got {name!r}")
    return name


def _server(text: str, url: str) -> str:
    found = _SERVER.fullmatch(text)
    port = int(found[2] or _DEFAULT_PORT) if found else 0
    if found is None or not 0 < port <= _LARGEST_PORT:
        raise Usage(f"expected {EXPECTED} with ports from 1 to {_LARGEST_PORT}, got {_shown(url)!r}")
    return f"{found[1]}:{port}"


def _shown(url: str) -> str:
    """Return a URL without passwords: everything before an @ and the values of parameters are replaced by ***."""
    hidden = re.sub(r"^([^/]*//)?.*@", r"\1***@", url, flags=re.DOTALL)
    return re.sub(r"=[^&#]*", "=***", hidden) if "?" in hidden else hidden
