"""Runs a sweep: all audits of a store, the rules of the policy, and the alerts that follow.

A finding states either an observed fact or the result of a statistical test. A finding of a fact always opens an alert.
A finding of a test opens an alert if e-LOND selects it as a discovery, and is only reported otherwise. The setting
`false_share` bounds the share of false discoveries.

For e-LOND, the tests of one audit in one sweep are a family, and the families of all sweeps are one sequence. A
repeated sweep of the same log size and registry starts from the same state of e-LOND as the first one, and adds nothing
to the sequence.

A sweep updates each open alert that it finds again, even if the finding is no longer a discovery. It clears the other
open alerts of its audits.
"""

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
from pipeline.evidence.multiple_testing import ELond
from pipeline.jobs.audits.audit_input import AuditInput, read_audit_input
from pipeline.jobs.audits.board_audits import AUDITS, compare_second_board, run_audits
from pipeline.jobs.audits.removals import unannounced_pauses, unannounced_removals
from pipeline.open_store import existing_store, now
from pipeline.ratings import PairCounts
from pipeline.scoring.signals import CRITICAL, LEVELS, NO_PARTITION, AlertSignal, ClearedSignal, Severity
from pipeline.store.alerting import alert_lifecycle, alert_queries
from pipeline.store.boards import sweep_records
from pipeline.vocabulary.time import DAY, format_rfc3339


def sweep(url: str, policy_file: Path | None = None, against: Path | None = None) -> dict[str, Any]:
    """Run every audit, evaluate the policy, open and clear alerts.

    Args:
        url: address of the store.
        policy_file: a policy in TOML. None for the policy in the settings, or for the shipped policy if the settings
            name none.
        against: a file with published snapshots of another board; the newest of them is compared with this board. None
            for the file in the settings, if any.

    Returns:
        A dictionary with these keys:

        at           time of the newest vote or registry event, in RFC 3339
        votes        number of audited votes
        findings     the findings as dictionaries. The field "discovery" states whether e-LOND selected the finding as a
                     discovery; it is None for a finding of a fact
        audits       name of an audit → its report, or the reason why it could not run (`run_audits`)
        policy       the verdict on each rule of the policy
        alerts       {"told", "cleared"}: the numbers of alerts that were opened or updated, and that were cleared
        hypotheses   state of e-LOND after the sweep: its level, and the numbers of families and of discoveries so far

    Raises:
        Usage: the policy is not valid, or the other board's file does not exist.
        BadInput: the other board's file cannot be read.
    """
    options = configuration.load()
    policy_file = policy_file or (Path(options.policy) if options.policy else None)
    against = against or (Path(options.second_board) if options.second_board else None)
    rules = read_policy(policy_file)
    with existing_store(url) as store:
        with store.read() as connection:
            given = read_audit_input(connection)
        findings, reports = run_audits(given)
        if against is not None:
            reports["second_opinion"] = compare_second_board(given, against)
        verdicts = policy.evaluate_policy(rules, policy_facts(given, rules, findings))
        with store.write() as connection:
            start = sweep_records.state_before(connection, given.log_size, len(given.events), options.false_share)
            end, discovered = discoveries(start, findings, reports)
            sweep_records.record_sweep(connection, given.log_size, len(given.events), start, end, now())
            alert_counts = _update_alerts(connection, findings, discovered, given.at)
    return {
        "at": format_rfc3339(given.at),
        "votes": given.votes.votes,
        "findings": [{**finding_as_json(one), "discovery": yes} for one, yes in zip(findings, discovered, strict=True)],
        "audits": reports,
        "policy": [asdict(verdict) for verdict in verdicts],
        "alerts": alert_counts,
        "hypotheses": {"level": start.alpha, "families": end.submitted, "discoveries": end.rejected},
    }


def read_policy(path: Path | None) -> dict[str, dict[str, float]]:
    """Read a policy file, or the shipped policy if `path` is None.

    Returns:
        Name of a rule → its parameters.

    Raises:
        Usage: the file does not exist, is not TOML, or names an unknown rule or parameter.
    """
    try:
        text = path.read_text("utf-8") if path else (files("pipeline") / "data" / "policy.toml").read_text("utf-8")
        return policy.parse_policy(tomllib.loads(text))
    except (OSError, ValueError, BadCounts) as error:
        raise Usage(f"{path or 'the shipped policy'}: expected a policy in TOML: {error}") from None


