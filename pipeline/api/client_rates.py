"""Identifies the client of a request, and limits how many requests each client may send per minute.

Memory is bounded, however many different addresses send requests.
"""

import ipaddress
import time
from collections.abc import Callable, Iterable

from cachetools import LRUCache

# An IPv6 client has a whole network of this size for itself, and changes its address in it at will.
_OWN_NETWORK = 64
_CLIENTS = 20_000


def client_of(address: str) -> str:
    """Return the text that identifies the client to which an address belongs.

    Returns:
        For an IPv4 address, the address itself, even if it is written as an IPv6 address. For any other IPv6 address,
        its /64 network. A text that is no address is returned unchanged.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # a Unix socket, or a test
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _OWN_NETWORK), strict=False))


class TrustedProxies:
    """The proxies that are trusted to state the addresses of their clients.

    `address in proxies` is true if this address belongs to a trusted proxy.

    Args:
        texts: addresses and networks of the proxies, as text.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        networks = [ipaddress.ip_network(text) for text in texts]
        # A server that listens on IPv6 sees an IPv4 client at such an address.
        mapped = [
            ipaddress.ip_network(f"::ffff:{one.network_address}/{96 + one.prefixlen}")
            for one in networks
            if one.version == 4
        ]
        self._networks = [*networks, *mapped]
        self.texts = tuple(map(str, self._networks))

    def __contains__(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


class ClientRates:
    """Limits the rate of requests of each client with the generic cell rate algorithm.

    The algorithm stores one number for each client: the time at which its full burst is available again.

    Args:
        per_minute: number of requests that a client may send per minute; 0 for no limit.
        burst: number of requests that a client may send without a pause; 0 for the same number as `per_minute`.
        clock: returns the time in seconds from a monotonic clock.
    """

    def __init__(self, per_minute: int, burst: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 60 / per_minute if per_minute else 0.0
        self._slack = self._interval * (burst or per_minute)
        self._clock = clock
        self._whole_at: LRUCache[str, float] = LRUCache(_CLIENTS)

    def seconds_to_wait(self, client: str) -> float:
        """Return the number of seconds after which this client may send its next request; 0 if it may send one now."""
        whole_at: float = self._whole_at.get(client, 0.0)
        return max(0.0, whole_at + self._interval - self._slack - self._clock())

    def count(self, client: str) -> None:
        """Count one request of this client towards its limit."""
        if self._interval:
            self._whole_at[client] = max(self._whole_at.get(client, 0.0), self._clock()) + self._interval
