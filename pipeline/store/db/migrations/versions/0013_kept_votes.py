"""Adds a table for a packed copy of the newest votes.

From this copy, a refresh estimates the reference: the ratings with which detectors compare votes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of the packed copy of the newest votes."""
    op.create_table(
        "kept_votes",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("erasures", sa.BigInteger(), nullable=False),
        sa.Column("votes", sa.LargeBinary()),
    )
