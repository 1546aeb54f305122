"""Adds a table for the answers that a refresh prepares for the API: pages of providers, and moves between snapshots.

The table is empty until the next refresh.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of answers that a refresh computes in advance for the API."""
    op.create_table(
        "prepared",
        *(sa.Column(name, sa.Text(), primary_key=True) for name in ("kind", "name")),
        sa.Column("snapshot_id", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("event_no", "prepared_at")),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
