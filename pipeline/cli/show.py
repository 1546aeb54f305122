"""How things look in a terminal: tables, intervals drawn as a line, alerts in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

_WIDTH = 24


def interval(lower: float, rating: float, upper: float, low: float, high: float) -> str:
    """An interval drawn between the board's lowest and highest bound: ──●──."""
    span = max(high - low, 1e-9)
    at = [min(_WIDTH - 1, max(0, round((x - low) / span * (_WIDTH - 1)))) for x in (lower, rating, upper)]
    cells = ["─" if at[0] <= i <= at[2] else " " for i in range(_WIDTH)]
    cells[at[1]] = "●"
    return "".join(cells)


def board(rows: Sequence[Mapping[str, Any]], title: str) -> Table:
    """One view of a snapshot."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for name, side in (("rank", "right"), ("model", "left"), ("rating", "right"), ("95% interval", "left"),
                       ("", "left"), ("rank set", "right"), ("votes", "right")):  # fmt: skip
        table.add_column(name, justify=side, no_wrap=True)  # type: ignore[arg-type]
    low, high = (f(r[k] for r in rows) if rows else 0.0 for f, k in ((min, "lower"), (max, "upper")))
    for r in rows:
        table.add_row(
            str(r["rank"]), r["model"], f"{r['rating']:.2f}", f"{r['lower']:.2f} … {r['upper']:.2f}",
            interval(r["lower"], r["rating"], r["upper"], low, high),
            f"{r['rank_best']}–{r['rank_worst']}", f"{r['votes']:,}",
        )  # fmt: skip
    return table


def side_by_side(raw: Sequence[Mapping[str, Any]], defended: Sequence[Mapping[str, Any]], most: int) -> Table:
    """Raw beside defended, with the ranks that moved marked."""
    table = Table(title="Raw beside defended", title_justify="left", header_style="bold")
    for name, side in (("model", "left"), ("raw", "right"), ("rank", "right"), ("defended", "right"),
                       ("rank", "right"), ("95% interval", "left"), ("", "left"), ("moved", "right")):  # fmt: skip
        table.add_column(name, justify=side, no_wrap=True)  # type: ignore[arg-type]
    before = {r["model"]: r for r in raw}
    shown = defended[:most]
    low, high = (f(r[k] for r in shown) if shown else 0.0 for f, k in ((min, "lower"), (max, "upper")))
    for r in shown:
        was = before[r["model"]]
        table.add_row(
            r["model"], f"{was['rating']:.1f}", str(was["rank"]), f"{r['rating']:.1f}", str(r["rank"]),
            f"{r['lower']:.1f} … {r['upper']:.1f}",
            interval(r["lower"], r["rating"], r["upper"], low, high), moved(was["rank"] - r["rank"]),
        )  # fmt: skip
    return table


def moved(places: int) -> Text:
    """Places won (+) or lost (−) by leaving the excluded votes out."""
    if not places:
        return Text("")
    return Text(f"{places:+d}", style="green" if places > 0 else "red")


def alerts(listed: Sequence[Mapping[str, Any]]) -> Table:
    """Alerts, a line each."""
    table = Table(title=f"{len(listed)} alerts", title_justify="left", header_style="bold")
    for name in ("id", "severity", "detector", "subject", "e-value", "state", "seen"):
        table.add_column(name, no_wrap=name != "seen")
    for a in listed:
        style = "red" if a["severity"] == "critical" else "yellow"
        table.add_row(
            a["id"], Text(a["severity"], style=style), a["detector"],
            f"{a['subject']['kind']} {a['subject']['id'][:40]}", e_value(a["e_value"]), a["state"], seen(a),
        )  # fmt: skip
    return table


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
    e, evidence = alert["e_value"], alert["evidence"]
    lines = [
        f"{alert['severity'].upper()}  {alert['detector']}  about {alert['subject']['kind']} {alert['subject']['id']}"
    ]
    if "likeliest" in evidence:
        lines.append(f"Seen: after {evidence['votes']} votes ({evidence['ties']} ties) the choices fit best with:")
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
    else:
        lines += [f"{key}: {value}" for key, value in evidence.items()]
    lines.append(f"Which votes: those of this subject up to partition {alert['partition']}, offset {alert['offset']}.")
    lines.append(f"State: {alert['state']}.")
    lines += [f"  {h['at']}  {h['action']} by {h['name']}: {h['reason']}" for h in alert.get("history", [])]
    if alert["subject"]["kind"] == "voter":
        lines.append(
            f"What to do: look at the votes; then `integrity alerts exclude {alert['id']} --name YOU --reason WHY`, "
            f"or `resolve` or `appeal` it the same way. A critical alert's votes are left out of the defended "
            "view by the policy auto-voter/1 while it is open."
        )
    return "\n".join(lines)
