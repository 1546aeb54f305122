"""Builds tables for the terminal: boards, comparisons and alerts. Intervals are drawn as lines of characters."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from pipeline.alert_text import format_e_value, summarize
from pipeline.cli.terminal import styled

_WIDTH = 24
# Unregistered models that are named.
_UNREGISTERED_SHOWN = 10
_NARROW = 14
_INTERVAL = "interval"
# The columns of a board in a terminal that leaves fewer characters than this for the names of models.
_FEW, _LEAST_NAME = ("rank", "model", "rating", "votes"), 10
# The look of a table without lines between columns.
_OPEN: Mapping[str, Any] = {
    "box": box.SIMPLE_HEAD, "show_edge": False, "pad_edge": False, "collapse_padding": True,
}  # fmt: skip
# Terminal width from which an alert's subject has a column of its own; below it, the subject precedes the summary.
_SUBJECT = 115

_RIGHT = frozenset({"rank", "rating", "raw", "defended", "moved", "rank set", "sure", "votes", "e-value", _INTERVAL})
# Columns of numbers that are never broken or cut; the others share what is left of a narrow terminal.
_WHOLE = frozenset({"rank", "rating", "rank set", "sure", "votes", _INTERVAL})

# A column: its title, the narrowest terminal that shows it, and the function that makes a row's cell.
_Column = tuple[str, int, Callable[[Mapping[str, Any]], str | Text]]


def draw_interval(lower: float, rating: float, upper: float, low: float, high: float, width: int = _WIDTH) -> str:
    """Draw an interval as a line of characters: ──●──.

    Args:
        lower: lower bound of the interval.
        rating: the rating, drawn as ●.
        upper: upper bound of the interval.
        low: left end of the scale, the lowest bound on the board.
        high: right end of the scale, the highest bound on the board.
        width: number of characters of the whole scale.
    """
    span = max(high - low, 1e-9)
    at = [min(width - 1, max(0, round((x - low) / span * (width - 1)))) for x in (lower, rating, upper)]
    cells = ["─" if at[0] <= i <= at[2] else " " for i in range(width)]
    cells[at[1]] = "●"
    return "".join(cells)


_INTERVAL_NAMES = (
    ("clustered_lower", "lower"),
    ("clustered_upper", "upper"),
    ("clustered_best", "rank_best"),
    ("clustered_worst", "rank_worst"),
)


def board_table(
    rows: Sequence[Mapping[str, Any]], title: str, width: int = 120, more: str = "--json has all columns"
) -> Table:
    """Build the table of one view of a snapshot.

    A row that has a clustered interval shows this interval and its sure ranks. The table has the first of these layouts
    that fits the width: with drawn intervals; with numbers only; without lines between columns; rounded to whole
    points. If none fits, the table has neither intervals nor rank sets.

    Args:
        rows: the rows of the board.
        title: the title of the table.
        width: width of the terminal in characters.
        more: a text that says where to find what the table lacks. It stands under a table without drawn intervals.
    """
    for drawn, digits, grid in ((_WIDTH, 2, True), (_NARROW, 2, True), (0, 2, True), (0, 2, False), (0, 0, False)):
        columns = _board_columns(rows, drawn, digits)
        if _width_of(columns, rows, 3 if grid else 2) <= width:
            break
    else:
        numbers = [column for column in columns if column[0] != "model"]
        if _width_of(numbers, rows, 2) + _LEAST_NAME > width:
            columns = [column for column in columns if column[0] in _FEW]
    look = {} if grid else _OPEN
    if not drawn:
        caption = more if digits else f"in whole points; {more}"
        look = {**look, "caption": caption, "caption_justify": "left"}
    return _table(title, columns, rows, width, look)


def _board_columns(rows: Sequence[Mapping[str, Any]], drawn: int, digits: int) -> list[_Column]:
    """Return the columns of a board.

    Args:
        rows: the rows of the board.
        drawn: width of the drawn intervals in characters; 0 for a table without drawn intervals.
        digits: number of decimal places of ratings.
    """
    lower, upper, best, worst = (partial(_preferred, *names) for names in _INTERVAL_NAMES)
    columns: list[_Column] = [
        ("rank", 0, lambda r: str(r["rank"])),
        ("rank set", 0, lambda r: f"{best(r)}–{worst(r)}"),
        ("model", 0, lambda r: f"{r['model']} *" if r.get("preliminary") else r["model"]),
        ("rating", 0, lambda r: f"{r['rating']:.{digits}f}"),
        (_INTERVAL, 0, lambda r: f"{lower(r):.{digits}f} … {upper(r):.{digits}f}"),
        ("votes", 0, lambda r: f"{r['votes']:,}"),
    ]
    if any(row.get("sure_best") is not None for row in rows):
        columns.insert(2, ("sure", 0, lambda r: f"{r['sure_best']}–{r['sure_worst']}" if r["sure_best"] else ""))
    if drawn and rows:
        low, high = min(map(lower, rows)), max(map(upper, rows))
        left, right = f"{low:.0f}", f"{high:.0f}"
        axis = left + right.rjust(drawn - len(left))
        columns.insert(-1, (axis, 0, lambda r: draw_interval(lower(r), r["rating"], upper(r), low, high, drawn)))
    return columns


def _width_of(columns: Sequence[_Column], rows: Sequence[Mapping[str, Any]], between: int) -> int:
    """Return the width of a table; `between` is the number of characters between two columns."""
    widest = (max(cell_len(text) for text in (name, *(str(cell(row)) for row in rows))) for name, _, cell in columns)
    return sum(widest) + between * len(columns) + 1


def _preferred(first: str, second: str, row: Mapping[str, Any]) -> Any:
    """Return the value of the first of two columns, or of the second one if the first is missing or None."""
    return row[second] if row.get(first) is None else row[first]


def coefficient_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line of text for each style feature, with its coefficient.

    Args:
        rows: {"feature", "coefficient", "lower", "upper"} of each style feature.
    """
    return [
        f"{row['feature']:8} {row['coefficient']:+.4f}  [{row['lower']:+.4f}, {row['upper']:+.4f}]"
        "  logits per standard deviation"
        for row in rows
    ]


