"""Every audit over one look at a store: what each is given, and what it reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.alerts import voter_label
from pipeline.audits import claims, graph_health, lockstep, prompts, retraction, sampling, task_mix, variants
from pipeline.audits.finding import Finding
from pipeline.audits.second_opinion import second_opinion
from pipeline.audits.version import Version, version_mismatch
from pipeline.errors import BadCounts, BadInput, RatingError
from pipeline.events.batch import instant
from pipeline.events.registry import BenchmarkClaim, BenchmarkResult
from pipeline.formats.history import read_history
from pipeline.jobs.gathering import DAY, Gathered
from pipeline.ratings import PairCounts, fewest_to_dethrone, rate_component

# A task with fewer votes has no shares to speak of; a month has 30 days here.
_LEAST_VOTES = 1_000
_MONTH = 30 * DAY

Audit = Callable[[Gathered], tuple[Sequence[Finding], Mapping[str, Any]]]


def run(given: Gathered) -> tuple[list[Finding], dict[str, Any]]:
    """Every audit: what was found, and what each of them looked at."""
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
    found = (*retraction.withdrawn(given.events, given.scored_at), *falls(given))
    return found, {"snapshots": len(given.published)}


def falls(given: Gathered) -> tuple[Finding, ...]:
    """Vote counts that went down between this store's own snapshots."""
    return retraction.falling_votes((f"snapshot {number}", votes) for number, _, votes in given.published)


def _version(given: Gathered) -> tuple[Sequence[Finding], Mapping[str, Any]]:
    found: list[Finding] = []
    linked = [one for one in given.releases if one.released_as != one.model]
    for one in linked:
        found += version_mismatch(_as_version(given, one.model), _as_version(given, one.released_as), one.curse)
    return found, {"releases": len(linked)}


def _as_version(given: Gathered, name: str) -> Version:
    score, model = given.scores.get(name), given.state.models.get(name)
    rank, style_rank = (given.board.get(view, {}).get(name, {}).get("rank") for view in ("defended", "style"))
    rating, se = (score.rating, score.se) if score else (None, None)
    return Version(name, rating, se, rank, style_rank, model.checkpoint_digest if model else None)


def _claims(given: Gathered) -> tuple[Sequence[Finding], Mapping[str, Any]]:
    found, checked = [], checked_claims(given)
    for one in checked:
        test = claims.benchmark_claim(one.model, one.benchmark, one.claimed, one.measured)
        finding = claims.claim_finding(test, one.claimed, one.measured, one.source, one.evaluator)
        found += [finding] if finding else []
    return found, {"checked": len(checked)}


def checked_claims(given: Gathered) -> list[claims.Checked]:
    """Every claim beside every reproduction of it."""
    key, found = given.state.key, []
    results = [e for e in given.events if isinstance(e, BenchmarkResult) and not e.perturbed]
    for claim in (e for e in given.events if isinstance(e, BenchmarkClaim)):
        for result in results:
            if (result.benchmark, key(result.model)) == (claim.benchmark, key(claim.model)):
                pair = claims.score_pair(claim.score, claim.n, result.score, result.n)
                found.append(claims.Checked(key(claim.model), claim.benchmark, *pair, claim.source, result.evaluator))
    return found


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
    found = lockstep.lockstep_findings(groups, len(names), lambda code: voter_label(int(names[code])))
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


def opinion(given: Gathered, path: Path) -> dict[str, Any]:
    """How far another board's newest snapshot orders the models alike."""
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
