"""Adds tables for the archive: which sealed votes left the database, and which files hold these votes and their ids."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of archive files, of their ranges of offsets, and of files with ids."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    long = sa.BigInteger()
    op.create_table(
        "cold_file",
        sa.Column("file_no", number, sa.Identity(), primary_key=True),
        *(sa.Column(name, long, nullable=False) for name in ("first_leaf", "next_leaf", "votes", "bytes")),
        sa.Column("sha256", sa.Text(), nullable=False),
        *(sa.Column(name, sa.LargeBinary(), nullable=False) for name in ("data_key", "chunks")),
        *(sa.Column(name, long, nullable=False) for name in ("first_at", "last_at", "archived_at")),
        sa.UniqueConstraint("first_leaf", name="uq_cold_file_first_leaf"),
    )
    op.create_table(
        "cold_range",
        sa.Column("partition_no", long, nullable=False),
        sa.Column("first_offset", long, nullable=False),
        *(sa.Column(name, long, nullable=False) for name in ("file_no", "next_offset", "accepted", "late")),
        *(sa.Column(name, long, nullable=False) for name in ("quarantined", "first_appended_at", "last_appended_at")),
        sa.Column("last_offset", long, nullable=False),
        *(sa.Column(name, long) for name in ("newest_at", "newest_accepted_at")),
        sa.PrimaryKeyConstraint("partition_no", "first_offset", name="pk_cold_range"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cold_ids",
        sa.Column("run_no", number, sa.Identity(), primary_key=True),
        *(sa.Column(name, long, nullable=False) for name in ("ids", "bytes")),
        sa.Column("sha256", sa.Text(), nullable=False),
    )
