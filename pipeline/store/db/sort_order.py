"""An order of names that does not depend on the database's collation."""

from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class CodePointOrder(FunctionElement[str]):
    """A text column that sorts by code points: SQLite's own order, which few collations of PostgreSQL have."""

    inherit_cache = True


@compiles(CodePointOrder)
def _column_alone(element: CodePointOrder, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


@compiles(CodePointOrder, "postgresql")
def _column_collated(element: CodePointOrder, compiler: Any, **options: Any) -> str:
    return f'{compiler.process(element.clauses, **options)} COLLATE "C"'
