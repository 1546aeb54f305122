"""Adds columns for the vote fields that methods and boards by category use, and for values that a seal computes.

Votes from before this migration have none of the new fields, so these votes count as before. Sealed segments keep their
counts and get no labels.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns for the new vote fields, and the tables for frequent prompts."""
    big, number = sa.BigInteger(), sa.Integer()
    for name, kind in (("flags", number), ("turn", number), ("session", big), ("categories", number)):
        op.add_column("vote", sa.Column(name, kind, nullable=False, server_default="0"))
    op.add_column("segment", sa.Column("boards", sa.LargeBinary()))
    op.add_column("segment", sa.Column("labels", sa.Text()))
    op.create_table(
        "frequent_vote",
        *(sa.Column(name, big, primary_key=True, autoincrement=False) for name in ("partition_no", "offset")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "prompt_count",
        sa.Column("prompt", big, primary_key=True, autoincrement=False),
        *(sa.Column(name, big, nullable=False) for name in ("votes", "kept")),
        sqlite_with_rowid=False,
    )
