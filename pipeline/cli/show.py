"""How things look in a terminal: tables, intervals drawn as a line, alerts in plain words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

_WIDTH = 24
_NARROW = 14

_RIGHT = frozenset({"rank", "rating", "raw", "defended", "moved", "rank set", "votes", "e-value"})

# A column: its name, the narrowest terminal that shows it, and a row's cell.
_Column = tuple[str, int, Callable[[Mapping[str, Any]], str | Text]]


def interval(lower: float, rating: float, upper: float, low: float, high: float, width: int = _WIDTH) -> str:
    """An interval drawn between the board's lowest and highest bound: ──●──."""
    span = max(high - low, 1e-9)
    at = [min(width - 1, max(0, round((x - low) / span * (width - 1)))) for x in (lower, rating, upper)]
    cells = ["─" if at[0] <= i <= at[2] else " " for i in range(width)]
    cells[at[1]] = "●"
    return "".join(cells)


def board(rows: Sequence[Mapping[str, Any]], title: str, width: int = 120) -> Table:
    """One view of a snapshot; a narrow terminal gets fewer columns rather than broken ones."""
    low, high = (f(r[k] for r in rows) if rows else 0.0 for f, k in ((min, "lower"), (max, "upper")))
    drawn = _WIDTH if width >= 120 else _NARROW
    columns: list[_Column] = [
        ("rank", 0, lambda r: str(r["rank"])),
        ("model", 0, lambda r: r["model"]),
        ("rating", 0, lambda r: f"{r['rating']:.2f}"),
        ("interval", 100, lambda r: f"{r['lower']:.2f} … {r['upper']:.2f}"),
        ("", 72, lambda r: interval(r["lower"], r["rating"], r["upper"], low, high, drawn)),
        ("rank set", 95, lambda r: f"{r['rank_best']}–{r['rank_worst']}"),
        ("votes", 0, lambda r: f"{r['votes']:,}"),
    ]
    return _table(title, columns, rows, width)


