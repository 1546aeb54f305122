"""An alert in words: what was seen, how unlikely, which votes, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
# From here on a number is a power of ten: nobody reads fourteen digits.
_READABLE = 1e7
# Alternatives that hold less of the evidence say nothing.
_LEAST_SHARE = 0.005


def e_value(value: float | None) -> str:
    """An e-value for people; a fact has none."""
    if value is None:
        return "fact"
    if value < _READABLE:
        return f"{value:,.0f}"
    digits, _, power = f"{value:.1e}".partition("e")
    return f"{digits}·10{str(int(power)).translate(_RAISED)}"


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
    lines = [
        f"{alert['severity'].upper()}  {alert['detector']}  about {subject['kind']} {subject['id']}",
        *facts(alert),
    ]
    lines += [
        f"  {v['cast_at'][:19]}  {v['model_a']} against {v['model_b']}: {v['winner']}  ({v['vote_id']})"
        for v in alert.get("votes", [])
    ]
    lines.append(f"State: {alert['state']}.")
    lines += [f"  {h['at']}  {h['action']} by {h['name']}: {h['reason']}" for h in alert.get("history", [])]
    return "\n".join([*lines, *_what_to_do(alert)])


def facts(alert: Mapping[str, Any]) -> list[str]:
    """What was seen, how unlikely, which votes: a line each."""
    if "likeliest" in alert["evidence"]:
        return _about_voter(alert)
    if "window" in alert["evidence"]:
        return _about_window(alert)
    if alert.get("window") is not None:
        return _about_sweep(alert)
    lines = [f"{key}: {value}" for key, value in alert["evidence"].items()]
    return [*lines, f"Which votes: up to partition {alert['partition']}, offset {alert['offset']}."]


def _about_voter(alert: Mapping[str, Any]) -> list[str]:
    e, evidence = e_value(alert["e_value"]), alert["evidence"]
    lines = [f"Seen: after {evidence['votes']} votes ({evidence['ties']} ties) the choices fit best with:"]
    for one in evidence["likeliest"]:
        if one["share"] < _LEAST_SHARE:
            continue
        what = " ".join(str(one[k]) for k in ("what", "model") if k in one)
        by = f" by {one['delta']} logits" if "delta" in one else ""
        lines.append(f"  {one['share']:6.1%}  {what}{by}")
    lines += _record(alert) if "record" in alert else []
    if evidence["proved"]:
        lines.append(
            f"How unlikely: the e-value is {e}. An honest voter, whatever the taste and the readiness to tie "
            f"within the band, ever reaches that with probability of at most 1 in {e}."
        )
    else:
        lines.append(
            f"How unlikely: the e-value is {e}, without a proved bound (honest voters differ in how "
            "often they call a tie): a reason to look, never more."
        )
    lines.append(f"Against: snapshot {evidence['snapshot']}, in force before these votes.")
    lines.append(
        f"Which votes: all of this voter's; it opened at partition {alert['partition']}, offset {alert['offset']}."
    )
    return lines


def _record(alert: Mapping[str, Any]) -> list[str]:
    """What a person can count: how the voter voted on the models that were named, and altogether."""
    record = alert["record"]
    said = {one.get("model") for one in alert["evidence"]["likeliest"] if one["share"] >= _LEAST_SHARE}
    lines = [
        f"  {name} won {one['won']}, lost {one['lost']} and tied {one['tied']} of its {one['battles']} battles here"
        for name, one in record["models"].items()
        if name in said
    ]
    whole = f"  all {record['battles']} votes: {record['left']} for the left side, {record['right']} for the right"
    return [*lines, f"{whole}, {record['tied']} ties"]


def _about_window(alert: Mapping[str, Any]) -> list[str]:
    e, evidence = e_value(alert["e_value"]), alert["evidence"]
    first, end = evidence["window"][0], alert["until"] or evidence["window"][1]
    lines = [f"Seen: {alert['direction']}: {evidence['what']}."]
    if alert["e_value"] is None:
        lines.append("How unlikely: a fact; there is no chance in it.")
    elif alert["detector"] == "sampling_skew":
        lines.append(
            f"How unlikely: the e-value is {e}. Sampling as declared ever reaches that with probability of at "
            f"most 1 in {e}."
        )
    else:
        lines.append(
            f"How unlikely: the e-value over thirty days is {e}. Of a board on which nothing is wrong, one such "
            f"alert about this {alert['subject']['kind']} is expected in {e} months, or fewer."
        )
    if "selected" not in alert:
        lines.append(f"When: {first[:16]} to {end[:16]} UTC.")
        return lines
    selected = alert["selected"]
    lines.append(
        f"Which votes: {selected['votes']:,} by {selected['voters']:,} voters, {first[:16]} to {end[:16]} UTC. The "
        f"newest up to {evidence['window'][1][:16]}, when there was most evidence:"
    )
    return lines


def _about_sweep(alert: Mapping[str, Any]) -> list[str]:
    e, evidence = e_value(alert["e_value"]), alert["evidence"]
    lines = [f"Seen: {alert['direction']}: {evidence['what']}."]
    if alert["e_value"] is None:
        lines.append("How unlikely: a fact; there is no chance in it.")
    else:
        lines.append(
            f"How unlikely: the e-value is {e}. If nothing were wrong, any of this audit's {evidence['tests']:,} "
            f"tests of that day reaches it with probability of at most 1 in {e}; of all that sweeps ever tell on "
            "such evidence, the share that is false is expected to stay below INTEGRITY_FALSE_SHARE."
        )
    lines += [f"  {name}: {_told(value)}" for name, value in evidence.items() if name not in {"what", "tests"}]
    lines.append(
        f"When: by the sweep of the board as of {alert['window'][:10]}; a sweep that no longer finds it clears it."
    )
    return lines


def _told(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_told, value)) or "none"
    return "not known" if value is None else str(value)


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
            f"What to do: look at the votes. {decide} leaves all of them, honest ones too, out of the defended view "
            "(votes:from=TIME,to=TIME,model=…,cohort=new instead of the id leaves out fewer); `restore` "
            f"undoes it. Nothing is left out by itself: the votes for a {kind} may be a rival's."
        ]
    if alert.get("window") is not None:
        return ["What to do: ask whoever runs the board; there are no votes to leave out."]
    return []
