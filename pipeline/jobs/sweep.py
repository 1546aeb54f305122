"""The slow audits over a store, the policy, and the alerts that follow.

A finding becomes an alert where it is a fact, or where its e-value is at least 1/α, as of any detector; a finding of
less is in the report alone. An alert of an audit is cleared by the sweep that no longer finds what it told of.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from pipeline.alerts import ALPHA, CRITICAL, LEVELS, NO_PARTITION, Cleared, Raised, Severity, voter_label
from pipeline.audits import claims, graph_health, lockstep, policy, prompts, retraction, sampling, task_mix, variants
from pipeline.audits.finding import Finding
from pipeline.audits.second_opinion import second_opinion
from pipeline.audits.shares import license_group
from pipeline.audits.version import Version, version_mismatch
from pipeline.errors import BadCounts, BadInput, RatingError, Usage
from pipeline.events.batch import instant
from pipeline.events.registry import BenchmarkClaim, BenchmarkResult
from pipeline.formats.history import read_history
from pipeline.jobs.gathering import DAY, Gathered, gather
from pipeline.jobs.opening import now, opened
from pipeline.ratings import PairCounts, fewest_to_dethrone, rate_component
from pipeline.store import alerts

# A task with fewer votes has no shares to speak of; a month has 30 days here.
_LEAST_VOTES = 1_000
_MONTH = 30 * DAY

Audit = Callable[[Gathered], tuple[Sequence[Finding], Mapping[str, Any]]]


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
        findings, reports = _run(given)
        if against is not None:
            reports["second_opinion"] = _second_opinion(given, against)
        verdicts = policy.judge(rules, facts(given, rules, findings))
        with it.write() as connection:
            told = _tell(connection, findings, given.at)
    return {
        "at": instant(given.at).isoformat(),
        "votes": len(given.votes.voter),
        "findings": [_document(finding) for finding in findings],
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
    public = [m for m in given.state.models.values() if m.visibility == "public" or m.released_at is not None]
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
        _removals(given, rules.get("public_removal", policy.RULES["public_removal"])),
    )


def _distance(counts: PairCounts) -> float | None:
    shown = counts.battles()
    if len(counts.models) < 2 or not shown.sum():
        return None
    return policy.distance(policy.active_shares(counts), shown / shown.sum())


def _removals(given: Gathered, rule: Mapping[str, float]) -> dict[str, str]:
    """Models that were removed without a notice, and how."""
    result = {}
    recent, days = given.last_shown(int(rule["days"])), rule["days"]
    long_enough = len(given.days) and int(given.days.max() - given.days.min()) >= days
    for name, model in sorted(given.state.models.items()):
        if model.retracted_at is not None and name in given.scored_at:
            result[name] = "retracted after it was scored"
        elif model.deprecated_at is not None and not model.noticed:
            result[name] = "deprecated without a notice"
        elif model.deprecated_at is None and long_enough and name in recent and recent[name] <= rule["votes"]:
            result[name] = f"{recent[name]} votes in {days:g} days and never deprecated"
    return result


def _run(given: Gathered) -> tuple[list[Finding], dict[str, Any]]:
    findings: list[Finding] = []
    reports: dict[str, Any] = {}
    for name, audit in AUDITS.items():
        try:
            found, report = audit(given)
        except (RatingError, BadCounts) as error:
            reports[name] = {"not looked at": str(error)}
            continue
        findings += found
        reports[name] = {"findings": len(found), **report}
    return findings, reports


def _churn(given: Gathered) -> tuple[Sequence[Finding], Mapping[str, Any]]:
    return variants.variant_churn(given.state), {"under_test": variants.under_test(given.state)}


def _best(given: Gathered) -> tuple[Sequence[Finding], Mapping[str, Any]]:
    shown = [{**asdict(one), "n": one.n, "at": instant(one.at).isoformat()} for one in given.releases]
    return variants.best_of_n(given.releases), {"releases": shown}


def _retraction(given: Gathered) -> tuple[Sequence[Finding], Mapping[str, Any]]:
    falling = retraction.falling_votes((f"snapshot {number}", votes) for number, _, votes in given.published)
    return (*retraction.withdrawn(given.events, given.scored_at), *falling), {"snapshots": len(given.published)}


def _version(given: Gathered) -> tuple[Sequence[Finding], Mapping[str, Any]]:
    found: list[Finding] = []
    linked = [one for one in given.releases if one.released_as != one.model]
    for one in linked:
        curse = one.gain.curse if one.gain else 0.0
        found += version_mismatch(_as_version(given, one.model), _as_version(given, one.released_as), curse)
    return found, {"releases": len(linked)}


def _as_version(given: Gathered, name: str) -> Version:
    score, model = given.scores.get(name), given.state.models.get(name)
    rank, style_rank = (given.board.get(view, {}).get(name, {}).get("rank") for view in ("defended", "style"))
    rating, se = (score.rating, score.se) if score else (None, None)
    return Version(name, rating, se, rank, style_rank, model.checkpoint_digest if model else None)


def _claims(given: Gathered) -> tuple[Sequence[Finding], Mapping[str, Any]]:
    found, checked = [], 0
    results = [e for e in given.events if isinstance(e, BenchmarkResult) and not e.perturbed]
    for claim in (e for e in given.events if isinstance(e, BenchmarkClaim)):
        for result in results:
            if (result.benchmark, given.state.key(result.model)) != (claim.benchmark, given.state.key(claim.model)):
                continue
            pair = claims.score_pair(claim.score, claim.n, result.score, result.n)
            test = claims.benchmark_claim(given.state.key(claim.model), claim.benchmark, *pair)
            finding = claims.claim_finding(test, *pair, claim.source, result.evaluator)
            found += [finding] if finding else []
            checked += 1
    return found, {"checked": checked}


def _perturbed(given: Gathered) -> tuple[Sequence[Finding], Mapping[str, Any]]:
    results = [e for e in given.events if isinstance(e, BenchmarkResult)]
    plain = {(e.benchmark, given.state.key(e.model)): e for e in results if not e.perturbed}
    drops: dict[str, dict[str, claims.Drop]] = {}
    for e in results:
        base = plain.get((e.paired_with or e.benchmark, given.state.key(e.model)))
        if e.perturbed and base is not None:
            pair = claims.score_pair(base.score, base.n, e.score, e.n)
            drops.setdefault(base.benchmark, {})[given.state.key(e.model)] = claims.drop_of_scores(*pair)
    found = []
    for benchmark, of in drops.items():
        for test in claims.perturbation_gap(benchmark, of) if len(of) > 2 else ():
            if test.fires:
                what = (
                    f"another wording of {benchmark} costs {test.model} {test.gap * 100:.1f} points, its peers "
                    f"{test.expected * 100:.1f}: z = {test.z:.1f}"
                )
                direction, figures = f"falls on another wording of {benchmark}", asdict(test)
                found.append(
                    Finding("perturbation_gap", "model", test.model, direction, "warning", what, test.p_value, figures)
                )
    return found, {"benchmarks": sorted(drops)}


def _sampling(given: Gathered) -> tuple[Sequence[Finding], Mapping[str, Any]]:
    book = given.book
    lines = {kind: [asdict(line) for line in getattr(book, kind)] for kind in ("models", "providers", "licenses")}
    return sampling.unfair(book), {"battles": book.battles, "hhi": book.hhi, "gini": book.gini, **lines}


def _graph(given: Gathered) -> tuple[Sequence[Finding], Mapping[str, Any]]:
    found = graph_health.graph_findings(given.counts)
    rated, waiting = rate_component(given.counts, least_share=0.0)
    return found, {**asdict(graph_health.graph_health(rated)), "left_out": [one._asdict() for one in waiting]}


def _fragility(given: Gathered) -> tuple[Sequence[Finding], Mapping[str, Any]]:
    rated, _ = rate_component(given.counts, least_share=0.0)
    swap = fewest_to_dethrone(rated)
    if swap is None:
        return (), {"fewest": None}
    return (), {"first": swap.above, "then_first": swap.below, "fewest": swap.votes, "share": swap.share}


def _lockstep(given: Gathered) -> tuple[Sequence[Finding], Mapping[str, Any]]:
    votes = given.votes
    names, voter = np.unique(votes.voter, return_inverse=True)
    voter = np.where(votes.voter == 0, -1, voter)
    left = np.minimum(votes.model_a, votes.model_b)
    # The same judgement whatever the sides: the outcome as the lower model saw it.
    seen = np.where((votes.model_a != left) & (votes.outcome < 2), 1 - votes.outcome, votes.outcome)
    pair = left * len(given.models) + np.maximum(votes.model_a, votes.model_b)
    groups = lockstep.lockstep(voter, pair, seen, votes.cast_at, votes.prompt)
    found = lockstep.lockstep_findings(groups, [voter_label(int(name)) for name in names])
    return found, {"groups": len(groups)}


def _prompts(given: Gathered) -> tuple[Sequence[Finding], Mapping[str, Any]]:
    asked = np.where(given.votes.prompt == 0, -1, np.unique(given.votes.prompt, return_inverse=True)[1])
    months = prompts.prompt_duplication(given.votes.cast_at // _MONTH, asked)
    return prompts.prompt_findings(months), {"months": [asdict(month) for month in months]}


def _task_mix(given: Gathered) -> tuple[Sequence[Finding], Mapping[str, Any]]:
    votes = given.votes
    names, count = np.unique(votes.category, return_counts=True)
    tasks = [int(name) for name, n in zip(names, count, strict=True) if name and n >= _LEAST_VOTES]
    if len(tasks) < 2:
        raise BadCounts(f"expected two categories of at least {_LEAST_VOTES} votes, got {len(tasks)}")
    rows = np.isin(votes.category, tasks)
    whole = PairCounts.from_codes(given.models, votes.model_a[rows], votes.model_b[rows], votes.outcome[rows])
    kept = rate_component(whole, least_share=0.0)[0].models
    codes = [given.models.index(name) for name in kept]
    parts = {}
    for task in tasks:
        of = votes.category == task
        counts = PairCounts.from_codes(given.models, votes.model_a[of], votes.model_b[of], votes.outcome[of])
        parts[given.categories.get(task, str(task))] = counts.subset(codes)
    found = task_mix.task_mix(parts)
    return task_mix.task_mix_findings(found), {"tasks": list(parts), "pairs": len(found.reordered)}


def _second_opinion(given: Gathered, path: Path) -> dict[str, Any]:
    snapshots = next(iter(read_history(path).values()))[-1]
    ours = {model: score.rating for model, score in given.scores.items()}
    try:
        return asdict(second_opinion(ours, dict(zip(snapshots.models, snapshots.score.tolist(), strict=True))))
    except BadInput as error:
        return {"not looked at": str(error)}


AUDITS: dict[str, Audit] = {
    "variant_churn": _churn,
    "best_of_n": _best,
    "score_retraction": _retraction,
    "version_mismatch": _version,
    "benchmark_claim": _claims,
    "perturbation_gap": _perturbed,
    "sampling_fairness": _sampling,
    "graph_health": _graph,
    "fragility": _fragility,
    "lockstep": _lockstep,
    "prompt_duplication": _prompts,
    "task_mix": _task_mix,
}
"""Every audit of a sweep, by the name that its findings and alerts have."""


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


def _document(finding: Finding) -> dict[str, Any]:
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
