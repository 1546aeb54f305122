"""Runs the audits of variants, releases, removals and claims, which compare the registry with the board."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from pipeline.audits import claims, families, model_releases, retraction, variants
from pipeline.audits.finding import Finding
from pipeline.audits.version_mismatch import ModelVersion, version_mismatch
from pipeline.events.registry_events import BenchmarkClaim, BenchmarkResult
from pipeline.jobs.audits.audit_input import AuditInput
from pipeline.vocabulary.time import format_rfc3339

Audited = tuple[Sequence[Finding], Mapping[str, Any]]


def audit_variant_churn(given: AuditInput) -> Audited:
    """Find providers with many private variants under test at the same time.

    Returns:
        The findings, and the report of the audit: {"under_test", "families"}. "under_test" is provider → its private
        variants under test now. "families" is provider → groups of names that are likely one model.
    """
    under_test = variants.variants_under_test(given.state)
    return variants.variant_churn(given.state), {"under_test": under_test, "families": _families(given)}


def _families(given: AuditInput) -> dict[str, list[list[str]]]:
    """Return for each provider its groups of at least two names that are probably one model."""
    names: dict[str, list[str]] = {}
    for model in given.state.models.values():
        if model.provider:
            names.setdefault(model.provider, []).append(model.name)
    found = {provider: families.name_families(of) for provider, of in sorted(names.items())}
    return {provider: kept for provider, of in found.items() if (kept := [list(f) for f in of if len(f) > 1])}


def audit_best_of_n(given: AuditInput) -> Audited:
    """Report for each release how many variants were tested, and its score with and without the winner's curse.

    The winner's curse is the luck in the score of the best of several variants.

    Returns:
        The findings, and the report of the audit: {"releases"}, a list with the figures of each release.
    """
    shown = [{**asdict(one), "n": one.n, "at": format_rfc3339(one.at)} for one in given.releases]
    return model_releases.best_of_n(given.releases), {"releases": shown}


def audit_retractions(given: AuditInput) -> Audited:
    """Find published scores that were withdrawn, and vote counts that fell from one snapshot to the next.

    Returns:
        The findings, and the report of the audit: {"snapshots"}, the number of published snapshots.
    """
    withdrawn = retraction.withdrawn_scores(given.events, given.first_rated_at, given.first_vote_at)
    return (*withdrawn, *vote_decreases(given)), {"snapshots": given.published}


def vote_decreases(given: AuditInput) -> tuple[Finding, ...]:
    """Return a finding for each decrease of a model's vote count between two snapshots of this store."""
    return tuple(
        retraction.fall_finding(model, f"snapshot {earlier}", f"snapshot {later}", before, after)
        for model, earlier, later, before, after in given.vote_decreases
    )


def audit_versions(given: AuditInput) -> Audited:
    """Compare each released model with the variant that was tested: digests, ratings and style of the answers.

    The digests are those of the models' checkpoints. If a variant was released under its own name, only the digests
    are compared.

    Returns:
        The findings, and the report of the audit: {"releases", "tests"}, the numbers of releases and of comparisons.
    """
    found: list[Finding] = []
    tests = 0
    for one in given.releases:
        tested, released = _version_of(given, one.model), _version_of(given, one.released_as)
        digest = given.state.models[one.model].released_digest  # as the release event names it
        if one.released_as == one.model:
            # Released under the tested name: the board has one row, so only digests can differ.
            tested, released = (ModelVersion(one.model, digest=each) for each in (tested.digest, digest))
        else:
            released = replace(released, digest=digest or released.digest)
        found += version_mismatch(tested, released, one.curse)
        tests += (None not in (tested.rating, released.rating)) + len(tested.style.keys() & released.style.keys())
    return found, {"releases": len(given.releases), "tests": tests}


def _version_of(given: AuditInput, name: str) -> ModelVersion:
    score, model = given.scores.get(name), given.state.models.get(name)
    rank, style_rank = (given.board.get(view, {}).get(name, {}).get("rank") for view in ("defended", "style"))
    rating, se = (score.rating, score.se) if score else (None, None)
    digest = model.checkpoint_digest if model else None
    return ModelVersion(name, rating, se, rank, style_rank, digest, given.style.get(name, {}))


def audit_claims(given: AuditInput) -> Audited:
    """Compare claimed benchmark scores with the scores that evaluators measured.

    Returns:
        The findings, and the report of the audit: {"checked", "tests"}. Both are the number of comparisons.
    """
    found, checked = [], checked_claims(given)
    for one in checked:
        test = claims.benchmark_claim(one.model, one.benchmark, one.claimed, one.measured)
        finding = claims.claim_finding(test, one.claimed, one.measured, one.source, one.evaluator)
        found += [finding] if finding else []
    return found, {"checked": len(checked), "tests": len(checked)}


