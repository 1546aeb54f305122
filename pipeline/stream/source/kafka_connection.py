"""Creates clients of kafka-python whose errors say why they cannot connect.

The library retries a failed connection until a timeout, and then raises an error without the reason. This module
remembers the last failure of each broker, and puts it in the error. If every broker refuses the first connection
because of a certificate or a login, the attempt ends immediately.
"""

import logging
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from kafka.errors import (
    AuthorizationError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    KafkaProtocolError,
    RetriableError,
    SaslAuthenticationFailedError,
    TopicAuthorizationFailedError,
    UnsupportedCodecError,
    UnsupportedSaslMechanismError,
)
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from pipeline.errors import BrokerRefused, BrokerUnavailable, IntegrityError, MissingCodec, Unavailable
from pipeline.stream.source.kafka_security import Security

# A live broker answers in milliseconds. A command that is refused must end within seconds.
CONNECT_MS = 8_000
_PROBE_SECONDS = 2.0
# A broker that takes a connection and ends it unasked speaks something else; after this many times (3 s) we say so.
_BROKEN_OFF = 6

Client = TypeVar("Client")


class _Quiet(logging.Filter):
    """Hides the library's log lines while a client connects for the first time.

    This project reports a failure itself, once.
    """

    def __init__(self) -> None:
        super().__init__()
        self._connecting, self._lock = 0, threading.Lock()
        for name in ("net.manager", "net.connection", "net.transport", "net.inet", "cluster"):
            logging.getLogger(f"kafka.{name}").addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - the library passes it
        """Return whether a log line is shown."""
        return not self._connecting

    def __enter__(self) -> None:
        with self._lock:
            self._connecting += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._connecting -= 1


_quiet = _Quiet()


class _WatchedManager(KafkaConnectionManager):  # type: ignore[misc]  # the client is not typed
    """Extends the library's manager of connections: it keeps the last failure of each broker."""

    def __init__(self, net: Any, **configs: Any) -> None:
        super().__init__(net, **configs)
        self.failures: dict[Any, BaseException] = {}
        self._broken_off: Counter[Any] = Counter()

    def get_connection(self, node_id: Any, *args: Any, **options: Any) -> Any:
        """Do what the library's method does, but raise an error if every broker has refused or ended its connection.

        The error is raised only before the client's first successful connection.
        """
        if not self.bootstrapped:
            named = [broker.node_id for broker in self.cluster.bootstrap_brokers()]
            if named and all(map(self._has_refused, named)):
                raise self.failures[named[0]]
        before = self._conns.get(node_id)
        connection = super().get_connection(node_id, *args, **options)
        if connection is not before:
            connection.init_future.add_callback(lambda _: self.failures.pop(node_id, None))
            connection.init_future.add_errback(lambda error: self._failed(node_id, error))
            connection.close_future.add_errback(lambda error: self._failed(node_id, error))
        return connection

    def _failed(self, node_id: Any, error: BaseException) -> None:
        self._broken_off[node_id] += _is_broken_off(error) and self.failures.get(node_id) is not error
        self.failures[node_id] = error

    def _has_refused(self, node_id: Any) -> bool:
        error = self.failures.get(node_id)
        return error is not None and (
            _refusal(error, self.config) is not None or self._broken_off[node_id] >= _BROKEN_OFF
        )

    async def _build_transport(self, node: Any, timeout_at: float | None = None) -> Any:
        """Do what the library's method does, but keep the answer that a broker sends before it closes the connection.

        If an answer and the end of the connection arrive together, the library drops the answer. The answer mostly says
        why a login failed.
        """
        # The library waits for ever for a server that takes the connection and does not answer to TLS.
        built = self.call_soon(super()._build_transport, node, timeout_at)
        transport = await self.wait_for(built, CONNECT_MS)
        receive = transport._sock_recv

        def first_what_was_said() -> tuple[bytes, Any]:
            data, error = receive()
            return data, (None if data else error)  # the next read finds the end again

        transport._sock_recv = first_what_was_said
        return transport


