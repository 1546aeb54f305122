"""Sorts names in the same order in every database, whatever its collation is."""

from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class CodePointOrder(FunctionElement[str]):
    """An SQL expression that sorts a text column by Unicode code points, as SQLite does by default."""

    inherit_cache = True


@compiles(CodePointOrder)
def _column_alone(element: CodePointOrder, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


@compiles(CodePointOrder, "postgresql")
def _column_collated(element: CodePointOrder, compiler: Any, **options: Any) -> str:
    return f'{compiler.process(element.clauses, **options)} COLLATE "C"'
