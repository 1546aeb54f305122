"""Adds a table for packed columns of the newest votes, from which a refresh estimates the reference."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "kept_votes",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("erasures", sa.BigInteger(), nullable=False),
        sa.Column("votes", sa.LargeBinary()),
    )
