"""Every table. The migrations build them; this file is what queries are written against.

Times are microseconds since 1970 UTC. Models and terms (language, category, network) stand in the
votes as small integers, 0 for absent. A voter is a 64-bit keyed pseudonym, 0 for absent.
`next_offset` is always the next offset to read.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import UUID

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# SQLite gives out row numbers for INTEGER alone; PostgreSQL wants the wider type.
_Number = BigInteger().with_variant(Integer, "sqlite")


def _numbered(name: str) -> Column[int]:
    return Column(name, _Number, Identity(), primary_key=True)


# Facts about the store itself: its id, a check of the key that made its pseudonyms.
meta = Table("meta", metadata, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))

source = Table("source", metadata, _numbered("source_no"), Column("name", Text, nullable=False, unique=True))

# One row a partition: the truth about how far we have read. The epoch fences off a former owner.
partition = Table(
    "partition",
    metadata,
    _numbered("partition_no"),
    Column("source_no", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("owner", Text, nullable=False),
    # max over its events of min(cast, append); the watermark is this minus the lateness
    Column("event_time", BigInteger),
    Column("sealed_offset", BigInteger, nullable=False),
    # the voter states in the store hold up to here; votes after it are folded again by the next owner
    Column("state_offset", BigInteger, nullable=False),
    # wall clock of the last batch, for the staleness alert alone
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("source_no", "number"),
)

# The ledger of offsets: one row a batch, each beginning where the one before ended.
batch = Table(
    "batch",
    metadata,
    Column("partition_no", BigInteger, primary_key=True),
    Column("first_offset", BigInteger, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    *(
        Column(name, Integer, nullable=False)
        for name in ("read", "accepted", "late", "quarantined", "duplicate", "rejected")
    ),
    sqlite_with_rowid=False,
)

vote = Table(
    "vote",
    metadata,
    Column("partition_no", BigInteger, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("vote_id", Text, nullable=False),
    Column("voter", BigInteger, nullable=False),
    Column("cast_at", BigInteger, nullable=False),
    Column("appended_at", BigInteger, nullable=False),
    Column("model_a", Integer, nullable=False),
    Column("model_b", Integer, nullable=False),
    Column("outcome", SmallInteger, nullable=False),
    Column("fate", SmallInteger, nullable=False),
    Column("language", Integer, nullable=False),
    Column("category", Integer, nullable=False),
    Column("network", Integer, nullable=False),
    Column("prompt", BigInteger, nullable=False),
    Column("voter_since", BigInteger),
    Column("style", LargeBinary),
    sqlite_with_rowid=False,
)
# An excluded voter's votes are looked up by voter.
Index("ix_vote_voter", vote.c.voter, vote.c.partition_no, vote.c.offset)

# The id of every stored vote as 128 bits: the unique key that has the last word on duplicates. It is no UUID; that
# is PostgreSQL's type for 16 bytes that are compared as such.
vote_key = Table(
    "vote_key",
    metadata,
    Column("key", LargeBinary().with_variant(UUID(), "postgresql"), primary_key=True),
    Column("partition_no", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

duplicate = Table(
    "duplicate",
    metadata,
    Column("partition_no", BigInteger, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("first_partition_no", BigInteger, nullable=False),
    Column("first_offset", BigInteger, nullable=False),
    Column("same_body", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

reject = Table(
    "reject",
    metadata,
    Column("partition_no", BigInteger, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("appended_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("origin", Text),
    Column("sha256", LargeBinary, nullable=False),
    Column("sample", LargeBinary, nullable=False),
)

model = Table("model", metadata, _numbered("model_no"), Column("name", Text, nullable=False, unique=True))

term = Table(
    "term",
    metadata,
    _numbered("term_no"),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    UniqueConstraint("kind", "text"),
)

# What all voter detectors remember of a voter, in one row (stream/states.py): a row a detector would cost as many
# times as much to write.
voter_state = Table(
    "voter_state",
    metadata,
    Column("partition_no", BigInteger, primary_key=True),
    Column("voter", BigInteger, primary_key=True),
    Column("state", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# One row a five-minute window and partition; `counts` is a compressed array (stream/windows.py).
window = Table(
    "window",
    metadata,
    Column("start", BigInteger, primary_key=True),
    Column("partition_no", BigInteger, primary_key=True),
    Column("accepted", Integer, nullable=False),
    Column("late", Integer, nullable=False),
    Column("counts", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# Which snapshot gave the probabilities for a partition's votes, from which offset on.
in_force = Table(
    "in_force",
    metadata,
    Column("partition_no", BigInteger, primary_key=True),
    Column("from_offset", BigInteger, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

alert = Table(
    "alert",
    metadata,
    Column("alert_id", Text, primary_key=True),
    Column("detector", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("subject_kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("partition_no", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("level", Integer, nullable=False),
    Column("e_value", Double),
    Column("evidence", Text, nullable=False),
    # wall clock; a snoozed alert is open again from here on
    Column("snoozed_until", BigInteger),
    # event time at which its detector said that it is over; votes after it are none of its
    Column("over_at", BigInteger),
)
Index("ix_alert_subject", alert.c.detector, alert.c.subject, alert.c.direction)

# What became of an alert, and by whose hand. Nothing is changed or deleted here.
alert_event = Table(
    "alert_event",
    metadata,
    _numbered("event_no"),
    Column("alert_id", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("action", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

# Whoever shows one may decide over HTTP. Only its hash is kept; a revoked one stays listed.
token = Table(
    "token",
    metadata,
    _numbered("token_no"),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("sha256", Text, nullable=False, unique=True),
    Column("made_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("revoked_by", Text),
    Column("revoked_reason", Text),
)

# A dated list: an exclusion is undone by another entry, never removed.
exclusion = Table(
    "exclusion",
    metadata,
    _numbered("exclusion_no"),
    Column("action", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("alert_id", Text),
)

# A seal: the committed votes of each partition's [first, next), in the order (partition, offset), then retractions, as
# leaves of the public log. `log_size` is the number of leaves with it, `root` and `edge` are the log's root and right
# edge (ledger/merkle.py) after it, `sha256` names its file in the ledger's folder.
segment = Table(
    "segment",
    metadata,
    _numbered("segment_no"),
    Column("log_size", BigInteger, nullable=False, unique=True),
    Column("leaves", BigInteger, nullable=False),
    Column("root", Text, nullable=False),
    Column("edge", LargeBinary, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("counts", LargeBinary, nullable=False),
    # its accepted votes with style counts (store/styles.py), null where there are none
    Column("styles", LargeBinary),
    Column("at", BigInteger, nullable=False),
)
segment_range = Table(
    "segment_range",
    metadata,
    Column("segment_no", BigInteger, primary_key=True),
    Column("partition_no", BigInteger, primary_key=True),
    Column("first_offset", BigInteger, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    # the leaf of its first vote, and where its offsets hold votes (store/places.py; null: everywhere)
    Column("first_leaf", BigInteger, nullable=False),
    Column("runs", LargeBinary),
)
# The blinds of the leaves from `first_leaf` on, 32 bytes each; zeros where the private fields were erased.
blind = Table(
    "blind",
    metadata,
    Column("first_leaf", BigInteger, primary_key=True, autoincrement=False),
    Column("blinds", LargeBinary, nullable=False),
)
# A vote that must stop counting; it gets its leaf with the next seal.
retraction = Table(
    "retraction",
    metadata,
    _numbered("retraction_no"),
    Column("partition_no", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("vote_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    # the leaf that it takes back, and its own, once it is sealed
    Column("retracts", BigInteger),
    Column("leaf", BigInteger, unique=True),
    UniqueConstraint("partition_no", "offset"),
)
# The sum of all segments, one row: a refresh reads this, however old the log is.
sealed_total = Table(
    "sealed_total",
    metadata,
    Column("name", Text, primary_key=True),
    Column("log_size", BigInteger, nullable=False),
    Column("counts", LargeBinary, nullable=False),
)

# The snapshot log: the manifest of each published snapshot, and the signed heads that it made. Written in the
# transaction that publishes: no snapshot is visible without it.
manifest = Table(
    "manifest",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("snapshot_id", Text, nullable=False, unique=True),
    Column("sha256", Text, nullable=False, unique=True),
    Column("leaf", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    # the signed heads of the snapshot log and of the vote log
    Column("checkpoint", LargeBinary, nullable=False),
    Column("votes_checkpoint", LargeBinary, nullable=False),
)
# Lines that witnesses put under a checkpoint of the snapshot log.
cosignature = Table(
    "cosignature",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("witness", Text, primary_key=True),
    Column("line", LargeBinary, nullable=False),
)

verdict = Table(
    "verdict",
    metadata,
    Column("verdict_id", Text, primary_key=True),
    Column("suite", Text, nullable=False),
    Column("log_size", BigInteger, nullable=False),
    Column("success", Boolean, nullable=False),
    Column("results", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

# A candidate has no sequence; publishing gives it one. UNIQUE(previous) makes a fork impossible.
snapshot = Table(
    "snapshot",
    metadata,
    Column("snapshot_id", Text, primary_key=True),
    Column("work_key", Text, nullable=False, unique=True),
    Column("log_size", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("reference", LargeBinary, nullable=False),
    Column("rated_at", BigInteger, nullable=False),
    Column("sequence", BigInteger, unique=True),
    Column("previous", Text, unique=True),
    Column("digest", Text, unique=True),
    Column("published_at", BigInteger),
)
snapshot_row = Table(
    "snapshot_row",
    metadata,
    Column("snapshot_id", Text, primary_key=True),
    Column("view", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("rating", Double, nullable=False),
    Column("lower", Double, nullable=False),
    Column("upper", Double, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("rank_best", Integer, nullable=False),
    Column("rank_worst", Integer, nullable=False),
    Column("votes", BigInteger, nullable=False),
)

registry_event = Table(
    "registry_event",
    metadata,
    _numbered("event_no"),
    Column("event_id", Text, nullable=False, unique=True),
    Column("at", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("body", Text, nullable=False),
)

# Records of a registry topic that are no events; those that contradict others are kept as events (pipeline.registry).
registry_reject = Table(
    "registry_reject",
    metadata,
    Column("source", Text, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("appended_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("origin", Text),
    Column("sha256", LargeBinary, nullable=False),
    Column("sample", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# What must still reach a topic: written with the batch, removed when the broker has it.
outbox = Table(
    "outbox",
    metadata,
    _numbered("outbox_no"),
    Column("source_no", BigInteger, nullable=False),
    Column("topic", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("value", LargeBinary, nullable=False),
)

# A sweep's place in the stream of hypotheses (evidence/many.py, e-LOND). The same log and registry are looked at once.
sweep = Table(
    "sweep",
    metadata,
    _numbered("sweep_no"),
    Column("log_size", BigInteger, nullable=False),
    Column("event_no", BigInteger, nullable=False),
    # families of hypotheses and discoveries, before this sweep and after it
    Column("submitted_before", BigInteger, nullable=False),
    Column("rejected_before", BigInteger, nullable=False),
    Column("submitted", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    # wall clock, for people
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("log_size", "event_no"),
)

lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

# What a window detector remembers as of the monitor's position: named arrays (evidence/keyed.py).
detector_state = Table(
    "detector_state",
    metadata,
    Column("detector", Text, primary_key=True),
    Column("state", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# Partitions without events that windows were closed without: those starting in [first, end) hold none of their votes.
left_out = Table(
    "left_out",
    metadata,
    Column("partition_no", BigInteger, primary_key=True),
    Column("first", BigInteger, primary_key=True),
    Column("end", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# How far the monitor has come: every window that starts before `position` is closed.
position = Table(
    "position",
    metadata,
    Column("name", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
)
closed_window = Table(
    "closed_window",
    metadata,
    Column("start", BigInteger, primary_key=True),
    Column("accepted", Integer, nullable=False),
    Column("late", Integer, nullable=False),
    sqlite_with_rowid=False,
)
