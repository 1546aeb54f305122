"""Defines the tables of the public ledger: the vote log and the snapshot log."""

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text, UniqueConstraint

from pipeline.store.db.schema.base import metadata, not_null, numbered, primary_key

# A segment: the committed votes of each partition's [first, next), in the order (partition, offset), then retractions,
# as leaves of the public log. `log_size` is the number of leaves with it; `root` and `edge` are the root and right edge
# of the log (ledger/merkle.py) after it; `sha256` names its file in the ledger's folder.
segment = Table(
    "segment",
    metadata,
    numbered("segment_no"),
    Column("log_size", BigInteger, nullable=False, unique=True),
    Column("leaves", BigInteger, nullable=False),
    Column("root", Text, nullable=False),
    Column("edge", LargeBinary, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("counts", LargeBinary, nullable=False),
    # its counted votes with style counts (sealed_styles.py), null where there are none
    Column("styles", LargeBinary),
    Column("at", BigInteger, nullable=False),
    # its counts by board and flags (sealed_boards.py); null in segments from before votes had flags
    Column("boards", LargeBinary),
    # SHA-256 of the file of its labels (ledger/labels.py); null where no vote has one
    Column("labels", Text),
)

# Votes that are outside the sample of a frequent prompt, as decided when they were sealed (frequent_prompts.py).
frequent_vote = Table(
    "frequent_vote", metadata, *primary_key(BigInteger, "partition_no", "offset"), sqlite_with_rowid=False
)

# How many sealed votes each prompt has, and how many of them its sample has.
prompt_count = Table(
    "prompt_count",
    metadata,
    *primary_key(BigInteger, "prompt"),
    *not_null(BigInteger, "votes", "kept"),
    sqlite_with_rowid=False,
)

segment_range = Table(
    "segment_range",
    metadata,
    *primary_key(BigInteger, "segment_no", "partition_no"),
    *not_null(BigInteger, "first_offset", "next_offset"),
    # the leaf of its first vote, and which offsets have votes (leaf_index.py; null: all)
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
    numbered("retraction_no"),
    *not_null(BigInteger, "partition_no", "offset"),
    *not_null(Text, "vote_id", "reason", "name"),
    Column("at", BigInteger, nullable=False),
    # the leaf of the vote, and the retraction's own leaf once it is sealed
    Column("retracts", BigInteger),
    Column("leaf", BigInteger, unique=True),
    UniqueConstraint("partition_no", "offset"),
)

# Sums over all segments, which a refresh reads: "votes" of `counts`, "board/…" of each board of `boards`; and
# "prompts", how many prompts have how many votes (frequent_prompts.py).
sealed_total = Table(
    "sealed_total",
    metadata,
    Column("name", Text, primary_key=True),
    Column("log_size", BigInteger, nullable=False),
    Column("counts", LargeBinary, nullable=False),
)

# A packed copy of the newest sealed votes, in one row (kept_votes.py). It names voters: an erasure deletes it, and is
# counted.
kept_votes = Table(
    "kept_votes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("erasures", BigInteger, nullable=False),
    Column("votes", LargeBinary),
)

# The snapshot log: the manifest of each published snapshot, and the heads signed with it. Written in the transaction
# that publishes: no snapshot is visible without it.
manifest = Table(
    "manifest",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("snapshot_id", Text, nullable=False, unique=True),
    Column("sha256", Text, nullable=False, unique=True),
    *not_null(LargeBinary, "leaf", "body"),
    # the signed heads of the snapshot log and of the vote log
    *not_null(LargeBinary, "checkpoint", "votes_checkpoint"),
)

# Lines that witnesses put under a checkpoint of the snapshot log.
cosignature = Table(
    "cosignature",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("witness", Text, primary_key=True),
    Column("line", LargeBinary, nullable=False),
)
