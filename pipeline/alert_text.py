"""Writes the text of an alert, for the command line and the pages.

The text says what happened, how unlikely it is, which votes it concerns, and what to do. An alert is a mapping as
`pipeline.store.alerting.alert_queries` returns it. In the public form of an alert, `partition` is None and the time of
opening is rounded to the hour.
"""

from collections.abc import Mapping
from typing import Any

_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
# Larger numbers are written as a power of ten: fourteen digits are hard to read.
_LARGEST_PLAIN = 1e7
# Explanations with a smaller share of the evidence are not shown.
_MIN_SHARE = 0.005


def format_e_value(value: float | None) -> str:
    """Return an e-value as text: a whole number below 10⁷, else a power of ten such as 2.5·10⁹.

    A fact that needs no statistical test has the e-value None. Its text is "fact".
    """
    if value is None:
        return "fact"
    if value < _LARGEST_PLAIN:
        return f"{value:,.0f}"
    digits, _, power = f"{value:.1e}".partition("e")
    return f"{digits}·10{str(int(power)).translate(_SUPERSCRIPT)}"


def summarize(alert: Mapping[str, Any]) -> str:
    """Return what an alert says happened, in a few words, for lists of alerts; "" if its evidence has no such text."""
    evidence = alert["evidence"]
    if "likeliest" in evidence:
        best = evidence["likeliest"][0]
        what = " ".join(str(best[k]) for k in ("what", "model") if k in best)
        return f"{what} ({evidence['votes']} votes, {best['share']:.0%} of the evidence)"
    if "vote_id" in evidence:
        return f"vote {evidence['vote_id'][:24]} was sent again with different content"
    return str(evidence.get("what", ""))


def explain_lines(
    alert: Mapping[str, Any], *, verbose: bool = True, counts: bool | None = None, back: int | None = None
) -> list[str]:
    """Return the whole text of an alert, one string per line: evidence, votes, state, history, and what to do.

    Args:
        alert: the alert.
        verbose: whether to give effect sizes in logits, positions in logs and the parts of an e-value too.
        counts: whether the next refresh counts the voter's votes. None to assume that the votes of a critical alert are
            left out and those of a warning are counted.
        back: number of votes that the next refresh counts again if the alert is resolved; None if not known.
    """
    subject = alert["subject"]
    lines = [
        f"{alert['severity'].upper()}  {alert['detector']}  about {subject['kind']} {subject['id']}",
        *evidence_lines(alert, verbose=verbose),
    ]
    lines += [
        f"  {v['cast_at'][:19]}  {v['model_a']} against {v['model_b']}: {v['winner']}  ({v['vote_id']})"
        for v in alert.get("votes", [])
    ]
    lines.append(f"State: {alert['state']}.")
    lines += [f"  {h['at']}  {h['action']} by {h['name']}: {h['reason']}" for h in alert.get("history", [])]
    return [*lines, *_what_to_do(alert, counts, back)]


def evidence_lines(alert: Mapping[str, Any], *, verbose: bool = True) -> list[str]:
    """Return the text of an alert's evidence, one string per line: what happened, how unlikely, which votes.

    `verbose` adds effect sizes in logits, positions in logs and the parts of an e-value.
    """
    if "likeliest" in alert["evidence"]:
        return _voter_lines(alert, verbose)
    for key, described in (("afterwards", _backlog_lines), ("window", _window_lines)):
        if key in alert["evidence"]:
            return described(alert)
    if alert["detector"] == "voter_share":
        return _voter_share_lines(alert)
    if alert.get("window") is not None:
        return _sweep_lines(alert)
    lines = [f"{key}: {value}" for key, value in alert["evidence"].items()]
    if alert["partition"] is None:
        return [*lines, f"Which votes: those of one voter; {_opened(alert)}."]
    place = [f"Which votes: up to partition {alert['partition']}, offset {alert['offset']}."]
    return [*lines, *(place if verbose else ())]


