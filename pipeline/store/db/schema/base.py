"""Defines the naming rule for constraints, and functions that make columns for the other modules of this package."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import BigInteger, Column, Identity, Integer, MetaData
from sqlalchemy.types import TypeEngine

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
    """Return a primary key column of integers that the database fills with increasing numbers."""
    return Column(name, _Number, Identity(), primary_key=True)


def primary_key(kind: type[TypeEngine[Any]], *names: str) -> Iterator[Column[Any]]:
    """Yield columns of one type that together form the primary key."""
    return (Column(name, kind, primary_key=True) for name in names)


def not_null(kind: type[TypeEngine[Any]], *names: str) -> Iterator[Column[Any]]:
    """Yield columns of one type that are never NULL."""
    return (Column(name, kind, nullable=False) for name in names)
