"""Selects and sorts the lines of a board, and divides them into pages, by the parameters of the page's address."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import Query

from pipeline.api.pages.page_templates import PAGE_ROWS
from pipeline.api.request_params import View
from pipeline.store.boards.snapshot_intervals import shown_interval

Line = dict[str, Any]
Sort = Literal["rank", "model", "provider", "votes", "interval", "moved"]

_TEXT = r"^[^\x00-\x1f\x7f]*$"
SearchParam = Annotated[str, Query(max_length=100, pattern=_TEXT, description="Text in a model's name or provider.")]
FilterParam = Annotated[str, Query(max_length=300, pattern=_TEXT, description="Only rows with this value; empty: all.")]
SortParam = Annotated[Sort, Query(description="By rank, name, provider, most votes, narrowest interval, places won.")]
PageParam = Annotated[int, Query(ge=0, le=1_000, description="Number of the page; 0 for all rows on one page.")]

SORTS: dict[Sort, str] = {
    "rank": "rank", "model": "name", "provider": "provider", "votes": "most votes",
    "interval": "narrowest interval", "moved": "places won",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BoardFilter:
    """The parameters in the address of a board's page, by which a reader chooses what the page shows.

    Each attribute is a query parameter of the address.

    Attributes:
        by: the view whose rows are shown.
        board: name of a board, "category/LABEL" or "language/LABEL"; None for the board of all votes.
        q: only models whose name or provider contains this text; empty for all.
        provider: only models of this provider; empty for all.
        license: only models with this license; empty for all.
        sort: name of the order of the rows, such as "rank" or "votes".
        page: number of the page, from 1; 0 for all rows on one page.
    """

    by: View = "defended"
    board: str | None = None
    q: str = ""
    provider: str = ""
    license: str = ""
    sort: Sort = "rank"
    page: int = 1

    def link(self, **changes: Any) -> str:
        """Return the query of the same board's address with some parameters changed.

        The address leads to the first page unless `changes` has `page`. The browser scrolls to the table, below the
        headline.
        """
        other = asdict(replace(self, page=1, **changes) if "page" not in changes else replace(self, **changes))
        defaults = {one.name: one.default for one in fields(self)}
        chosen = {name: value for name, value in other.items() if value != defaults[name]}
        return f"?{urlencode(chosen)}#board"

    @property
    def narrows(self) -> bool:
        """Whether the parameters restrict which models are shown."""
        return bool(self.q.strip() or self.provider or self.license)

    def choose(self, lines: Sequence[Line]) -> list[Line]:
        """Return all lines that the parameters select, in the order that the reader asked for.

        The lines are not divided into pages yet.
        """
        text = self.q.strip().casefold()
        found = [
            line
            for line in lines
            if text in f"{line['model']}\n{line['provider'] or ''}".casefold()
            and self.provider in ("", line["provider"])
            and self.license in ("", line["license"])
        ]
        return found if self.sort == "rank" else sorted(found, key=_KEYS[self.sort])

    def pages(self, number: int) -> int:
        """Return the number of pages that `number` lines fill, at least 1."""
        return max(1, -(-number // PAGE_ROWS))

    def on_page(self, lines: list[Line]) -> list[Line]:
        """Return the lines of the page with the number `page`, or of the last page if there are fewer pages."""
        if self.page == 0:
            return lines
        start = (min(self.page, self.pages(len(lines))) - 1) * PAGE_ROWS
        return lines[start : start + PAGE_ROWS]


def values_of(lines: Sequence[Line], name: str) -> list[str]:
    """Return the different values of the field `name` in these lines, sorted. Empty values are left out."""
    return sorted({line[name] for line in lines if line[name]}, key=str.casefold)


def interval_width(row: Mapping[str, Any]) -> float:
    """Return the width of the 95% interval of a row in points."""
    low, high = shown_interval(row)
    return high - low


# Lines without a value come last. Python's sort keeps the order by rank among equals.
_KEYS: dict[Sort, Callable[[Line], Any]] = {
    "model": lambda line: line["model"].casefold(),
    "provider": lambda line: (line["provider"] is None, (line["provider"] or "").casefold()),
    "votes": lambda line: -line["row"]["votes"],
    "interval": lambda line: interval_width(line["row"]),
    "moved": lambda line: (line["moved"] is None, -(line["moved"] or 0)),
}
