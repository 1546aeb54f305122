"""Adds tables for readings of files: which records of each file were read, and which record is at an offset.

A reading is one pass over the new records of a file. Files that were read before this migration have no stored reading.
If such a file is read again, all its records count as new. If the vote of a record is stored, the record gets the fate
duplicate.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger()
# SQLite numbers rows of an INTEGER key only.
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables for readings of files, and for the records at offsets."""
    op.create_table(
        "file_reading",
        sa.Column("reading_no", _NUMBER, sa.Identity(), primary_key=True),
        sa.Column("partition_no", _BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        *(
            sa.Column(name, _BIG, nullable=False)
            for name in ("skipped", "records", "first_offset", "next_offset", "read_at")
        ),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "file_records",
        *(sa.Column(name, _BIG, primary_key=True) for name in ("partition_no", "first_offset")),
        sa.Column("reading_no", _BIG, nullable=False),
        sa.Column("records", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
    )
