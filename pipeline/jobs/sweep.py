"""The slow audits over a store, the policy, and the alerts that follow.

A finding becomes an alert where it is a fact, or where its e-value is at least 1/α, as of any detector; a finding of
less is in the report alone. An alert of an audit is cleared by the sweep that no longer finds what it told of.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from pipeline.alerts import ALPHA, CRITICAL, LEVELS, NO_PARTITION, Cleared, Raised, Severity
from pipeline.audits import policy, retraction, sampling, variants
from pipeline.audits.finding import Finding
from pipeline.audits.shares import license_group
from pipeline.errors import BadCounts, Usage
from pipeline.events.batch import instant
from pipeline.jobs.auditing import AUDITS, opinion, run
from pipeline.jobs.gathering import DAY, Gathered, gather
from pipeline.jobs.opening import now, opened
from pipeline.ratings import PairCounts
from pipeline.store import alerts


def sweep(store: str, policy_file: Path | None = None, against: Path | None = None) -> dict[str, Any]:
    """Run every audit, judge the policy, open and clear alerts.

    Args:
        store: its URL.
        policy_file: a policy in TOML; without it the one that is shipped.
        against: published snapshots of another board, the newest of which gives a second opinion.

    Returns:
        {"at", "votes", "findings", "audits", "policy", "alerts"}; an audit that had nothing to look at says why.

    Raises:
        Usage: a policy that is none.
        BadInput: another board that cannot be read.
    """
    rules = read_policy(policy_file)
    with opened(store) as it:
        with it.read() as connection:
            given = gather(connection)
        findings, reports = run(given)
        if against is not None:
            reports["second_opinion"] = opinion(given, against)
        verdicts = policy.judge(rules, facts(given, rules, findings))
        with it.write() as connection:
            told = _tell(connection, findings, given.at)
    return {
        "at": instant(given.at).isoformat(),
        "votes": len(given.votes.voter),
        "findings": [document(finding) for finding in findings],
        "audits": reports,
        "policy": [asdict(verdict) for verdict in verdicts],
        "alerts": told,
    }


def read_policy(path: Path | None) -> dict[str, dict[str, float]]:
    """A policy file, or the shipped one.

    Raises:
        Usage: it is not there, no TOML, or names a rule or a parameter that does not exist.
    """
    try:
        text = path.read_text("utf-8") if path else (files("pipeline") / "data" / "policy.toml").read_text("utf-8")
        return policy.parameters(tomllib.loads(text))
    except (OSError, ValueError, BadCounts) as error:
        raise Usage(f"{path or 'the shipped policy'}: expected a policy in TOML: {error}") from None


def facts(given: Gathered, rules: Mapping[str, Mapping[str, float]], findings: Sequence[Finding]) -> policy.Facts:
    """What the rules of a policy are held against."""
    released = variants.released_since(given.state)
    public = [m for m in given.state.models.values() if m.visibility == "public" or m.name in released]
    listed: dict[str, int] = {}
    retired: dict[str, int] = {}
    for model in public:
        group = license_group(model.license)
        listed[group] = listed.get(group, 0) + 1
        retired[group] = retired.get(group, 0) + (model.deprecated_at is not None)
    declared = bool(np.isfinite(given.shown.declared).any())
    return policy.Facts(
        [finding for finding in findings if finding.audit == retraction.AUDIT],
        variants.under_test(given.state),
        retired,
        listed,
        [finding for finding in findings if finding.audit == sampling.AUDIT] if declared else None,
        _distance(given.counts),
        removals(given, rules.get("public_removal", policy.RULES["public_removal"])),
    )


def removals(given: Gathered, rule: Mapping[str, float]) -> dict[str, str]:
    """Models that were removed without a notice, and how, by the policy's rule about it."""
    days = int(rule["days"])
    old = len(given.days) and int(given.days.max() - given.days.min()) >= days
    recent = given.last_shown(days) if old else {}
    return retraction.unannounced(given.state, given.scored_at, recent, rule["votes"], days)


def _distance(counts: PairCounts) -> float | None:
    shown = counts.battles()
    if len(counts.models) < 2 or not shown.sum():
        return None
    return policy.distance(policy.active_shares(counts), shown / shown.sum())


def _tell(connection: Connection, findings: Sequence[Finding], at: int) -> dict[str, int]:
    """Open alerts for what is certain enough, and clear those of audits that found nothing more."""
    told = {(f.audit, f.subject, f.direction): f for f in findings if f.e_value is None or f.e_value >= 1 / ALPHA}
    standing = {
        (a["detector"], a["subject"]["id"], a["direction"])
        for a in alerts.listed(connection)
        if a["detector"] in AUDITS and a["state"] != "resolved"
    }
    said: list[Raised | Cleared] = [_raised(told[key], at) for key in sorted(told)]
    over = sorted(standing - told.keys())
    said += [Cleared(*key, at, "the sweep no longer finds it") for key in over]
    alerts.say(connection, said, {}, now())
    return {"told": len(told), "cleared": len(over)}


def _raised(finding: Finding, at: int) -> Raised:
    e = finding.e_value
    severity: Severity = finding.severity if e is None or e >= CRITICAL else "warning"
    level = 1 if e is None else sum(e >= bound for bound in LEVELS)
    return Raised(
        finding.audit, finding.subject_kind, finding.subject, finding.direction, severity, e, level, NO_PARTITION,
        at - at % DAY, at, {"what": finding.what, **finding.evidence},
    )  # fmt: skip


def document(finding: Finding) -> dict[str, Any]:
    """A finding as JSON."""
    return {
        "audit": finding.audit,
        "subject": {"kind": finding.subject_kind, "id": finding.subject},
        "direction": finding.direction,
        "severity": finding.severity,
        "what": finding.what,
        "p_value": finding.p_value,
        "e_value": finding.e_value,
        "evidence": dict(finding.evidence),
    }
