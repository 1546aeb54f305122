"""The only reader of the environment. Every setting has a name, a default and a reason.

A setting NAME is read from INTEGRITY_NAME. `SHAPING` are the settings that can change a rating or an
alert: their digest goes into each snapshot.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from typing import Any

from pipeline.errors import Usage

PREFIX = "INTEGRITY_"

# Setting, least, most.
_RANGES: tuple[tuple[str, float, float], ...] = (
    ("lateness_minutes", 0, 60 * 24 * 365),
    ("least_share", 0, 1),
    ("partitions", 1, 10_000),
    ("batch_votes", 1, 1_000_000),
    ("session_seconds", 1, 3600),
    ("poll_seconds", 1, 86_400),
    ("max_consecutive_rejects", 1, 1_000_000_000),
    ("max_reject_ratio", 0, 1),
    ("progress_seconds", 1, 86_400),
    ("lease_seconds", 1, 86_400),
    ("idle_seconds", 1, 86_400 * 365),
    ("false_alarms", 1e-6, 1_000),
    ("false_share", 1e-6, 0.5),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What can be set.

    Attributes:
        store: the store's URL or file.
        voter_key: key of the pseudonyms, 64 hexadecimal digits; default: the store's key file.
        board: the public name of the board, as its logs are called from the first snapshot on; default: made of the
            store's id. Without white space and "+".
        ledger: folder of the public ledger's files, shared by all that seal and publish; default: `<store>.ledger/`.
        ledger_key: seed of the key that signs snapshots, 64 hexadecimal digits; default: the store's key file.
        ledger_key_before: the one before it, until a snapshot is signed by both.
        witnesses: public keys of witnesses whose signatures may stand under checkpoints, with commas between.
        lateness_minutes: how far the watermark trails the newest vote.
        anchor: MODEL=POINTS, the model whose rating is fixed for display; "" for mean 1000.
        auto_voter: exclude the votes of a voter whose critical alert is open (policy auto-voter/1).
        least_share: a refresh refuses when the largest comparable group of models holds less of the votes.
        topic_votes, topic_registry, topic_alerts, topic_rejected: topics.
        group: the workers' consumer group; "" for one named after the store. The store holds the offsets, so another
            name is a safe way out of a group that is stuck.
        partitions: of a votes topic that `publish` has to create.
        batch_votes: the most votes of one transaction.
        session_seconds, poll_seconds: when Kafka gives a silent worker's partitions to another.
        max_consecutive_rejects: the worker stops after so many records in a row without a vote.
        max_reject_ratio: … or when more than this share of the last 2,000 records are rejects.
        progress_seconds: a worker that moved nothing for so long, with work to do, is unhealthy.
        lease_seconds: a silent monitor's lease runs out after this.
        idle_seconds: windows are closed without a partition that has had nothing for so long.
        false_alarms: how many a month are put up with, of each window detector.
        false_share: … and which share of the alerts that open together, and of the discoveries of all sweeps.
        policy: a policy in TOML that sweeps judge; "" for the shipped one.
        second_board: published snapshots of another board, for a second opinion in every sweep; "" for none.
    """

    store: str = "integrity.db"
    voter_key: str = ""
    board: str = ""
    ledger: str = ""
    ledger_key: str = ""
    ledger_key_before: str = ""
    witnesses: str = ""
    lateness_minutes: float = 60.0
    anchor: str = "mixtral-8x7b-instruct-v0.1=1114"
    auto_voter: bool = True
    least_share: float = 0.95
    topic_votes: str = "arena.votes"
    topic_registry: str = "arena.registry"
    topic_alerts: str = "arena.alerts"
    topic_rejected: str = "arena.votes.rejected"
    group: str = ""
    partitions: int = 4
    batch_votes: int = 20_000
    session_seconds: float = 10.0
    poll_seconds: float = 60.0
    max_consecutive_rejects: int = 200
    max_reject_ratio: float = 0.5
    progress_seconds: float = 60.0
    lease_seconds: float = 15.0
    idle_seconds: float = 300.0
    false_alarms: float = 1.0
    false_share: float = 0.1
    policy: str = ""
    second_board: str = ""

    def __post_init__(self) -> None:
        """Refuse what means nothing.

        Raises:
            Usage: names the variable, what it must be and what it is.
        """
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:  # also when it is not a number
                raise Usage(f"{PREFIX}{name.upper()}: expected {low} to {high}, got {value}")

    @property
    def lateness(self) -> int:
        """Microseconds by which the watermark trails."""
        return round(self.lateness_minutes * 60e6)

    @property
    def idle_after(self) -> int:
        """Microseconds without a batch after which a partition no longer holds windows open."""
        return round(self.idle_seconds * 1e6)

    @property
    def key(self) -> bytes | None:
        """The voter key as bytes, None if it is not set.

        Raises:
            Usage: not 64 hexadecimal digits.
        """
        return _key("VOTER_KEY", self.voter_key)

    @property
    def ledger_seeds(self) -> tuple[bytes | None, bytes | None]:
        """The seeds of the ledger's key and of the one before it, None where it is not set.

        Raises:
            Usage: not 64 hexadecimal digits.
        """
        return _key("LEDGER_KEY", self.ledger_key), _key("LEDGER_KEY_BEFORE", self.ledger_key_before)

    @property
    def anchor_points(self) -> tuple[str, float] | None:
        """The anchor model and its rating, None for mean 1000.

        Raises:
            Usage: not MODEL=POINTS.
        """
        if not self.anchor:
            return None
        model, _, points = self.anchor.rpartition("=")
        try:
            rating = float(points)
        except ValueError:
            rating = math.nan
        if not model or not math.isfinite(rating):
            raise Usage(f"{PREFIX}ANCHOR: expected MODEL=POINTS, got {self.anchor!r}")
        return model, rating

    def shaping(self) -> dict[str, Any]:
        """The settings that can change a rating or an alert."""
        return {name: getattr(self, name) for name in SHAPING}

    def digest(self) -> str:
        """SHA-256 over the shaping settings, 64 hexadecimal digits."""
        text = "\n".join(f"{name}={value!r}" for name, value in sorted(self.shaping().items()))
        return hashlib.sha256(text.encode()).hexdigest()


SHAPING = ("lateness_minutes", "anchor", "auto_voter", "least_share", "false_alarms", "false_share")


_overridden: ContextVar[Settings | None] = ContextVar("settings", default=None)


@contextmanager
def override(options: Settings) -> Iterator[None]:
    """Within the block, these are the settings: for the demo and the benchmarks."""
    token = _overridden.set(options)
    try:
        yield
    finally:
        _overridden.reset(token)


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process.

    Raises:
        Usage: a value that is not of the setting's kind; names the variable.
    """
    fixed = _overridden.get()
    if fixed is not None and environment is None:
        return fixed
    given = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    for field in fields(Settings):
        name = PREFIX + field.name.upper()
        if name in given:
            values[field.name] = _parse(name, given[name], field.default)
    return Settings(**values)


def _key(name: str, text: str) -> bytes | None:
    if not text:
        return None
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise Usage(f"{PREFIX}{name}: expected 64 hexadecimal digits (`openssl rand -hex 32` makes them)")
    return raw


def _parse(name: str, text: str, default: Any) -> Any:
    try:
        if isinstance(default, bool):
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]
        return type(default)(text)
    except (KeyError, ValueError):
        raise Usage(f"{name}: expected {type(default).__name__}, got {text!r}") from None
