"""the public ledger, and all else that came with the second version.

A store of the first version comes here with its votes, rejects, duplicates, ledger of offsets, registry, alerts,
exclusions and published snapshots as they are. What else it held:

    segment, segment_range   The hash chain over the votes. Nobody can sign it in retrospect, so it is no part of the
                             public log: it is kept word for word as `first_segment`, `first_segment_range`. Its votes
                             count as not sealed; the next seal takes them into the public log segment by segment and
                             in the chain's order, with fresh blinds, so that `log_size` of an old snapshot means the
                             same votes in the new log.
    snapshot, snapshot_row   Untouched: `leaderboard --at`, the pages and `diff` show them as before. They have no
                             manifest and no proof, as they were never signed; `verify` checks the chain that they
                             form, and their boards against the votes. The first signed snapshot names the last of
                             them.
    voter_state, window      Made of votes, in another form. Voter states are folded again from `state_offset` by the
                             next worker; windows are counted again at the end of the migration (store.remaking), by
                             the code of the day: a later migration need not know this form.
    vote_key.body            A digest that told a repeat from a contradiction; votes are compared themselves now.

The version of 2026-11-25 had changed 0001 in place, so its stores say 0001 and have all of these tables. They are known
by the table `blind`, and get only the two empty tables of the first chain. Finding that out belongs here, and not in
0001: a migration that has run is never run again, and this is the first that both kinds of store have before them.

One transaction on both databases. The tables are written out, and never those of `pipeline.store.db.schema`, which will
be changed. This is longer than a module should be because it is one list of tables, read once, from top to bottom.
"""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects.postgresql import UUID

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    second = sa.inspect(op.get_bind()).has_table("blind")
    _keep_the_first_chain(chained=not second)
    if second:
        return
    _ledger()
    _alerts()
    _registry()
    _tokens()
    _keys()
    _made_of_votes()


def _keep_the_first_chain(*, chained: bool) -> None:
    op.create_table(
        "first_segment",
        sa.Column("segment_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("log_size", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("segment_no", name=op.f("pk_first_segment")),
        sa.UniqueConstraint("log_size", name=op.f("uq_first_segment_log_size")),
    )
    op.create_table(
        "first_segment_range",
        sa.Column("segment_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("partition_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_offset", sa.BigInteger(), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("segment_no", "partition_no", name=op.f("pk_first_segment_range")),
    )
    if chained:
        for table, columns in (
            ("segment", "segment_no, log_size, digest, counts, at"),
            ("segment_range", "segment_no, partition_no, first_offset, next_offset"),
        ):
            op.execute(f"INSERT INTO first_{table} ({columns}) SELECT {columns} FROM {table}")  # noqa: S608
            op.drop_table(table)


def _ledger() -> None:
    op.create_table(
        "segment",
        sa.Column(
            "segment_no",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column("log_size", sa.BigInteger(), nullable=False),
        sa.Column("leaves", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("edge", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.Column("styles", sa.LargeBinary(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("segment_no", name=op.f("pk_segment")),
        sa.UniqueConstraint("log_size", name=op.f("uq_segment_log_size")),
    )
    op.create_table(
        "segment_range",
        sa.Column("segment_no", sa.BigInteger(), nullable=False),
        sa.Column("partition_no", sa.BigInteger(), nullable=False),
        sa.Column("first_offset", sa.BigInteger(), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.Column("first_leaf", sa.BigInteger(), nullable=False),
        sa.Column("runs", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("segment_no", "partition_no", name=op.f("pk_segment_range")),
    )
    op.create_table(
        "blind",
        sa.Column("first_leaf", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("blinds", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("first_leaf", name=op.f("pk_blind")),
    )
    op.create_table(
        "retraction",
        sa.Column(
            "retraction_no",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column("partition_no", sa.BigInteger(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("vote_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("retracts", sa.BigInteger(), nullable=True),
        sa.Column("leaf", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("retraction_no", name=op.f("pk_retraction")),
        sa.UniqueConstraint("leaf", name=op.f("uq_retraction_leaf")),
        sa.UniqueConstraint("partition_no", "offset", name=op.f("uq_retraction_partition_no_offset")),
    )
    op.create_table(
        "sealed_total",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("log_size", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sealed_total")),
    )
    op.create_table(
        "manifest",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("snapshot_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("checkpoint", sa.LargeBinary(), nullable=False),
        sa.Column("votes_checkpoint", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_manifest")),
        sa.UniqueConstraint("sha256", name=op.f("uq_manifest_sha256")),
        sa.UniqueConstraint("snapshot_id", name=op.f("uq_manifest_snapshot_id")),
    )
    op.create_table(
        "cosignature",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("witness", sa.Text(), nullable=False),
        sa.Column("line", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", "witness", name=op.f("pk_cosignature")),
    )


def _alerts() -> None:
    op.add_column("alert", sa.Column("snoozed_until", sa.BigInteger(), nullable=True))
    op.add_column("alert", sa.Column("over_at", sa.BigInteger(), nullable=True))


def _registry() -> None:
    op.create_table(
        "registry_reject",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("appended_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=True),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("sample", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("source", "offset", name=op.f("pk_registry_reject")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sweep",
        sa.Column(
            "sweep_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), sa.Identity(always=False), nullable=False
        ),
        sa.Column("log_size", sa.BigInteger(), nullable=False),
        sa.Column("event_no", sa.BigInteger(), nullable=False),
        sa.Column("submitted_before", sa.BigInteger(), nullable=False),
        sa.Column("rejected_before", sa.BigInteger(), nullable=False),
        sa.Column("submitted", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sweep_no", name=op.f("pk_sweep")),
        sa.UniqueConstraint("log_size", "event_no", name=op.f("uq_sweep_log_size_event_no")),
    )


def _tokens() -> None:
    op.create_table(
        "token",
        sa.Column(
            "token_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), sa.Identity(always=False), nullable=False
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.Column("revoked_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("token_no", name=op.f("pk_token")),
        sa.UniqueConstraint("sha256", name=op.f("uq_token_sha256")),
    )


def _keys() -> None:
    op.drop_column("vote_key", "body")
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("vote_key", "key", type_=UUID(), postgresql_using="encode(\"key\", 'hex')::uuid")


def _made_of_votes() -> None:
    op.drop_table("voter_state")
    op.create_table(
        "voter_state",
        sa.Column("partition_no", sa.BigInteger(), nullable=False),
        sa.Column("voter", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("partition_no", "voter", name=op.f("pk_voter_state")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "detector_state",
        sa.Column("detector", sa.Text(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("detector", name=op.f("pk_detector_state")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "left_out",
        sa.Column("partition_no", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("partition_no", "first", name=op.f("pk_left_out")),
        sqlite_with_rowid=False,
    )
    # Where a partition was first read from: a topic's retention may have passed its beginning.
    start = (
        "COALESCE((SELECT MIN(first_offset) FROM batch WHERE batch.partition_no = partition.partition_no), next_offset)"
    )
    op.execute(f"UPDATE partition SET sealed_offset = {start}, state_offset = {start}")  # noqa: S608
    context.config.attributes.setdefault("remake", set()).add("windows")