def _voter_lines(alert: Mapping[str, Any], verbose: bool) -> list[str]:
    e, evidence = format_e_value(alert["e_value"]), alert["evidence"]
    lines = [f"What happened: {evidence['votes']} votes ({evidence['ties']} ties) of one voter are best explained by:"]
    for one in evidence["likeliest"]:
        if one["share"] < _MIN_SHARE:
            continue
        what = " ".join(str(one[k]) for k in ("what", "model") if k in one)
        by = f" by {one['delta']} logits" if verbose and "delta" in one else ""
        lines.append(f"  {one['share']:6.1%}  {what}{by}")
    lines += _record_lines(alert) if "record" in alert else []
    if "afterwards" in evidence:
        lines.append(_unlikely_afterwards(evidence["proved"], e))
    elif "e_cells" in evidence and not verbose:
        lines.append(
            f"How unlikely: e-value {e}, against honest voters whose tastes differ as much as those of this board. A "
            "warning needs 100. --verbose gives its parts."
        )
    elif "e_cells" in evidence:
        lines.append(
            f"How unlikely: e-value {e}. Against the least favourable honest voter in a band of tastes it is "
            f"{format_e_value(evidence['e_band'])}, and against honest voters with the measured taste of this board "
            f"(sd {evidence['taste']} logits) it is {format_e_value(evidence['e_cells'])}. A warning needs an average "
            "of 100. A critical alert needs 10,000 against the measured taste alone; how rarely honest voters reach "
            "that over all readings is measured, not proved."
        )
    elif evidence["proved"]:
        lines.append(
            f"How unlikely: an honest voter ever reaches this with probability of at most 1 in {e} (the e-value), "
            "whatever the voter's taste and, within a limit, tendency to vote for a tie."
        )
    else:
        lines.append(
            f"How unlikely: the e-value is {e}, but no error bound is proved, because honest voters differ in how "
            "often they vote for a tie. Inspect the votes; this alone is no proof."
        )
    if "afterwards" in evidence:
        lines.append(f"Compared with: other voters' votes; {evidence['afterwards']}.")
    else:
        lines.append(f"Compared with: snapshot {evidence['snapshot']}, in force before these votes.")
    lines.append(f"Which votes: all votes of this voter; {_opened(alert, verbose)}.")
    return lines


def _unlikely_afterwards(proved: bool, e: str) -> str:
    if proved:
        return (
            f"How unlikely: an honest voter reaches this with probability of at most 1 in {e} (the e-value): the votes "
            "that it is compared with were cleaned without using any vote of its fold."
        )
    return (
        f"How unlikely: the e-value is {e}. After several rounds its error is measured, not proved; a person decides, "
        "or `integrity backfill --strict` computes a value whose error is proved."
    )


def _backlog_lines(alert: Mapping[str, Any]) -> list[str]:
    evidence = alert["evidence"]
    lines = [f"What happened: {alert['direction']}: {evidence['what']}."]
    if alert["subject"]["kind"] != "voter":
        lines.append(
            f"How unlikely: the e-value is {format_e_value(alert['e_value'])}; among all such findings of all runs at "
            "most the share INTEGRITY_NIGHTLY_SHARE is false."
        )
    elif "hits" in evidence:
        lines.append(
            f"How unlikely: the e-value is {format_e_value(alert['e_value'])} against honest voters whose habits "
            "differ as much as those of the other voters of this board. That they differ no more is assumed, so a "
            "machine never excludes for it; inspect the votes."
        )
    lines.append(f"Compared with: other voters' votes; {evidence['afterwards']}.")
    period = evidence.get("period") or evidence.get("window")
    if period is not None:
        lines.append(f"When: {period[0][:16]} to {period[1][:16]} UTC.")
    return lines


def _opened(alert: Mapping[str, Any], verbose: bool = True) -> str:
    """Return when an alert opened. Public alerts: the hour. Others: partition and offset if `verbose`, else minute."""
    if alert["partition"] is None:
        return f"the alert opened in the hour from {alert['opened_at']}"
    if not verbose:
        return f"the alert opened at {alert['opened_at'][:16].replace('T', ' ')} UTC"
    return f"the alert opened at partition {alert['partition']}, offset {alert['offset']}"


def _record_lines(alert: Mapping[str, Any]) -> list[str]:
    """Return counts of a voter's votes by outcome: a line for each model in the evidence, and a line for all votes."""
    record = alert["record"]
    named = {one.get("model") for one in alert["evidence"]["likeliest"] if one["share"] >= _MIN_SHARE}
    lines = [
        f"  {name} won {one['won']}, lost {one['lost']} and tied {one['tied']} "
        f"of its {one['battles']} battles with this voter"
        for name, one in record["models"].items()
        if name in named
    ]
    whole = f"  all {record['battles']} votes: {record['left']} for the left side, {record['right']} for the right"
    return [*lines, f"{whole}, {record['tied']} ties"]