def coefficients(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What style is worth, a line a feature."""
    return [
        f"{row['feature']:8} {row['coefficient']:+.4f}  [{row['lower']:+.4f}, {row['upper']:+.4f}]"
        "  logits per standard deviation"
        for row in rows
    ]


def side_by_side(
    raw: Sequence[Mapping[str, Any]], defended: Sequence[Mapping[str, Any]], most: int, width: int = 120
) -> Table:
    """Raw beside defended, with the ranks that moved marked."""
    before, shown = {r["model"]: r for r in raw}, defended[:most]
    low, high = (f(r[k] for r in shown) if shown else 0.0 for f, k in ((min, "lower"), (max, "upper")))
    columns: list[_Column] = [
        ("model", 0, lambda r: r["model"]),
        ("raw", 0, lambda r: f"{before[r['model']]['rating']:.1f}"),
        ("rank", 0, lambda r: str(before[r["model"]]["rank"])),
        ("defended", 0, lambda r: f"{r['rating']:.1f}"),
        ("rank", 0, lambda r: str(r["rank"])),
        ("95% interval", 100, lambda r: f"{r['lower']:.1f} … {r['upper']:.1f}"),
        ("", 125, lambda r: interval(r["lower"], r["rating"], r["upper"], low, high)),
        ("moved", 0, lambda r: moved(before[r["model"]]["rank"] - r["rank"])),
    ]
    return _table("Raw beside defended", columns, shown, width)


def _table(title: str, columns: Sequence[_Column], rows: Sequence[Mapping[str, Any]], width: int) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    kept = [column for column in columns if width >= column[1]]
    for name, _, _ in kept:
        left = name not in _RIGHT
        table.add_column(name, justify="left" if left else "right", overflow="fold" if left else "ellipsis")
    for row in rows:
        table.add_row(*(cell(row) for _, _, cell in kept))
    return table


def moved(places: int) -> Text:
    """Places won (+) or lost (−) by leaving the excluded votes out."""
    if not places:
        return Text("")
    return Text(f"{places:+d}", style="green" if places > 0 else "red")


def alerts(listed: Sequence[Mapping[str, Any]], width: int = 120) -> Table:
    """Alerts, a line each."""
    columns: list[_Column] = [
        ("id", 0, lambda a: a["id"]),
        ("severity", 0, lambda a: Text(a["severity"], style="red" if a["severity"] == "critical" else "yellow")),
        ("detector", 150, lambda a: a["detector"]),
        ("subject", 115, lambda a: f"{a['subject']['kind']} {a['subject']['id'][:40]}"),
        ("e-value", 0, lambda a: e_value(a["e_value"])),
        ("state", 90, lambda a: a["state"]),
        ("seen", 0, seen),
    ]
    return _table(f"{len(listed)} alerts", columns, listed, width)


def e_value(value: float | None) -> str:
    """An e-value for people; a fact has none."""
    return "fact" if value is None else f"{value:,.0f}"


def seen(alert: Mapping[str, Any]) -> str:
    """What was seen, in a few words."""
    evidence = alert["evidence"]
    if "likeliest" in evidence:
        best = evidence["likeliest"][0]
        what = " ".join(str(best[k]) for k in ("what", "model") if k in best)
        return f"{what} ({evidence['votes']} votes, {best['share']:.0%} of the evidence)"
    if "vote_id" in evidence:
        return f"vote {evidence['vote_id'][:24]} came back saying something else"
    return str(evidence.get("what", ""))


def explained(alert: Mapping[str, Any]) -> str:
    """An alert in whole sentences: what was seen, how unlikely, which votes, what to do."""
    subject = alert["subject"]
    lines = [f"{alert['severity'].upper()}  {alert['detector']}  about {subject['kind']} {subject['id']}"]
    if "likeliest" in alert["evidence"]:
        lines += _about_voter(alert)
    elif "window" in alert["evidence"]:
        lines += _about_window(alert)
    elif alert.get("window") is not None:
        lines += _about_sweep(alert)
    else:
        lines += [f"{key}: {value}" for key, value in alert["evidence"].items()]
        lines.append(f"Which votes: up to partition {alert['partition']}, offset {alert['offset']}.")
    lines += [
        f"  {v['cast_at'][:19]}  {v['model_a']} against {v['model_b']}: {v['winner']}  ({v['vote_id']})"
        for v in alert.get("votes", [])
    ]
    lines.append(f"State: {alert['state']}.")
    lines += [f"  {h['at']}  {h['action']} by {h['name']}: {h['reason']}" for h in alert.get("history", [])]
    return "\n".join([*lines, *_what_to_do(alert)])


def _about_voter(alert: Mapping[str, Any]) -> list[str]:
    e, evidence = alert["e_value"], alert["evidence"]
    lines = [f"Seen: after {evidence['votes']} votes ({evidence['ties']} ties) the choices fit best with:"]
    for one in evidence["likeliest"]:
        what = " ".join(str(one[k]) for k in ("what", "model") if k in one)
        by = f" by {one['delta']} logits" if "delta" in one else ""
        lines.append(f"  {one['share']:6.1%}  {what}{by}")
    if evidence["proved"]:
        lines.append(
            f"How unlikely: the e-value is {e:,.0f}. An honest voter, whatever the taste within the band, "
            f"ever reaches that with probability of at most 1 in {e:,.0f}."
        )
    else:
        lines.append(
            f"How unlikely: the e-value is {e:,.0f}, without a proved bound (honest voters differ in how "
            "often they call a tie): a reason to look, never more."
        )
    lines.append(f"Against: snapshot {evidence['snapshot']}, in force before these votes.")
    lines.append(f"Which votes: this voter's up to partition {alert['partition']}, offset {alert['offset']}.")
    return lines


def _about_window(alert: Mapping[str, Any]) -> list[str]:
    e, evidence = alert["e_value"], alert["evidence"]
    first, end = evidence["window"][0], alert["until"] or evidence["window"][1]
    lines = [f"Seen: {alert['direction']}: {evidence['what']}."]
    if e is None:
        lines.append("How unlikely: a fact; there is no chance in it.")
    elif alert["detector"] == "sampling_skew":
        lines.append(
            f"How unlikely: the e-value is {e:,.0f}. Sampling as declared ever reaches that with probability of at "
            f"most 1 in {e:,.0f}."
        )
    else:
        lines.append(
            f"How unlikely: the e-value over thirty days is {e:,.0f}. Of a board on which nothing is wrong, one such "
            f"alert about this {alert['subject']['kind']} is expected in {e:,.0f} months, or fewer."
        )
    lines.append(f"Which votes: those of {first[:16]} to {end[:16]} UTC that it speaks of, the newest first:")
    return lines


def _about_sweep(alert: Mapping[str, Any]) -> list[str]:
    e, evidence = alert["e_value"], alert["evidence"]
    lines = [f"Seen: {alert['direction']}: {evidence['what']}."]
    if e is None:
        lines.append("How unlikely: a fact; there is no chance in it.")
    else:
        lines.append(
            f"How unlikely: the e-value is {e:,.0f}. If nothing were wrong, one test reaches that with probability of "
            f"at most 1 in {e:,.0f}."
        )
    lines += [f"  {name}: {value}" for name, value in evidence.items() if name != "what"]
    lines.append(
        f"When: by the sweep of the board as of {alert['window'][:10]}; a sweep that no longer finds it clears it."
    )
    return lines


def _what_to_do(alert: Mapping[str, Any]) -> list[str]:
    decide = f"`integrity alerts exclude {alert['id']} --name YOU --reason WHY`"
    kind = alert["subject"]["kind"]
    if kind == "voter":
        return [
            f"What to do: look at the votes; then {decide}, or `resolve` or `appeal` it the same way. A critical "
            "alert's votes are left out of the defended view by the policy auto-voter/1 while it is open."
        ]
    if alert.get("votes"):
        return [
            f"What to do: look at the votes. {decide} leaves them, and no others, out of the defended view; `restore` "
            f"undoes it. Nothing is left out by itself: the votes for a {kind} may be a rival's."
        ]
    if alert.get("window") is not None:
        return ["What to do: ask whoever runs the board; there are no votes to leave out."]
    return []
