"""Turns settings into kafka-python's options for TLS and SASL. Every client gets these options.

A setting that would have no effect is an error, so that nobody connects without TLS by mistake. If a certificate or key
file cannot be used, an error names it before any connection is made. Passwords never appear in logs, not even when the
client logs its options.
"""

import importlib
import logging
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kafka.net.sasl.oauth import AbstractTokenProvider

from pipeline.errors import Usage
from pipeline.private_files import warn_if_open
from pipeline.settings import PREFIX, Settings

Security = Mapping[str, Any]
"""Options for TLS and SASL of any client of kafka-python."""

PLAINTEXT: Security = {"security_protocol": "PLAINTEXT"}

_TLS = ("ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_password", "ssl_crlfile")
_OAUTH = ("sasl_oauth_token_provider", "sasl_oauth_token_file")
_LOGIN = ("sasl_plain_username", "sasl_plain_password")
# They log every request at DEBUG, a login's password included.
_TALKATIVE = ("kafka.net.connection", "kafka.protocol.parser")


class _Password(str):
    """A text that is hidden when printed, because clients log their options at DEBUG."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class _TokenFile(AbstractTokenProvider):  # type: ignore[misc]  # the client is not typed
    """A token provider that reads the token from a file at every login."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def token(self) -> str:
        """Return the current token of the file."""
        try:
            found = Path(self._path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Usage(f"{_name('sasl_oauth_token_file')}: expected a file with a token, got {error}") from error
        warn_if_open(Path(self._path))
        if not found:
            raise Usage(f"{_name('sasl_oauth_token_file')}: expected a token in {self._path}, got an empty file")
        return found


def client_security(settings: Settings) -> Security:
    """Return the options for TLS and SASL that every Kafka client of this process must get.

    Raises:
        Usage: the settings contradict each other, a setting that SASL needs is missing, or a certificate or key file
            cannot be used.
    """
    given = {name: getattr(settings, f"kafka_{name}") for name in (*_TLS, *_OAUTH, *_LOGIN, "sasl_mechanism")}
    protocol = settings.kafka_security_protocol
    options: dict[str, Any] = {"security_protocol": protocol}
    if protocol.endswith("SSL"):
        options["ssl_context"] = _ssl_context(given, settings.kafka_ssl_check_hostname)
    else:
        _expect_none(given, _TLS, "SSL or SASL_SSL", protocol)
    if protocol.startswith("SASL"):
        options |= _sasl(given)
    else:
        _expect_none(given, ("sasl_mechanism", *_LOGIN, *_OAUTH), "SASL_SSL or SASL_PLAINTEXT", protocol)
    return options


def _is_above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def _name(option: str) -> str:
    return f"{PREFIX}KAFKA_{option.upper()}"


def _expect_none(given: Mapping[str, str], names: tuple[str, ...], expected: str, protocol: str) -> None:
    for name in names:
        if given[name]:
            raise Usage(f"{_name(name)} is set: expected {_name('security_protocol')} {expected}, got {protocol}")


def _ssl_context(given: Mapping[str, str], check_hostname: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = check_hostname
    if given["ssl_cafile"]:
        _use("ssl_cafile", given, "CA certificates", lambda path: context.load_verify_locations(cafile=path))
    else:
        context.load_default_certs()
    if given["ssl_crlfile"]:
        _use("ssl_crlfile", given, "revoked certificates", lambda path: context.load_verify_locations(cafile=path))
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    if given["ssl_certfile"]:
        # A password of "" where there is none: OpenSSL would ask the terminal for one.
        key, password = given["ssl_keyfile"] or None, given["ssl_password"]
        what = f"a certificate and, there or in {_name('ssl_keyfile')}, its key, which {_name('ssl_password')} opens"
        _use("ssl_certfile", given, what, lambda path: context.load_cert_chain(path, key, lambda: password))
        warn_if_open(Path(key or given["ssl_certfile"]))
    elif given["ssl_keyfile"] or given["ssl_password"]:
        raise Usage(f"{_name('ssl_keyfile')} is set: expected {_name('ssl_certfile')} too, got none")
    return context


def _use(name: str, given: Mapping[str, str], what: str, load: Any) -> None:
    path = given[name]
    try:
        load(path)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        found = "no such file" if isinstance(error, FileNotFoundError) else str(error)
        raise Usage(f"{_name(name)}: expected a PEM file of {what}, got {path}: {found}") from error


def _sasl(given: Mapping[str, str]) -> dict[str, Any]:
    mechanism = given["sasl_mechanism"]
    if not mechanism:
        raise Usage(f"expected {_name('sasl_mechanism')} with SASL, got none")
    for name in _TALKATIVE:
        logging.getLogger(name).addFilter(_is_above_debug)
    if mechanism == "OAUTHBEARER":
        return {"sasl_mechanism": mechanism, "sasl_oauth_token_provider": _token_provider(given)}
    for name in _LOGIN:
        if not given[name]:
            raise Usage(f"expected {_name(name)} with {mechanism}, got none")
    return {
        "sasl_mechanism": mechanism,
        "sasl_plain_username": given["sasl_plain_username"],
        "sasl_plain_password": _Password(given["sasl_plain_password"]),
    }


def _token_provider(given: Mapping[str, str]) -> Any:
    name, file = (given[each] for each in _OAUTH)
    if bool(name) == bool(file):
        raise Usage(f"expected one of {_name(_OAUTH[0])} and {_name(_OAUTH[1])} with OAUTHBEARER")
    if file:
        return _TokenFile(file)
    module, _, attribute = name.partition(":")
    try:
        provider = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise Usage(f"{_name(_OAUTH[0])}: expected MODULE:CLASS, got {name!r}: {error}") from error
    if not (isinstance(provider, type) and issubclass(provider, AbstractTokenProvider)):
        raise Usage(f"{_name(_OAUTH[0])}: expected a class below AbstractTokenProvider of kafka-python, got {name!r}")
    return provider()
