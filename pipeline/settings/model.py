"""Every setting, with its default, its range and its reason.

1. `Settings(...)` reads nothing: only `load` (loading.py) reads the environment and files.
2. A bad value raises `Usage`, which names the variable, what is expected, and the value; never the value of a secret.
3. `SHAPING` are the settings that can change a rating or an alert. Their digest goes into each snapshot, so their
   names and types are fixed.
"""

from __future__ import annotations

import hashlib
from typing import Any

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pipeline.errors import Usage
from pipeline.settings.checks import (
    PREFIX,
    Address,
    Anchor,
    Proxies,
    SaslMechanism,
    SecurityProtocol,
    Seed,
    SslMode,
    Topic,
    explain,
)
from pipeline.vocabulary.time import SECOND
from pipeline.vocabulary.voter_identity import Network, parse_proxies

SHAPING = ("lateness_minutes", "anchor", "auto_voter", "least_share", "false_alarms", "false_share")


class Settings(BaseSettings):
    """What can be set: a setting NAME is read from INTEGRITY_NAME.

    Attributes:
        store: the store's URL or file.
        voter_key: key of the pseudonyms, 64 hexadecimal digits; default: the store's key file.
        board: the public name of the board and of its logs from the first snapshot on; default: made of the store's id.
            Without white space and "+".
        ledger: folder of the public ledger's files, shared by every process that seals or publishes;
            default: `<store>.ledger/`.
        ledger_key: seed of the key that signs snapshots, 64 hexadecimal digits; default: the store's key file.
        ledger_key_before: the seed before it, until a snapshot is signed by both keys.
        witnesses: public keys of witnesses whose signatures may stand under checkpoints, separated by commas.
        lateness_minutes: how far the watermark trails the newest vote.
        anchor: MODEL=POINTS, the model whose rating is fixed for display; "" for mean 1000.
        auto_voter: exclude the votes of a voter whose critical alert is open (policy auto-voter/1).
        least_share: an alert is opened when the largest comparable group of models has a smaller share of the votes. A
            refresh is refused below half of the votes, or below this share if it is smaller.
        method: which votes the defended view and the boards by category and language count, and what is listed: "arena"
            for the shipped method, "none" to count every vote, or a TOML file. A snapshot states its method apart from
            the settings.
        hold_places: a candidate that moves a model of the top by more places than this waits for a person; 0: none
            does.
        hold_top: the first so many ranks are the top.
        appeals: where voters and providers appeal, an address of a page or a mailbox; shown on pages, in the API and
            in manifests. "" for none.
        topic_votes, topic_registry, topic_alerts, topic_rejected: topics.
        group: the workers' consumer group; "" for one named after the store. The store keeps the offsets, so another
            name is a safe way out of a group that is stuck.
        partitions: partitions of a votes topic that `publish` has to create.
        batch_votes: the most votes of one transaction.
        session_seconds, poll_seconds: when Kafka gives a silent worker's partitions to another.
        max_consecutive_rejects: the worker stops after this many records in a row without a vote.
        max_reject_ratio: … or when more than this share of the last 2,000 records are rejects.
        new_models_per_hour: new names of models that a partition may bring in an hour of append time, without
            those that the registry knows; votes on more are rejected.
        progress_seconds: a worker with work to do is unhealthy after this long without progress.
        lease_seconds: the lease of a silent monitor ends after this long.
        idle_seconds: windows are closed without a partition that had no votes for this long.
        false_alarms: tolerated false alarms per window detector and month.
        false_share: tolerated share of false alerts among those that open together, and of false discoveries in all
            sweeps.
        policy: policy file (TOML) that sweeps evaluate; "" for the shipped one.
        second_board: published snapshots of another board, compared in every sweep; "" for none.
        proxies: addresses and networks, separated by commas, that stand for nobody where a voter's id is one of them:
            a proxy's address is that of all who come through it. Private ones need not be named.
        publish_key: key by which `publish` signs what it sends: NAME=ed25519:SEED or NAME=hmac-sha256:SECRET, 64
            hexadecimal digits; "" to send records unsigned.
        publish_state: folder in which `publish` keeps how far logs were read and the signatures of prompts; default:
            `<store>.publish/`.
        publishers: keys of the publishers whose records a worker accepts, separated by commas:
            NAME=ed25519:PUBLIC KEY or NAME=hmac-sha256:SECRET; "" to accept unsigned records. `publish --show-key`
            prints the entry of a publish_key.
        kafka_security_protocol: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL. The names from here on are those of
            kafka-python.
        kafka_ssl_cafile: PEM file of the CAs that sign the brokers' certificates; "" for those of the system.
        kafka_ssl_certfile, kafka_ssl_keyfile, kafka_ssl_password: client certificate, its key, the key's password.
        kafka_ssl_crlfile: PEM file of revoked certificates.
        kafka_ssl_check_hostname: refuse a certificate that is made for another host.
        kafka_sasl_mechanism: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER.
        kafka_sasl_plain_username, kafka_sasl_plain_password: login of PLAIN and SCRAM.
        kafka_sasl_oauth_token_provider: MODULE:CLASS of a kafka-python AbstractTokenProvider, for OAUTHBEARER.
        kafka_sasl_oauth_token_file: file with the token instead, read at every login; somebody else renews it.
        postgres_sslmode, postgres_sslrootcert, postgres_sslcert, postgres_sslkey, postgres_sslpassword: TLS of a
            PostgreSQL store, by libpq's names; a parameter in the store's URL goes before.
        postgres_password: its password, where the URL has none.
        trusted_proxies: addresses and networks of proxies, separated by commas, whose X-Forwarded-For and
            X-Forwarded-Proto `serve` believes; "" for none.
        tls_cert, tls_key: PEM files of the certificate chain and its key with which `serve` speaks HTTPS; "" for HTTP.
        https_days: for how many days browsers are told, over HTTPS, to use nothing else (HSTS); 0 for never.
        client_connections: open connections of one client of `serve`; a trusted proxy has no such limit.
        costly_per_minute: costly requests (moves, providers, bundles) of one client that `serve` computes; 0 for any
            number.
        logins_per_minute: invalid tokens of one client, after which `serve` refuses its tokens; 0 for any number.
        secrets_dir: directory with a file for each setting that is kept there, named as the variable in upper or lower
            case; the file's text is the value. "" for /run/secrets where that exists.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, hide_input_in_errors=True)

    store: str = Field(default="integrity.db", repr=False)
    voter_key: Seed = Field(default="", repr=False)
    board: str = ""
    ledger: str = ""
    ledger_key: Seed = Field(default="", repr=False)
    ledger_key_before: Seed = Field(default="", repr=False)
    witnesses: str = ""
    lateness_minutes: float = Field(default=60.0, ge=0, le=60 * 24 * 365)
    anchor: Anchor = "mixtral-8x7b-instruct-v0.1=1114"
    auto_voter: bool = True
    least_share: float = Field(default=0.95, ge=0, le=1)
    method: str = "arena"
    hold_places: int = Field(default=0, ge=0, le=10_000)
    hold_top: int = Field(default=10, ge=1, le=10_000)
    appeals: Address = ""
    topic_votes: Topic = "arena.votes"
    topic_registry: Topic = "arena.registry"
    topic_alerts: Topic = "arena.alerts"
    topic_rejected: Topic = "arena.votes.rejected"
    group: str = ""
    partitions: int = Field(default=4, ge=1, le=10_000)
    batch_votes: int = Field(default=20_000, ge=1, le=1_000_000)
    session_seconds: float = Field(default=10.0, ge=1, le=3600)
    poll_seconds: float = Field(default=60.0, ge=1, le=86_400)
    max_consecutive_rejects: int = Field(default=200, ge=1, le=1_000_000_000)
    max_reject_ratio: float = Field(default=0.5, ge=0, le=1)
    new_models_per_hour: int = Field(default=1_000, ge=1, le=1_000_000)
    progress_seconds: float = Field(default=60.0, ge=1, le=86_400)
    lease_seconds: float = Field(default=15.0, ge=1, le=86_400)
    idle_seconds: float = Field(default=300.0, ge=1, le=86_400 * 365)
    false_alarms: float = Field(default=1.0, ge=1e-6, le=1_000)
    false_share: float = Field(default=0.1, ge=1e-6, le=0.5)
    policy: str = ""
    second_board: str = ""
    proxies: str = ""
    publish_key: str = Field(default="", repr=False)
    publish_state: str = ""
    publishers: str = Field(default="", repr=False)
    kafka_security_protocol: SecurityProtocol = "PLAINTEXT"
    kafka_ssl_cafile: str = ""
    kafka_ssl_certfile: str = ""
    kafka_ssl_keyfile: str = ""
    kafka_ssl_password: str = Field(default="", repr=False)
    kafka_ssl_crlfile: str = ""
    kafka_ssl_check_hostname: bool = True
    kafka_sasl_mechanism: SaslMechanism = ""
    kafka_sasl_plain_username: str = ""
    kafka_sasl_plain_password: str = Field(default="", repr=False)
    kafka_sasl_oauth_token_provider: str = ""
    kafka_sasl_oauth_token_file: str = ""
    postgres_sslmode: SslMode = ""
    postgres_sslrootcert: str = ""
    postgres_sslcert: str = ""
    postgres_sslkey: str = ""
    postgres_sslpassword: str = Field(default="", repr=False)
    postgres_password: str = Field(default="", repr=False)
    trusted_proxies: Proxies = ""
    tls_cert: str = ""
    tls_key: str = ""
    https_days: int = Field(default=365, ge=0, le=3650)
    client_connections: int = Field(default=100, ge=1, le=100_000)
    costly_per_minute: int = Field(default=120, ge=0, le=1_000_000)
    logins_per_minute: int = Field(default=10, ge=0, le=1_000_000)
    secrets_dir: str = ""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the library passes it by name
        init_settings: PydanticBaseSettingsSource,
        *_sources: Any,
        **_named: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the arguments alone: a snapshot's settings must not mix with those of this process."""
        return (init_settings,)

    @model_validator(mode="wrap")
    @classmethod
    def _explained(cls, values: Any, validate: ModelWrapValidatorHandler[Settings]) -> Settings:
        try:
            return validate(values)
        except ValidationError as error:
            raise Usage("; ".join(explain(dict(fault), cls.model_fields) for fault in error.errors())) from None

    @property
    def lateness(self) -> int:
        """Microseconds by which the watermark trails the newest vote."""
        return round(self.lateness_minutes * 60e6)

    @property
    def idle_after(self) -> int:
        """Microseconds without a batch after which a partition no longer keeps windows open."""
        return round(self.idle_seconds * SECOND)

    @property
    def key(self) -> bytes | None:
        """The voter key as bytes, None if it is not set."""
        return bytes.fromhex(self.voter_key) or None

    @property
    def ledger_seeds(self) -> tuple[bytes | None, bytes | None]:
        """The seeds of the ledger's key and of the previous key, None where a seed is not set."""
        return bytes.fromhex(self.ledger_key) or None, bytes.fromhex(self.ledger_key_before) or None

    @property
    def anchor_points(self) -> tuple[str, float] | None:
        """The anchor model and its rating, None for mean 1000."""
        model, _, points = self.anchor.rpartition("=")
        return (model, float(points)) if self.anchor else None

    @property
    def proxy_networks(self) -> tuple[Network, ...]:
        """The networks whose addresses stand for no single voter.

        Raises:
            Usage: INTEGRITY_PROXIES has a part that is not an address.
        """
        try:
            return parse_proxies(self.proxies)
        except ValueError:
            expected = "addresses or networks (10.1.2.3, 198.51.100.0/24), separated by commas"
            raise Usage(f"{PREFIX}PROXIES: expected {expected}, got {self.proxies!r}") from None

    def postgres_parameters(self) -> dict[str, str]:
        """Return the libpq parameters for TLS, "" for parameters that are not set."""
        names = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword")
        return {name: getattr(self, f"postgres_{name}") for name in names}

    @property
    def trusted_networks(self) -> tuple[str, ...]:
        """The addresses and networks of the trusted proxies."""
        return tuple(filter(None, map(str.strip, self.trusted_proxies.split(","))))

    def shaping(self) -> dict[str, Any]:
        """Return the settings that can change a rating or an alert."""
        return {name: getattr(self, name) for name in SHAPING}

    def digest(self) -> str:
        """SHA-256 over the shaping settings, 64 hexadecimal digits."""
        text = "\n".join(f"{name}={value!r}" for name, value in sorted(self.shaping().items()))
        return hashlib.sha256(text.encode()).hexdigest()
