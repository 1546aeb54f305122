"""Decides which voter an id stands for: gives each id one spelling, and finds ids that stand for no single person.

Two rules hold for votes of every source. First, the ids 3 and 3.0 are one voter, because a table with a missing value
stores whole numbers as floats. Second, two kinds of ids stand for no single person: a placeholder for a missing value,
and an address that many people share (this machine, a private network, a configured proxy).
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

PLACEHOLDERS = frozenset(
    {"", "-", "--", "none", "nan", "n/a", "#n/a", "<na>", "null", "nil", "undefined", "arena_user", "localhost"}
    | {"localhost.localdomain", "ip6-localhost", "ip6-loopback"}
)
"""Texts that tables and programs write for an absent value, in lower case."""

# This machine, private networks and links: RFC 1122, 1918, 3927, 4193, 4291.
_SHARED: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
        "::/128", "::1/128", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip
PREFIXES = "arena_user|user|visitor|client|ip"
"""Words that may precede an address in a voter id, as a regular expression. FastChat writes arena_user_ADDRESS."""

_PREFIX = re.compile(rf"(?:{PREFIXES})[_:\-](?=.)", re.IGNORECASE)
_WHOLE_NUMBER = re.compile(r"([+-]?\d+)\.0+", re.ASCII)
_WITH_PORT = re.compile(r"\[([^\]]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+", re.ASCII)


def spell_voter(voter_id: str) -> str:
    """Return the standard spelling of a voter's id: a whole number loses its decimals, other ids stay as they are.

    >>> spell_voter("3.0"), spell_voter("3.05"), spell_voter("al")
    ('3', '3.05', 'al')
    """
    if "." not in voter_id:
        return voter_id
    found = _WHOLE_NUMBER.fullmatch(voter_id)
    return found[1] if found else voter_id


def names_nobody(voter_id: str, proxies: Sequence[Network] = ()) -> bool:
    """Return whether a voter's id identifies nobody: a placeholder, or an address that many people share.

    Args:
        voter_id: the id. A prefix such as "arena_user_" before an address is ignored.
        proxies: addresses and networks of configured proxies, which many people share.

    >>> names_nobody("arena_user_172.17.0.1"), names_nobody("NaN"), names_nobody("arena_user_198.51.100.7")
    (True, True, False)
    """
    text = voter_id.strip().casefold()
    if text in PLACEHOLDERS:
        return True
    if text.isalnum():  # neither a prefix nor an address; most ids are so
        return False
    rest = _PREFIX.sub("", text, count=1) if _PREFIX.match(text) else text
    return rest in PLACEHOLDERS or all(_is_shared(part.strip(), proxies) for part in rest.split(","))


def find_voter(voter_id: str | None, proxies: Sequence[Network] = ()) -> str | None:
    """Return the standard spelling of a voter's id; None without an id, or if the id identifies nobody.

    Args:
        voter_id: the id that the vote states.
        proxies: addresses and networks of configured proxies; an id with such an address identifies nobody.
    """
    if voter_id is None or names_nobody(voter_id, proxies):
        return None
    return spell_voter(voter_id)


@lru_cache(maxsize=8)
def parse_proxies(text: str) -> tuple[Network, ...]:
    """Parse a list of IP addresses and networks, separated by commas.

    Raises:
        ValueError: an item is neither an address nor a network.
    """
    return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())


def _is_shared(text: str, proxies: Sequence[Network]) -> bool:
    # Parsing an address costs ten times the rest, and most ids are none.
    if ("." not in text and ":" not in text) or not (text[0].isdigit() or text[0] in "[:abcdef"):
        return False
    ported = _WITH_PORT.fullmatch(text)
    if ported:
        text = ported[1] or ported[2]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in (*_SHARED, *proxies))