def _window_lines(alert: Mapping[str, Any]) -> list[str]:
    e, evidence = format_e_value(alert["e_value"]), alert["evidence"]
    first, end = evidence["window"][0], alert["until"] or evidence["window"][1]
    lines = [f"What happened: {alert['direction']}: {evidence['what']}."]
    if alert["e_value"] is None:
        lines.append(_FACT)
    elif alert["detector"] == "sampling_skew":
        lines.append(
            f"How unlikely: sampling as declared ever reaches this with probability of at most 1 in {e} (the e-value)."
        )
    else:
        lines.append(
            f"How unlikely: on a board without any fault, such an alert about this {alert['subject']['kind']} is "
            f"expected at most once in {e} months (the e-value over thirty days)."
        )
    if "selected" not in alert:
        lines.append(f"When: {first[:16]} to {end[:16]} UTC.")
        return lines
    selected = alert["selected"]
    voters = f" by {selected['voters']:,} voters" if "voters" in selected else ""
    lines.append(
        f"Which votes: {selected['votes']:,} votes{voters}, {first[:16]} to {end[:16]} UTC. "
        f"The newest before {evidence['window'][1][:16]}, when the evidence was strongest:"
    )
    return lines


def _voter_share_lines(alert: Mapping[str, Any]) -> list[str]:
    return [
        f"What happened: {alert['evidence']['what']}, {alert['evidence']['share']:.0%}.",
        _FACT,
        "Which votes: those of one id, which most likely many people share: everybody behind one proxy, or everybody "
        "whose id is missing. Evidence about this id is about nobody; the machine excludes nothing because of it.",
    ]


def _sweep_lines(alert: Mapping[str, Any]) -> list[str]:
    e, evidence = format_e_value(alert["e_value"]), alert["evidence"]
    lines = [f"What happened: {alert['direction']}: {evidence['what']}."]
    if alert["e_value"] is None:
        lines.append(_FACT)
    else:
        lines.append(
            f"How unlikely: if nothing is wrong, any of this audit's {evidence['tests']:,} tests of that day reaches "
            f"this with probability of at most 1 in {e} (the e-value). Among all such alerts of all sweeps, the "
            "expected share of false ones stays below INTEGRITY_FALSE_SHARE."
        )
    lines += [f"  {name}: {_value_text(value)}" for name, value in evidence.items() if name not in {"what", "tests"}]
    lines.append(
        f"When: found by the sweep of the board as of {alert['window'][:10]}. A sweep that no longer finds it clears "
        "the alert."
    )
    return lines


_FACT = "How unlikely: does not apply; this is a fact and not a statistical test."


def _value_text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_value_text, value)) or "none"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return "not known" if value is None else str(value)


def _what_to_do(alert: Mapping[str, Any], counts: bool | None, back: int | None) -> list[str]:
    if alert["detector"] == "voter_share":
        return [
            "What to do: give each voter an id of its own. Name the address of a proxy in INTEGRITY_PROXIES and read "
            "the votes into a new store. See deploy/runbooks/voter-share.md."
        ]
    if alert["detector"] == "model_shift":
        return [
            "What to do: see whether other alerts name voters or networks that act on this model. If not, ask the "
            "provider what changed, and give a changed model a name of its own. See deploy/runbooks/model-shift.md."
        ]
    decide = {
        what: f"  integrity alerts {what} {alert['id'][:8]} --name YOU --reason WHY"
        for what in ("exclude", "resolve", "ack")
    }
    kind = alert["subject"]["kind"]
    if kind == "voter":
        again = "those that a policy left out" if back is None else f"{back:,}" if back else "none"
        return [
            f"What to do: inspect the votes. {_counting(alert, counts)} To leave them out, whatever becomes of this "
            "alert:",
            decide["exclude"],
            f"To say that the votes were honest (votes that count again at the next refresh: {again}):",
            decide["resolve"],
            "To acknowledge it (no vote changes: what is left out stays out):",
            decide["ack"],
        ]
    if alert.get("votes"):
        return [
            "What to do: inspect the votes. This excludes all of them from the defended view, honest ones too:",
            decide["exclude"],
            "To exclude fewer, give votes:from=TIME,to=TIME,model=…,cohort=new instead of the id. `restore` undoes "
            f"it. Nothing is excluded automatically: a rival may have cast the votes for this {kind}.",
        ]
    if alert.get("window") is not None:
        return ["What to do: ask the operator of the board; there are no votes to exclude."]
    return []


def _counting(alert: Mapping[str, Any], counts: bool | None) -> str:
    """Return a sentence that says whether the voter's votes count. With None for `counts`, the severity decides."""
    is_critical = alert["severity"] == "critical"
    if counts is False or (counts is None and is_critical):
        return "The voter's votes are left out of the defended view, at the latest from the next refresh on."
    why = "although the alert is critical" if is_critical else "because a warning leaves no vote out by itself"
    return f"The voter's votes still count, {why}."
