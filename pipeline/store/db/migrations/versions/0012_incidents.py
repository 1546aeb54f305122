"""Adds tables for incidents, which are groups of alerts, and for people's decisions about incidents."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of incidents and of decisions about them."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "incident",
        sa.Column("incident_id", sa.Text(), primary_key=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("body", "private")),
    )
    op.create_table("grouping", sa.Column("inputs", sa.Text(), primary_key=True))
    op.create_table(
        "incident_event",
        sa.Column("event_no", number, sa.Identity(), primary_key=True),
        sa.Column("incident_id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("action", "name", "reason")),
        sa.Column("alerts", sa.Text()),
    )