def checked_claims(given: AuditInput) -> list[claims.ClaimCheck]:
    """Return each pair of a claimed benchmark score and a measured score of the same model and benchmark.

    Scores on reworded benchmarks are left out. A claim without a measured score has no pair.
    """
    key, found = given.state.first_name, []
    results = [e for e in given.events if isinstance(e, BenchmarkResult) and not e.perturbed]
    for claim in (e for e in given.events if isinstance(e, BenchmarkClaim)):
        for result in results:
            if (result.benchmark, key(result.model)) == (claim.benchmark, key(claim.model)):
                pair, model = claims.score_pair(claim.score, claim.n, result.score, result.n), key(claim.model)
                found.append(claims.ClaimCheck(model, claim.benchmark, *pair, claim.source, result.evaluator))
    return found


def audit_perturbations(given: AuditInput) -> Audited:
    """Compare each model's loss of accuracy on a reworded benchmark with the losses of the other models.

    Benchmarks with results of fewer than three models are not tested.

    Returns:
        The findings, and the report of the audit: {"benchmarks", "tests"}, the names of the benchmarks with reworded
        results, and the number of tests.
    """
    results = [e for e in given.events if isinstance(e, BenchmarkResult)]
    plain = {(e.benchmark, given.state.first_name(e.model)): e for e in results if not e.perturbed}
    drops: dict[str, dict[str, claims.AccuracyDrop]] = {}
    for e in results:
        base = plain.get((e.paired_with or e.benchmark, given.state.first_name(e.model)))
        if e.perturbed and base is not None:
            pair = claims.score_pair(base.score, base.n, e.score, e.n)
            drops.setdefault(base.benchmark, {})[given.state.first_name(e.model)] = claims.drop_of_scores(*pair)
    found: list[Finding] = []
    audit, tests = "perturbation_gap", 0
    for benchmark, of in drops.items():
        for test in claims.perturbation_gap(benchmark, of) if len(of) > 2 else ():
            tests += 1
            if test.fires:
                what = (
                    f"another wording of {benchmark} costs {test.model} {test.gap * 100:.1f} points, its peers "
                    f"{test.expected * 100:.1f}: z = {test.z:.1f}"
                )
                direction, p = f"falls on another wording of {benchmark}", test.p_value
                found.append(Finding(audit, "model", test.model, direction, "warning", what, p, asdict(test)))
    return found, {"benchmarks": sorted(drops), "tests": tests}


def audit_arena_gap(given: AuditInput) -> Audited:
    """Compare a model's gain on arena-like benchmarks with its gain on other benchmarks.

    The gain of a model is its score minus the score of the first model of its family. The questions of an arena-like
    benchmark resemble the board's prompts.

    Returns:
        The findings, and the report of the audit: {"tests"}, the number of comparisons.
    """
    measured: dict[str, dict[str, BenchmarkResult]] = {}
    for event in given.events:
        if isinstance(event, BenchmarkResult) and not event.perturbed:
            measured.setdefault(given.state.first_name(event.model), {})[event.benchmark] = event
    found, tests = [], 0
    for name, base in _bases(given, measured).items():
        both = sorted(measured[name].keys() & measured[base].keys())
        scores = {b: (measured[base][b], measured[name][b]) for b in both}
        pairs = {b: claims.score_pair(old.score, old.n, new.score, new.n) for b, (old, new) in scores.items()}
        alike = [b for b in both if measured[name][b].arena_like]
        for like, other in ((a, o) for a in alike for o in both if o not in alike):
            test = claims.arena_gap(name, like, pairs[like], pairs[other])
            tests += 1
            if test.fires:
                found.append(claims.arena_finding(test, base, other))
    return found, {"tests": tests}


def _bases(given: AuditInput, measured: Mapping[str, Any]) -> dict[str, str]:
    """Return model → the model of the same provider and family that was submitted first.

    Models without results are ignored. First models are not keys.
    """
    first: dict[tuple[str, str], str] = {}
    result = {}
    for model in sorted(given.state.models.values(), key=lambda m: (m.submitted_at or 0, m.name)):
        if model.provider and model.family and model.name in measured:
            base = first.setdefault((model.provider, model.family), model.name)
            if base != model.name:
                result[model.name] = base
    return result