class WatchedClient(KafkaNetClient):  # type: ignore[misc]  # the client is not typed
    """Extends the library's network client: it remembers the last failure of each broker."""

    def __init__(self, **configs: Any) -> None:
        # On a busy machine the library warns of each step of its loop that took over 0.1 s. Nobody can act on that.
        net = NetworkSelector(**configs, slow_task_threshold_secs=0)
        super().__init__(net=net, manager=_WatchedManager(net, **configs))

    def failure(self) -> BaseException | None:
        """Return the last refusal by a broker, or else the last other failure; None if no connection failed."""
        failures: list[BaseException] = list(self._manager.failures.values())
        found = [error for error in failures if _refusal(error, self._manager.config)] or failures
        return found[-1] if found else None

    def has_silent_broker(self) -> bool:
        """Return whether one broker has failed, and another was not tried or has not answered in the time."""
        failed = self._manager.failures
        return bool(failed) and any(one.node_id not in failed for one in self._manager.cluster.bootstrap_brokers())

    def end(self) -> None:
        """Close the connections, and end the thread of the client."""
        self.close()
        self._net.stop()


def connect(make: Callable[..., Client], bootstrap: str, security: Security, **options: Any) -> Client:
    """Create a client of kafka-python, and connect it.

    Args:
        make: the class of the client: KafkaConsumer, KafkaProducer or KafkaAdminClient.
        bootstrap: HOST:PORT of brokers, separated by commas.
        security: options for TLS and SASL, from `client_security`.
        options: all other options of the client.

    Raises:
        BrokerUnavailable: no broker answers.
        BrokerRefused: brokers answer, but refuse our certificate or login.
    """
    made: list[WatchedClient] = []

    def watched(**configs: Any) -> WatchedClient:
        made.append(WatchedClient(**configs))
        return made[-1]

    settings = {"bootstrap_timeout_ms": CONNECT_MS, **security, **options}
    while True:
        try:
            with _quiet:
                return make(bootstrap_servers=bootstrap.split(","), kafka_client=watched, **settings)
        except (KafkaError, IntegrityError, OSError) as error:
            cause, again = (made[-1].failure(), made[-1].has_silent_broker()) if made else (None, False)
            for client in made[-1:]:
                client.end()
            if len(made) != 1 or not again:  # one more try
                raise explained(bootstrap, cause or error, security) from error


def explained(bootstrap: str, error: BaseException, security: Security) -> BrokerUnavailable:
    """Convert an error of the library about a connection to an error that says why the connection failed.

    Args:
        bootstrap: HOST:PORT of brokers, separated by commas.
        error: the error of the library.
        security: options for TLS and SASL, from `client_security`.

    Returns:
        BrokerRefused if the brokers refuse us, BrokerUnavailable otherwise.
    """
    if why := _refusal(error, security):
        return BrokerRefused(f"Kafka at {bootstrap} does not let us in: {why}")
    found = str(security["security_protocol"])
    if not found.endswith("SSL") and _is_broken_off(error) and any(map(_speaks_tls, bootstrap.split(","))):
        return BrokerRefused(
            f"Kafka at {bootstrap} speaks TLS: expected INTEGRITY_KAFKA_SECURITY_PROTOCOL SSL or SASL_SSL, got {found}"
        )
    return BrokerUnavailable(f"no Kafka broker answers at {bootstrap}: {_hint(error, security)}")


