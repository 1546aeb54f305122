"""Defines all settings, with their defaults, ranges and meanings.

1. `Settings(...)` does not read the environment or files; only `load` (loading.py) does.
2. A bad value raises `Usage`. The message has the variable, what was expected and, unless it is secret, the value.
3. `SHAPING` names the settings that can change a rating or an alert. Each snapshot has the digest of these
   settings, so their names and types must not change.
"""

# Long because every setting is explained here.

from __future__ import annotations

import hashlib
from typing import Any, Literal

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pipeline.compute.engine import Engine
from pipeline.errors import Usage
from pipeline.settings.checks import (
    PREFIX,
    Address,
    Anchor,
    Compute,
    ComputeLedger,
    LogIds,
    PageAddress,
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
    """Holds the values of all settings of a process. The setting `name` is read from the variable INTEGRITY_NAME.

    Attributes:
        store: URL or file of the store.
        voter_key: key of the pseudonyms, 64 hexadecimal digits; default: the key file of the store.
        board: public name of the board and of its logs, without white space and "+". The first snapshot fixes the name.
            Default: derived from the store's id.
        ledger: folder of the files of the public ledger, shared by all processes that seal or publish; default:
            `<store>.ledger/`.
        ledger_key: seed of the key that signs snapshots, 64 hexadecimal digits; default: the key file of the store.
        ledger_key_before: seed of the previous signing key, 64 hexadecimal digits. It is needed until a snapshot is
            signed by both keys.
        archive: private folder of the archived votes, shared by all processes that read or write the store; default:
            `<store>.archive/`.
        archive_key: key that encrypts archived votes, 64 hexadecimal digits; default: the key file of the store.
        archive_days: `archive` moves votes out of the hot tables this number of days after the votes were sealed.
        witnesses: public keys of the witnesses whose signatures on checkpoints are accepted, separated by commas.
        lateness_minutes: minutes by which the watermark is behind the newest vote.
        anchor: MODEL=POINTS: ratings are shifted so that this model has these points; "" for a mean of 1000.
        auto_voter: whether to exclude the votes of a voter whose critical alert is open (policy auto-voter/1).
        least_share: smallest share of the votes, from 0 to 1, that should be in the largest connected component. With a
            smaller share, an alert is opened. A refresh is refused if the share is below this setting and also below
            half.
        method: the method of the defended view and of the boards by category and language. "arena" is the shipped
            method, "none" counts every vote, and any other value is a TOML file. A snapshot states its method
            separately from the settings.
        hold_places: largest number of places that a model of the top may move. A candidate with a larger move is held
            until a person releases it. 0 holds no candidate.
        hold_top: number of ranks that belong to the top, for `hold_places`.
        appeals: address of a page or a mailbox where voters and providers can appeal, shown on pages, in the API and in
            manifests; "" for none.
        external_url: address under which readers reach the pages, such as https://board.example. Links in feeds,
            citations, share cards and embeddable tables begin with it; "" for links without a host, and no share cards.
        topic_votes, topic_registry, topic_battles, topic_alerts, topic_rejected: names of the Kafka topics.
        group: consumer group of the workers; "" for a name derived from the store. The name can be changed safely if a
            group is stuck, since the store keeps the offsets.
        partitions: number of partitions of a votes topic that `publish` creates.
        batch_votes: largest number of votes in one transaction.
        decoder_process: whether a worker that reads from Kafka into PostgreSQL decodes records in a second process.
        session_seconds: after this time without a heartbeat, Kafka gives the partitions of a worker to another worker.
        poll_seconds: after this time without a poll, Kafka gives the partitions of a worker to another worker.
        max_consecutive_rejects: the worker stops after this number of rejected records in a row.
        max_reject_ratio: the worker stops if more than this share, from 0 to 1, of the last 2,000 records is rejected.
        new_models_per_hour: number of new model names that a partition may have in one hour of append time, not
            counting names in the registry. Votes on further new names are rejected.
        progress_seconds: a worker with work to do is unhealthy after this time without progress.
        lease_seconds: the lease of a monitor ends after this time without renewal.
        idle_seconds: a partition without votes for this time no longer keeps windows open.
        false_alarms: tolerated number of false alarms of each window detector in a month.
        false_share: tolerated share, from 0 to 1, of false alerts among alerts that open together. Also the tolerated
            share of false discoveries over all sweeps.
        backfill: how the first refresh of a store evaluates the votes from before the first snapshot. "iterated" only
            proposes voters to exclude, and a person decides. "strict" also computes a second, stricter evaluation (the
            nested form), by which the policy backfill-voter/1 excludes voters. "off" does not evaluate these votes.
        nightly_share: tolerated share, from 0 to 1, of false findings about groups and weeks, over all backfills and
            nightly re-evaluations together (e-LOND).
        nightly_weeks: number of weeks before the newest vote that a nightly re-evaluation covers.
        policy: policy file (TOML) that sweeps evaluate; "" for the shipped policy.
        second_board: file with published snapshots of another board, compared in every sweep; "" for none.
        proxies: public addresses and networks of proxies, separated by commas. A voter id that is such an address
            belongs to many people, so the vote counts as a vote without a voter. Private addresses are always included.
        publish_key: key with which `publish` signs records: NAME=ed25519:SEED or NAME=hmac-sha256:SECRET, with 64
            hexadecimal digits; "" to send records unsigned.
        publish_state: folder in which `publish` stores two things: how far it has read each log, and MinHash signatures
            of recent prompts, by which near copies of a prompt are found. Default: `<store>.publish/`.
        log_ids: how ids of votes in raw logs are made. "keyed" gives keyed hashes. "conversation" gives the names of
            the conversations, as early versions did. A board with votes read by such a version must use "conversation".
        publishers: keys of the publishers whose records a worker accepts, separated by commas: NAME=ed25519:PUBLIC KEY
            or NAME=hmac-sha256:SECRET; "" to accept unsigned records. `publish --show-key` prints the entry of a
            publish_key.
        kafka_security_protocol: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL. All kafka_ settings have the names of
            kafka-python.
        kafka_ssl_cafile: PEM file of the CAs that sign the brokers' certificates; "" for those of the system.
        kafka_ssl_certfile: PEM file of the client certificate.
        kafka_ssl_keyfile: PEM file of the client's private key.
        kafka_ssl_password: password of the private key in `kafka_ssl_keyfile`.
        kafka_ssl_crlfile: PEM file of revoked certificates.
        kafka_ssl_check_hostname: whether to refuse a certificate that was issued for another host.
        kafka_sasl_mechanism: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER.
        kafka_sasl_plain_username: user name for PLAIN and SCRAM.
        kafka_sasl_plain_password: password for PLAIN and SCRAM.
        kafka_sasl_oauth_token_provider: MODULE:CLASS of a kafka-python AbstractTokenProvider, for OAUTHBEARER.
        kafka_sasl_oauth_token_file: file with the token, as an alternative to a provider. The file is read at every
            login, and another program must renew it.
        postgres_sslmode, postgres_sslrootcert, postgres_sslcert, postgres_sslkey, postgres_sslpassword: TLS parameters
            of a PostgreSQL store, with libpq's names. A parameter in the store's URL takes precedence.
        postgres_password: password of a PostgreSQL store whose URL has none.
        trusted_proxies: addresses and networks of proxies, separated by commas, whose headers X-Forwarded-For and
            X-Forwarded-Proto `serve` trusts; "" for none.
        tls_cert: PEM file of the certificate chain with which `serve` uses HTTPS; "" for HTTP.
        tls_key: PEM file of the private key of the certificate in `tls_cert`.
        https_days: number of days for which browsers must use HTTPS only (HSTS); 0 for no such header.
        client_connections: largest number of open connections of one client of `serve`, except trusted proxies.
        costly_per_minute: largest number of costly requests of one client per minute; 0 for no limit. Costly are
            requests for moves, providers or bundles.
        logins_per_minute: largest number of invalid tokens of one client per minute. Beyond it, `serve` refuses all
            tokens of this client. 0 for no limit.
        compute: engine that works through sealed votes. "local" means threads of this process. "processes" or
            "processes://N" means processes of this machine. "dask://HOST:PORT", "ray://HOST:PORT" or
            "spark://HOST:PORT" means a cluster. Without an address, as in "dask://", a cluster is started on this
            machine. All engines give the same results.
        compute_ledger: folder or address (file, s3, gs, abfs or hdfs) of a copy of the ledger's files, for workers of a
            cluster that cannot reach the folder `ledger`; "" if all can.
        secrets_dir: directory with one file for each setting. A file has the name of the variable in upper or lower
            case, and its text is the value. "" for /run/secrets if that exists.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, hide_input_in_errors=True)

    store: str = Field(default="integrity.db", repr=False)
    voter_key: Seed = Field(default="", repr=False)
    board: str = ""
    ledger: str = ""
    ledger_key: Seed = Field(default="", repr=False)
    ledger_key_before: Seed = Field(default="", repr=False)
    archive: str = ""
    archive_key: Seed = Field(default="", repr=False)
    archive_days: float = Field(default=90.0, ge=0, le=36_500)
    witnesses: str = ""
    lateness_minutes: float = Field(default=60.0, ge=0, le=60 * 24 * 365)
    anchor: Anchor = "mixtral-8x7b-instruct-v0.1=1114"
    auto_voter: bool = True
    least_share: float = Field(default=0.95, ge=0, le=1)
    method: str = "arena"
    hold_places: int = Field(default=0, ge=0, le=10_000)
    hold_top: int = Field(default=10, ge=1, le=10_000)
    appeals: Address = ""
    external_url: PageAddress = ""
    topic_votes: Topic = "arena.votes"
    topic_registry: Topic = "arena.registry"
    topic_battles: Topic = "arena.battles"
    topic_alerts: Topic = "arena.alerts"
    topic_rejected: Topic = "arena.votes.rejected"
    group: str = ""
    partitions: int = Field(default=4, ge=1, le=10_000)
    batch_votes: int = Field(default=20_000, ge=1, le=1_000_000)
    decoder_process: bool = True
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
    backfill: Literal["iterated", "strict", "off"] = "iterated"
    nightly_share: float = Field(default=0.1, ge=1e-6, le=0.5)
    nightly_weeks: int = Field(default=8, ge=1, le=520)
    policy: str = ""
    second_board: str = ""
    proxies: str = ""
    publish_key: str = Field(default="", repr=False)
    publish_state: str = ""
    log_ids: LogIds = "keyed"
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
    compute: Compute = "local"
    compute_ledger: ComputeLedger = ""
    secrets_dir: str = ""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the library passes it by name
        init_settings: PydanticBaseSettingsSource,
        *_sources: Any,
        **_named: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Make the arguments of the constructor the only source of values: no environment variables, no files.

        Settings are also built from the values in a snapshot, which must not be mixed with the settings of this
        process.
        """
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
        """Time by which the watermark is behind the newest vote, in microseconds."""
        return round(self.lateness_minutes * 60e6)

    @property
    def idle_after(self) -> int:
        """Time without a batch after which a partition no longer keeps windows open, in microseconds."""
        return round(self.idle_seconds * SECOND)

    @property
    def key(self) -> bytes | None:
        """Voter key as bytes; None if it is not set."""
        return bytes.fromhex(self.voter_key) or None

    @property
    def ledger_seeds(self) -> tuple[bytes | None, bytes | None]:
        """Seed of the signing key, and seed of the previous signing key. A seed that is not set is None."""
        return bytes.fromhex(self.ledger_key) or None, bytes.fromhex(self.ledger_key_before) or None

    @property
    def archive_seed(self) -> bytes | None:
        """Key that encrypts archived votes; None if it is not set."""
        return bytes.fromhex(self.archive_key) or None

    @property
    def anchor_points(self) -> tuple[str, float] | None:
        """Anchor model and its rating in points; None for a mean of 1000."""
        model, _, points = self.anchor.rpartition("=")
        return (model, float(points)) if self.anchor else None

    @property
    def proxy_networks(self) -> tuple[Network, ...]:
        """Networks of proxies. A voter id that is an address in one of these networks does not identify a voter.

        Raises:
            Usage: an entry of INTEGRITY_PROXIES is neither an address nor a network.
        """
        try:
            return parse_proxies(self.proxies)
        except ValueError:
            expected = "addresses or networks (10.1.2.3, 198.51.100.0/24), separated by commas"
            raise Usage(f"{PREFIX}PROXIES: expected {expected}, got {self.proxies!r}") from None

    @property
    def engine(self) -> Engine:
        """Engine that works through sealed votes, as the setting `compute` names it."""
        return Engine.parse(self.compute)

    def postgres_parameters(self) -> dict[str, str]:
        """Return the libpq parameters for TLS as name → value, "" for a parameter that is not set."""
        names = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword")
        return {name: getattr(self, f"postgres_{name}") for name in names}

    @property
    def trusted_networks(self) -> tuple[str, ...]:
        """Addresses and networks of the trusted proxies, as texts."""
        return tuple(filter(None, map(str.strip, self.trusted_proxies.split(","))))

    def log_id_key(self, key: bytes) -> bytes | None:
        """Return the key from which vote ids of raw logs are computed, for `formats.ColumnMapping.id_key`.

        The result is None if `log_ids` is "conversation", because such ids need no key. Otherwise it is the voter key.

        Args:
            key: the voter key; b"" if there is none.
        """
        return key if self.log_ids == "keyed" else None

    def shaping(self) -> dict[str, Any]:
        """Return the settings that can change a rating or an alert, as name → value."""
        return {name: getattr(self, name) for name in SHAPING}

    def digest(self) -> str:
        """SHA-256 of the settings that can change a rating or an alert, as 64 hexadecimal digits."""
        text = "\n".join(f"{name}={value!r}" for name, value in sorted(self.shaping().items()))
        return hashlib.sha256(text.encode()).hexdigest()
