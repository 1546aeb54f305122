"""The slow audits over a store, the policy, and the alerts that follow.

A finding becomes an alert where it is a fact, or a discovery at the operator's level (`false_share`): every audit that
tests is one family of hypotheses a sweep, in a stream over all sweeps ever (e-LOND, `evidence.many`), and the same log
and registry are submitted once. A finding of less is in the report alone. An open alert is told of as long as a sweep
finds what it told of, and cleared by the one that does not.
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

from pipeline import settings as configuration
from pipeline.audits import policy, retraction, sampling, variants
from pipeline.audits.finding import Finding
from pipeline.audits.shares import license_group
from pipeline.errors import BadCounts, Usage
from pipeline.evidence.many import ELond
from pipeline.jobs.audits.audit_input import Gathered, gather
from pipeline.jobs.audits.board_audits import AUDITS, opinion, run
from pipeline.jobs.open_store import now, opened
from pipeline.ratings import PairCounts
from pipeline.scoring.signals import CRITICAL, LEVELS, NO_PARTITION, Cleared, Raised, Severity
from pipeline.store.alerting import alerts
from pipeline.store.boards import sweeps
from pipeline.vocabulary.time import DAY, format_rfc3339


def sweep(store: str, policy_file: Path | None = None, against: Path | None = None) -> dict[str, Any]:
    """Run every audit, judge the policy, open and clear alerts.

    Args:
        store: its URL.
        policy_file: a policy in TOML; without it the one of the settings, else the one that is shipped.
        against: published snapshots of another board, the newest of which gives a second opinion; without it that of
            the settings, if there is one.

    Returns:
        {"at", "votes", "findings", "audits", "policy", "alerts", "hypotheses"}; an audit that had nothing to look at
        says why. A finding's "discovery" is None for a fact.

    Raises:
        Usage: a policy that is none, or another board's file that is not there.
        BadInput: another board that cannot be read.
    """
    options = configuration.load()
    policy_file = policy_file or (Path(options.policy) if options.policy else None)
    against = against or (Path(options.second_board) if options.second_board else None)
    rules = read_policy(policy_file)
    with opened(store) as it:
        with it.read() as connection:
            given = gather(connection)
        findings, reports = run(given)
        if against is not None:
            reports["second_opinion"] = opinion(given, against)
        verdicts = policy.judge(rules, facts(given, rules, findings))
        with it.write() as connection:
            start = sweeps.before(connection, given.log_size, len(given.events), options.false_share)
            end, sure = discoveries(start, findings, reports)
            sweeps.submit(connection, given.log_size, len(given.events), start, end, now())
            told = _tell(connection, findings, sure, given.at)
    return {
        "at": format_rfc3339(given.at),
        "votes": len(given.votes.voter),
        "findings": [{**document(one), "discovery": yes} for one, yes in zip(findings, sure, strict=True)],
        "audits": reports,
        "policy": [asdict(verdict) for verdict in verdicts],
        "alerts": told,
        "hypotheses": {"level": start.alpha, "families": end.submitted, "discoveries": end.rejected},
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


def discoveries(
    start: ELond, findings: Sequence[Finding], reports: Mapping[str, Mapping[str, Any]]
) -> tuple[ELond, list[bool | None]]:
    """Submit every audit that tested as one family, in the order of AUDITS.

    Returns:
        e-LOND's state after the sweep, and of each finding whether it is a discovery; None for a fact.
    """
    sure: dict[int, bool | None] = dict.fromkeys(range(len(findings)))
    state = start
    for audit in AUDITS:
        tests = int(reports.get(audit, {}).get("tests", 0))
        mine = [(i, f.e_value * f.tests) for i, f in enumerate(findings) if f.audit == audit and f.e_value is not None]
        e_values = np.zeros(max(tests, len(mine)))
        e_values[: len(mine)] = [e for _, e in mine]
        state, found = state.submit_family(e_values)
        sure |= {i: bool(yes) for (i, _), yes in zip(mine, found[: len(mine)], strict=True)}
    return state, list(sure.values())


def _tell(connection: Connection, findings: Sequence[Finding], sure: Sequence[bool | None], at: int) -> dict[str, int]:
    """Open alerts for facts and discoveries, and clear those of which nothing is found any more."""
    found = {(f.audit, f.subject, f.direction): (f, yes) for f, yes in zip(findings, sure, strict=True)}
    standing = {
        (a["detector"], a["subject"]["id"], a["direction"])
        for a in alerts.listed(connection)
        if a["detector"] in AUDITS and a["state"] != "resolved"
    }
    told = {key: f for key, (f, yes) in found.items() if yes is not False or key in standing}
    said: list[Raised | Cleared] = [_raised(told[key], at) for key in sorted(told)]
    over = sorted(standing - found.keys())
    said += [Cleared(*key, at, "the sweep no longer finds it") for key in over]
    alerts.say(connection, said, {}, now())
    return {"told": len(told), "cleared": len(over)}


def _raised(finding: Finding, at: int) -> Raised:
    e = finding.e_value
    severity: Severity = finding.severity if e is None or e >= CRITICAL else "warning"
    level = 1 if e is None else sum(e >= bound for bound in LEVELS)
    return Raised(
        finding.audit, finding.subject_kind, finding.subject, finding.direction, severity, e, level, NO_PARTITION,
        at - at % DAY, at, {"what": finding.what, **finding.evidence, "tests": finding.tests},
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