def broker_error(where: str, error: BaseException) -> Unavailable:
    """Convert an error of the library about a request to an error of this project.

    Args:
        where: the request and the broker, for the message.
        error: the error of the library.

    Returns:
        BrokerRefused if an access rule or a login was refused. MissingCodec if the package for a compression is
        missing. BrokerUnavailable otherwise.
    """
    if isinstance(error, GroupAuthorizationFailedError):
        return BrokerRefused(f"{where}: no ACL lets us join consumer group {_named(error)} (READ on the group)")
    if isinstance(error, TopicAuthorizationFailedError):
        return BrokerRefused(f"{where}: no ACL lets us use topic {_named(error)} (READ or WRITE, and DESCRIBE)")
    if "ClusterAuthorizationFailedError" in str(error):  # the library wraps the one of the first record's number
        return BrokerRefused(f"{where}: no ACL lets us write (WRITE on a topic, or IDEMPOTENT_WRITE on the cluster)")
    if isinstance(error, AuthorizationError | SaslAuthenticationFailedError):
        return BrokerRefused(f"{where}: refused by the broker: {error}")
    if isinstance(error, UnsupportedCodecError):
        return MissingCodec(
            f"{where}: expected the codec's package, got none: {error}; `pip install python-snappy lz4 zstandard`"
        )
    return BrokerUnavailable(f"{where}: {error}")


def _named(error: BaseException) -> str:
    about = error.args[0] if error.args else "?"
    return ", ".join(sorted(map(str, about))) if isinstance(about, set | frozenset | list | tuple) else str(about)


def _is_broken_off(error: BaseException) -> bool:
    """Return whether a broker accepted a connection and then ended it, or answered with something that is not Kafka."""
    cause = _cause(error)
    broken = "socket disconnected" in str(error) or isinstance(error, KafkaProtocolError)
    return broken or isinstance(cause, ssl.SSLError | ConnectionResetError | BrokenPipeError)


def _cause(error: BaseException) -> BaseException:
    """Return the error of the socket or of TLS that an error of the library wraps, or the error itself."""
    inner = error.__context__ or next((one for one in error.args if isinstance(one, BaseException)), None)
    return inner if inner is not None and isinstance(error, RetriableError) else error


def _refusal(error: BaseException, security: Security) -> str | None:
    """Return why a broker refuses the connection; None for errors that may be temporary."""
    cause = _cause(error)
    if isinstance(cause, ssl.SSLError):
        return _tls_refusal(cause)
    if isinstance(error, SaslAuthenticationFailedError):
        user = security.get("sasl_plain_username")
        who = f"user {user!r}" if user else "the token"
        found = error.args[0] if error.args else error
        return f"the login of {who} by {security.get('sasl_mechanism')} failed: {found}"
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"it offers no login by {security.get('sasl_mechanism')}: {error}"
    if isinstance(error, IllegalSaslStateError):
        return "its listener takes no login: expected INTEGRITY_KAFKA_SECURITY_PROTOCOL SSL or PLAINTEXT, got SASL"
    return str(error) if isinstance(error, AuthorizationError | IntegrityError) else None


def _tls_refusal(cause: ssl.SSLError) -> str | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not accepted: {cause.verify_message} (INTEGRITY_KAFKA_SSL_CAFILE names the CA that "
            "signed it)"
        )
    if "ALERT" in str(cause.reason or "").upper():
        return (
            f"it refuses our side of TLS: {cause.reason} (INTEGRITY_KAFKA_SSL_CERTFILE and INTEGRITY_KAFKA_SSL_KEYFILE "
            "name a certificate that it knows)"
        )
    return None


def _hint(error: BaseException, security: Security) -> str:
    """Return the error as text. If the broker ended the connection, the text also names the likely cause."""
    cause, protocol = _cause(error), str(security["security_protocol"])
    if protocol.endswith("SSL") and isinstance(cause, ssl.SSLError | ConnectionError):
        return f"the TLS handshake failed: {cause}; is it a port without TLS?"
    if "socket disconnected" in str(error) and not protocol.startswith("SASL"):
        return f"{error}; does its listener ask for a login (SASL) or for TLS?"
    return str(error)


def _speaks_tls(server: str) -> bool:
    """Return whether a port speaks TLS. No certificate is checked, because nothing is sent."""
    host, _, port = server.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _PROBE_SECONDS) as plain:
            plain.settimeout(_PROBE_SECONDS)
            context.wrap_socket(plain).close()
    except (OSError, ValueError):
        return False
    return True
