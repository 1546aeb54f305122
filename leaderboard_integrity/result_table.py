"""Defines the base classes of results. The classes convert a result to tables of pandas or Arrow and to HTML."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from leaderboard_integrity import html_text
from leaderboard_integrity.charts import TOP, board_chart

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

_IN_HTML = ("rank", "model", "rating", "lower", "upper", "votes")


class ResultTable(ABC):
    """The base class of results that can be converted to a table."""

    __slots__ = ()

    @abstractmethod
    def to_arrow(self) -> pa.Table:
        """Return the result as an Arrow table."""

    def to_pandas(self) -> pd.DataFrame:
        """Return the result as a pandas data frame."""
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def __arrow_c_stream__(self, requested_schema: Any = None) -> object:
        """Return the result as an Arrow C stream, which makes `polars.DataFrame(result)` work."""
        stream: object = self.to_arrow().__arrow_c_stream__(requested_schema)
        return stream


class BoardResult(ResultTable, ABC):
    """The base class of results that contain the rows of a board."""

    __slots__ = ()

    rows: tuple[Mapping[str, Any], ...]

    @property
    @abstractmethod
    def title(self) -> str:
        """A line that says which votes the board rates."""

    def to_arrow(self) -> pa.Table:
        """Return the rows of the board as an Arrow table, best model first."""
        return pa.Table.from_pylist([dict(row) for row in self.rows])

    def plot(self, top: int = TOP) -> alt.LayerChart:
        """Return an Altair chart of the ratings with their intervals.

        Args:
            top: largest number of models that are drawn.

        Raises:
            MissingExtra: Altair is not installed.
        """
        return board_chart(self.rows, self.title, top)


def board_html(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows of a board as an HTML table, with rank, model, rating, interval and votes."""
    names = [name for name in _IN_HTML if rows and name in rows[0]]
    return html_text.table(names, [[row[name] for name in names] for row in rows])
