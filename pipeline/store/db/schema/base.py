"""Naming of constraints, and numbered rows."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Identity, Integer, MetaData

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# SQLite numbers rows of an INTEGER key only; PostgreSQL needs the wider type.
_Number = BigInteger().with_variant(Integer, "sqlite")


def numbered(name: str) -> Column[int]:
    """A primary key that the database numbers."""
    return Column(name, _Number, Identity(), primary_key=True)
