"""What all tables have in common: the names of their constraints, and numbered rows."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Identity, Integer, MetaData

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# SQLite gives out row numbers for INTEGER alone; PostgreSQL wants the wider type.
_Number = BigInteger().with_variant(Integer, "sqlite")


def numbered(name: str) -> Column[int]:
    """A primary key that the database gives out."""
    return Column(name, _Number, Identity(), primary_key=True)
