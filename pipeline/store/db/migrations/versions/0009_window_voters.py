"""Adds the voters of each window. Sittings (runs of one voter's votes without a long pause) are counted from them.

Windows that are stored already have no voters. They are marked as stale, so `integrity migrate` rebuilds these windows.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column for the voters of a window, and mark existing window counts as stale."""
    op.add_column("window", sa.Column("voters", sa.LargeBinary()))
    op.execute(
        "INSERT INTO meta (name, value) SELECT 'windows_stale', '0009' WHERE EXISTS (SELECT 1 FROM \"window\")"
        " ON CONFLICT (name) DO NOTHING"
    )