def quality_warning(row: Mapping[str, Any]) -> str:
    """Describe a failed expectation of severity `warning` on one line: its place, its reason, and what was found."""
    where = f"{row['suite']} {row['part']}".rstrip()
    return f"warning: {where}, {row['column']}: {row['reason']} ({row['expectation']}, observed {row['observed']})"


def comparison_table(
    raw: Sequence[Mapping[str, Any]], defended: Sequence[Mapping[str, Any]], most: int, width: int = 120
) -> Table:
    """Build a table with the raw and the defended rating of each model, and the change of its rank.

    Args:
        raw: rows of the raw view, which has all models of the defended view.
        defended: rows of the defended view, in the order of the table.
        most: largest number of rows.
        width: width of the terminal in characters; a narrow table has fewer columns.
    """
    raw_rows, shown = {r["model"]: r for r in raw}, defended[:most]
    low, high = (f(r[k] for r in shown) if shown else 0.0 for f, k in ((min, "lower"), (max, "upper")))
    columns: list[_Column] = [
        ("model", 0, lambda r: r["model"]),
        ("raw", 0, lambda r: f"{raw_rows[r['model']]['rating']:.1f}"),
        ("rank", 0, lambda r: str(raw_rows[r["model"]]["rank"])),
        ("defended", 0, lambda r: f"{r['rating']:.1f}"),
        ("rank", 0, lambda r: str(r["rank"])),
        ("95% interval", 100, lambda r: f"{r['lower']:.1f} … {r['upper']:.1f}"),
        ("", 125, lambda r: draw_interval(r["lower"], r["rating"], r["upper"], low, high)),
        ("moved", 0, lambda r: rank_change(raw_rows[r["model"]]["rank"] - r["rank"])),
    ]
    return _table("Raw and defended ratings", columns, shown, width)


def _table(
    title: str,
    columns: Sequence[_Column],
    rows: Sequence[Mapping[str, Any]],
    width: int,
    look: Mapping[str, Any] = MappingProxyType({}),
) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold", **look)
    kept = [column for column in columns if width >= column[1]]
    for name, _, _ in kept:
        left = name not in _RIGHT
        overflow: Literal["fold", "ellipsis"] = "fold" if left else "ellipsis"
        table.add_column(name, justify="left" if left else "right", overflow=overflow, no_wrap=name in _WHOLE)
    for row in rows:
        table.add_row(*(cell(row) for _, _, cell in kept))
    return table


def titled_table(title: str, columns: Iterable[str], left: Collection[str] = ("",)) -> Table:
    """Build a table with a title and columns, but without rows. Long values are wrapped.

    Columns are aligned to the right, except those named in `left`.
    """
    table = Table(title=title, title_justify="left", header_style="bold")
    for name in columns:
        table.add_column(name, justify="left" if name in left else "right", overflow="fold")
    return table


def rank_change(places: int) -> Text:
    """Format a number of places that a model gained or lost: green with +, red with −, empty for 0."""
    if not places:
        return styled("")
    return styled((f"{places:+d}", "green" if places > 0 else "red"))


def _subject_and_summary(alert: Mapping[str, Any]) -> str:
    return f"{alert['subject']['id'][:40]}: {summarize(alert)}"


def alert_table(listed: Sequence[Mapping[str, Any]], width: int = 120) -> Table:
    """Build a table with one alert in each row. It has fewer columns if `width`, in characters, is small."""
    columns: list[_Column] = [
        ("id", 0, lambda a: a["id"]),
        ("severity", 0, lambda a: styled((a["severity"], "red" if a["severity"] == "critical" else "yellow"))),
        ("detector", 150, lambda a: a["detector"]),
        ("subject", _SUBJECT, lambda a: f"{a['subject']['kind']} {a['subject']['id'][:40]}"),
        ("e-value", 0, lambda a: format_e_value(a["e_value"])),
        ("state", 90, lambda a: a["state"]),
        ("what", 0, summarize if width >= _SUBJECT else _subject_and_summary),
    ]
    return _table(f"{len(listed)} alerts", columns, listed, width)


def unregistered_models(names: Sequence[str], votes: int) -> str:
    """Return a sentence about the votes on unregistered models, which are not counted.

    Args:
        names: the unregistered models.
        votes: number of their votes.
    """
    shown = ", ".join(names[:_UNREGISTERED_SHOWN]) + (", …" if len(names) > _UNREGISTERED_SHOWN else "")
    return f"{votes:,} votes are on {len(names):,} models that the registry does not know, and wait: {shown}"
