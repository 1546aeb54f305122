"""Runs a local Kafka with TLS, logins and ACLs, for tests of secured connections.

The broker has four listeners. Tests administrate the broker over the plain listener, on which `ANONYMOUS` is the super
user. The listener `tls` requires a client certificate. The listeners `login` (with TLS) and `clear` (without TLS)
require a login. On these three listeners a user may do only what an ACL allows.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from pipeline.devstack.certificates import LocalAuthority
from pipeline.devstack.kafka import KafkaServer
from pipeline.devstack.process import LOOPBACK, free_port

Listener = Literal["tls", "login", "clear"]
_PROTOCOLS: Mapping[Listener, str] = {"tls": "SSL", "login": "SASL_SSL", "clear": "SASL_PLAINTEXT"}
_MODULE = "org.apache.kafka.common.security"
_UNSECURED = f"{_MODULE}.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler"


class SecuredKafkaServer(KafkaServer):
    """One Kafka broker for tests, with listeners that require TLS or a login.

    Args:
        directory: folder for configuration, data and log. The certificates are in its subfolder `tls`.
        users: name of a user → password, for logins by PLAIN and SCRAM.

    Attributes:
        users: name → password of each user.
        authority: the CA that signed the broker's certificate.
    """

    def __init__(self, directory: Path, *, users: Mapping[str, str]) -> None:
        super().__init__(directory)
        self.users = dict(users)
        self._listener_ports = {name: free_port() for name in _PROTOCOLS}
        self.authority = LocalAuthority(self.directory / "tls")
        self._certificate = self.authority.issue("broker", (LOOPBACK, "localhost"))

    def address(self, listener: Listener) -> str:
        """Return the address of a listener as HOST:PORT."""
        return f"{LOOPBACK}:{self._listener_ports[listener]}"

    def start(self) -> "SecuredKafkaServer":
        """Start the broker, and create its users. Returns this object."""
        super().start()
        mechanisms = (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)
        logins = [
            UserScramCredentialUpsertion(user, mechanism, password)
            for user, password in self.users.items()
            for mechanism in mechanisms
        ]
        with self.admin() as admin:
            # One of a kind in a request: the broker refuses a user that is named twice.
            for mechanism in mechanisms:
                admin.alter_user_scram_credentials([one for one in logins if one.mechanism == mechanism])
        return self

    def admin(self) -> KafkaAdminClient:
        """Return a Kafka client for administration, which acts as the super user."""
        return KafkaAdminClient(bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=10_000)

    def allow(self, user: str, kind: str, name: str, operations: Iterable[str], *, prefix: bool = False) -> None:
        """Add an ACL that allows a user some operations on a resource.

        Args:
            user: name of the user.
            kind: kind of the resource: TOPIC, GROUP or CLUSTER.
            name: name of the resource; "kafka-cluster" for the cluster.
            operations: the operations, such as READ, WRITE, DESCRIBE or CREATE.
            prefix: whether the ACL holds for all resources whose name begins with `name`.
        """
        how = ACLResourcePatternType.PREFIXED if prefix else ACLResourcePatternType.LITERAL
        pattern = ResourcePattern(ResourceType[kind], name, how)
        acls = [
            ACL(f"User:{user}", "*", ACLOperation[operation], ACLPermissionType.ALLOW, pattern)
            for operation in operations
        ]
        with self.admin() as admin:
            done = admin.create_acls(acls)
        if done["failed"]:
            raise RuntimeError(f"expected ACLs for {user}, got {done['failed']}")

    def _settings(self) -> dict[str, str]:
        plain = super()._settings()
        own = {_PROTOCOLS[name]: self.address(name) for name in _PROTOCOLS}
        more = ",".join(f"{protocol}://{address}" for protocol, address in own.items())
        protocols = ",".join(f"{protocol}:{protocol}" for protocol in own)
        return {
            **plain,
            "listeners": f"{plain['listeners']},{more}",
            "advertised.listeners": f"{plain['advertised.listeners']},{more}",
            "listener.security.protocol.map": f"PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,{protocols}",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._certificate),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority.file),
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/",
            "listener.name.ssl.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            **self._login_settings("sasl_ssl"),
            **self._login_settings("sasl_plaintext"),
        }

    def _login_settings(self, listener: str) -> dict[str, str]:
        names = " ".join(f'user_{user}="{password}"' for user, password in self.users.items())
        scram = f"{_MODULE}.scram.ScramLoginModule required;"
        modules = {
            "plain": f"{_MODULE}.plain.PlainLoginModule required {names};",
            "scram-sha-256": scram,
            "scram-sha-512": scram,
            "oauthbearer": f'{_MODULE}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="x";',
        }
        settings = {f"listener.name.{listener}.{name}.sasl.jaas.config": text for name, text in modules.items()}
        return settings | {f"listener.name.{listener}.oauthbearer.sasl.server.callback.handler.class": _UNSECURED}

    def _prepare(self) -> None:
        super()._prepare()
        self._properties.chmod(0o600)  # it names the passwords of PLAIN