def policy_facts(
    given: AuditInput, rules: Mapping[str, Mapping[str, float]], findings: Sequence[Finding]
) -> policy.PolicyFacts:
    """Collect the figures and findings that the rules of a policy evaluate.

    Args:
        given: the input of the audits.
        rules: rule → its parameters.
        findings: the findings of the sweep. Only findings about retraction and sampling are used.
    """
    rule = rules.get("public_removal", policy.RULES["public_removal"])
    released = variants.release_times(given.state)
    public = [m for m in given.state.models.values() if m.visibility == "public" or m.name in released]
    listed: dict[str, int] = {}
    retired: dict[str, int] = {}
    for model in public:
        group = license_group(model.license)
        listed[group] = listed.get(group, 0) + 1
        retired[group] = retired.get(group, 0) + (model.deprecated_at is not None)
    declared = bool(np.isfinite(given.appearances.declared).any())
    return policy.PolicyFacts(
        [finding for finding in findings if finding.audit == retraction.AUDIT],
        variants.peak_variants(given.state),
        retired,
        listed,
        [finding for finding in findings if finding.audit == sampling.AUDIT] if declared else None,
        _distance(given.counts),
        unannounced_removals(given, rule),
        {name: pause.what for name, pause in unannounced_pauses(given, rule).items()},
    )


def _distance(counts: PairCounts) -> float | None:
    shown = counts.battles_per_model()
    if len(counts.models) < 2 or not shown.sum():
        return None
    return policy.total_variation(policy.active_shares(counts), shown / shown.sum())


def discoveries(
    start: ELond, findings: Sequence[Finding], reports: Mapping[str, Mapping[str, Any]]
) -> tuple[ELond, list[bool | None]]:
    """Select the findings that e-LOND counts as discoveries.

    The tests of each audit are one family, in the order of AUDITS.

    Args:
        start: the state of e-LOND before the sweep.
        findings: the findings of the sweep.
        reports: name of an audit → its report, whose field "tests" is the number of its tests.

    Returns:
        Two values. The first is the state of e-LOND after the sweep. The second has for each finding True if it is a
        discovery, False if it is not, None if it states a fact.
    """
    discovered: dict[int, bool | None] = dict.fromkeys(range(len(findings)))
    state = start
    for audit in AUDITS:
        tests = int(reports.get(audit, {}).get("tests", 0))
        mine = [(i, f.e_value * f.tests) for i, f in enumerate(findings) if f.audit == audit and f.e_value is not None]
        e_values = np.zeros(max(tests, len(mine)))
        e_values[: len(mine)] = [e for _, e in mine]
        state, found = state.submit_family(e_values)
        discovered |= {i: bool(yes) for (i, _), yes in zip(mine, found[: len(mine)], strict=True)}
    return state, list(discovered.values())


def _update_alerts(
    connection: Connection, findings: Sequence[Finding], discovered: Sequence[bool | None], at: int
) -> dict[str, int]:
    """Open an alert for each finding that is a discovery or needs no test. Clear alerts that have no finding any more.

    Args:
        connection: the transaction.
        findings: the findings of all audits.
        discovered: for each finding, whether e-LOND counts it as a discovery; None for a finding that needs no test.
        at: time of the sweep, in microseconds since 1970 UTC.

    Returns:
        {"told", "cleared"}: number of alerts that were opened or stay open, and of alerts that were cleared.
    """
    found = {(f.audit, f.subject, f.direction): (f, yes) for f, yes in zip(findings, discovered, strict=True)}
    unresolved = {
        (a["detector"], a["subject"]["id"], a["direction"])
        for a in alert_queries.list_alerts(connection)
        if a["detector"] in AUDITS and a["state"] != "resolved"
    }
    raised = {key: f for key, (f, yes) in found.items() if yes is not False or key in unresolved}
    signals: list[AlertSignal | ClearedSignal] = [_raised(raised[key], at) for key in sorted(raised)]
    cleared = sorted(unresolved - found.keys())
    signals += [ClearedSignal(*key, at, "the sweep no longer finds it") for key in cleared]
    alert_lifecycle.record_signals(connection, signals, {}, now())
    return {"told": len(raised), "cleared": len(cleared)}


def _raised(finding: Finding, at: int) -> AlertSignal:
    e = finding.e_value
    severity: Severity = finding.severity if e is None or e >= CRITICAL else "warning"
    level = 1 if e is None else sum(e >= bound for bound in LEVELS)
    return AlertSignal(
        finding.audit, finding.subject_kind, finding.subject, finding.direction, severity, e, level, NO_PARTITION,
        at - at % DAY, at, {"what": finding.what, **finding.evidence, "tests": finding.tests},
    )  # fmt: skip


def finding_as_json(finding: Finding) -> dict[str, Any]:
    """Convert a finding to the JSON object that `integrity sweep --json` prints."""
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
