"""Adds tables for evaluations of backlogs, and for the ranges of votes that each evaluation covered.

A vote that no snapshot preceded has no evidence until `integrity backfill` evaluates it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of backlog evaluations and of their ranges of votes."""
    big, number = sa.BigInteger(), sa.Integer()
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "backlog_run",
        sa.Column("run_no", key, sa.Identity(), primary_key=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("kind", "form", "fold_key", "summary")),
        *(sa.Column(name, number, nullable=False) for name in ("rounds", "nested_rounds")),
        *(
            sa.Column(name, big, nullable=False)
            for name in ("votes", "voters", "submitted_before", "rejected_before", "submitted", "rejected", "at")
        ),
    )
    op.create_table(
        "backlog_range",
        *(sa.Column(name, big, primary_key=True, autoincrement=False) for name in ("run_no", "partition_no")),
        *(sa.Column(name, big, nullable=False) for name in ("first_offset", "next_offset")),
        sqlite_with_rowid=False,
    )
