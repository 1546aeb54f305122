"""Audits of what the registry holds against the board: variants, releases, removals, claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from pipeline.audits import claims, families, retraction, variants
from pipeline.audits.finding import Finding
from pipeline.audits.version import Version, version_mismatch
from pipeline.events.registry import BenchmarkClaim, BenchmarkResult
from pipeline.jobs.audits.audit_input import Gathered
from pipeline.vocabulary.time import format_rfc3339

Audited = tuple[Sequence[Finding], Mapping[str, Any]]


def churn(given: Gathered) -> Audited:
    """Private variants under test, and which names of a provider are likely one model."""
    return variants.variant_churn(given.state), {
        "under_test": variants.under_test(given.state),
        "families": _families(given),
    }


def _families(given: Gathered) -> dict[str, list[list[str]]]:
    """Families of at least two names, by provider."""
    names: dict[str, list[str]] = {}
    for model in given.state.models.values():
        if model.provider:
            names.setdefault(model.provider, []).append(model.name)
    found = {provider: families.families(of) for provider, of in sorted(names.items())}
    return {provider: kept for provider, of in found.items() if (kept := [list(f) for f in of if len(f) > 1])}


def best(given: Gathered) -> Audited:
    """Releases: N, and the score with and without the winner's curse."""
    shown = [{**asdict(one), "n": one.n, "at": format_rfc3339(one.at)} for one in given.releases]
    return variants.best_of_n(given.releases), {"releases": shown}


def withdrawn(given: Gathered) -> Audited:
    """Scores that were taken back."""
    found = (*retraction.withdrawn(given.events, given.scored_at), *falls(given))
    return found, {"snapshots": given.published}


def falls(given: Gathered) -> tuple[Finding, ...]:
    """Vote counts that went down between this store's own snapshots."""
    return tuple(
        retraction.fall(model, f"snapshot {earlier}", f"snapshot {later}", before, after)
        for model, earlier, later, before, after in given.falls
    )


def version(given: Gathered) -> Audited:
    """Released models against the tested ones."""
    found: list[Finding] = []
    tests = 0
    for one in given.releases:
        tested, released = _as_version(given, one.model), _as_version(given, one.released_as)
        if one.released_as == one.model:
            # One line of the board: there are only the digests to compare.
            tested, released = (
                Version(one.model, digest=tested.digest),
                Version(one.model, digest=_released(given, one)),
            )
        else:
            released = replace(released, digest=_released(given, one) or released.digest)
        found += version_mismatch(tested, released, one.curse)
        tests += (None not in (tested.rating, released.rating)) + len(tested.style.keys() & released.style.keys())
    return found, {"releases": len(given.releases), "tests": tests}


def _released(given: Gathered, one: variants.Release) -> str | None:
    """The digest that the release names."""
    return given.state.models[one.model].released_digest


def _as_version(given: Gathered, name: str) -> Version:
    score, model = given.scores.get(name), given.state.models.get(name)
    rank, style_rank = (given.board.get(view, {}).get(name, {}).get("rank") for view in ("defended", "style"))
    rating, se = (score.rating, score.se) if score else (None, None)
    digest = model.checkpoint_digest if model else None
    return Version(name, rating, se, rank, style_rank, digest, given.style.get(name, {}))


def claimed(given: Gathered) -> Audited:
    """Claims against reproductions."""
    found, checked = [], checked_claims(given)
    for one in checked:
        test = claims.benchmark_claim(one.model, one.benchmark, one.claimed, one.measured)
        finding = claims.claim_finding(test, one.claimed, one.measured, one.source, one.evaluator)
        found += [finding] if finding else []
    return found, {"checked": len(checked), "tests": len(checked)}


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


def perturbed(given: Gathered) -> Audited:
    """What another wording costs each model, against its peers."""
    results = [e for e in given.events if isinstance(e, BenchmarkResult)]
    plain = {(e.benchmark, given.state.key(e.model)): e for e in results if not e.perturbed}
    drops: dict[str, dict[str, claims.Drop]] = {}
    for e in results:
        base = plain.get((e.paired_with or e.benchmark, given.state.key(e.model)))
        if e.perturbed and base is not None:
            pair = claims.score_pair(base.score, base.n, e.score, e.n)
            drops.setdefault(base.benchmark, {})[given.state.key(e.model)] = claims.drop_of_scores(*pair)
    found: list[Finding] = []
    tests = 0
    for benchmark, of in drops.items():
        for test in claims.perturbation_gap(benchmark, of) if len(of) > 2 else ():
            tests += 1
            if test.fires:
                what = (
                    f"another wording of {benchmark} costs {test.model} {test.gap * 100:.1f} points, its peers "
                    f"{test.expected * 100:.1f}: z = {test.z:.1f}"
                )
                direction, figures = f"falls on another wording of {benchmark}", asdict(test)
                found.append(
                    Finding("perturbation_gap", "model", test.model, direction, "warning", what, test.p_value, figures)
                )
    return found, {"benchmarks": sorted(drops), "tests": tests}


def arena(given: Gathered) -> Audited:
    """What a model gained over its family's first one on prompts like the board's, against its gain on others."""
    measured: dict[str, dict[str, BenchmarkResult]] = {}
    for event in given.events:
        if isinstance(event, BenchmarkResult) and not event.perturbed:
            measured.setdefault(given.state.key(event.model), {})[event.benchmark] = event
    found, tests = [], 0
    for name, base in _bases(given, measured).items():
        both = sorted(measured[name].keys() & measured[base].keys())
        pairs = {b: claims.score_pair(*_score(measured[base][b]), *_score(measured[name][b])) for b in both}
        alike = [b for b in both if measured[name][b].arena_like]
        for like, other in ((a, o) for a in alike for o in both if o not in alike):
            test = claims.arena_gap(name, like, pairs[like], pairs[other])
            tests += 1
            if test.fires:
                found.append(claims.arena_finding(test, base, other))
    return found, {"tests": tests}


def _score(result: BenchmarkResult) -> tuple[float, int]:
    return result.score, result.n


def _bases(given: Gathered, measured: Mapping[str, Any]) -> dict[str, str]:
    """Model → the model of its provider and family that was submitted first, of those with results."""
    first: dict[tuple[str, str], str] = {}
    result = {}
    for model in sorted(given.state.models.values(), key=lambda m: (m.submitted_at or 0, m.name)):
        if model.provider and model.family and model.name in measured:
            base = first.setdefault((model.provider, model.family), model.name)
            if base != model.name:
                result[model.name] = base
    return result
