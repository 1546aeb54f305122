"""Adds a table for the number of battles that the operator showed to voters in each window (issued battles)."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of issued battles."""
    op.create_table(
        "issued_window",
        sa.Column("start", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("battles", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.LargeBinary(), nullable=False) for name in ("counts", "battle_keys")),
        sqlite_with_rowid=False,
    )
