"""The audits `variant_churn` and `best_of_n`: private variants of a provider, and the gain from releasing the best one.

variant_churn   counts the private variants that a provider had under test at the same time, at the moment with most of
                them since the registry began. More than 3 are a warning; more than 10 are critical (the limit of one
                public policy for "provisional" models). What was once too many stays a finding after the tests ended.
best_of_n       estimates the winner's curse of a release. N is the larger of two numbers: the disclosed N, and the
                number of the family's variants seen before the release. There is a finding if N was not disclosed, if
                the disclosed N is below the number seen, or if N is above 10. The finding has the score with and
                without the winner's curse (`ratings.winners_curse`).

Source: Singh et al. 2025, "The Leaderboard Illusion", section 3: 27 private variants of one provider before one
release; the score of one variant was published.

Laws: the same registry gives the same findings. A variant counts as under test from its submission to its release,
retraction or deprecation.

Blind spot: variants that were never submitted under the provider's name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

from pipeline.audits.families import similarity
from pipeline.audits.finding import Finding
from pipeline.errors import BadCounts
from pipeline.ratings.winners_curse import SelectionGain, debiased_se, selection_gain, shrink_to_family_mean
from pipeline.registry import RegisteredModel, RegistryState
from pipeline.scoring.signals import Severity
from pipeline.vocabulary.time import format_rfc3339

MANY, TOO_MANY = 3, 10
_ALIKE = 0.5


@dataclass(frozen=True, slots=True)
class VariantScore:
    """The score of a variant.

    Attributes:
        rating: rating, in points.
        se: standard error of the rating, in points.
        votes: number of votes on the model.
        before: number of these votes that were cast before the release, and so could influence the choice of the
            variant; None if all were.
    """

    rating: float
    se: float
    votes: int
    before: int | None = None

    @property
    def kept(self) -> float:
        """Share of the votes that were cast before the release, from 0 to 1."""
        if self.before is None or self.votes <= 0:
            return 1.0
        return min(1.0, self.before / self.votes)


@dataclass(frozen=True, slots=True)
class ModelRelease:
    """The release of a variant, and the estimated effect of its selection among N variants.

    Attributes:
        model: the variant that was released.
        released_as: the registered public model; equal to `model` if the registry names no other.
        provider: the provider; None if not known.
        at: time of the release, in microseconds since 1970 UTC.
        disclosed_n: the disclosed N; None if it was not disclosed.
        seen: variants of the family that were registered before the release, `model` included.
        raw: rating of `model`, in points; None if it was never rated.
        se: standard error of `raw`, in points.
        corrected: rating without the winner's curse of N; None if `model` was never rated.
        corrected_se: standard error of `corrected`, in points.
        shrunk: empirical-Bayes rating from the ratings of all N variants; None if fewer than two variants or not all of
            them were rated.
        shrunk_se: standard error of `shrunk`, in points.
        gain: the expected gain from releasing the best of N, split into quality and luck.
    """

    model: str
    released_as: str
    provider: str | None
    at: int
    disclosed_n: int | None
    seen: tuple[str, ...]
    raw: float | None = None
    se: float | None = None
    corrected: float | None = None
    corrected_se: float | None = None
    shrunk: float | None = None
    shrunk_se: float | None = None
    gain: SelectionGain | None = None

    @property
    def n(self) -> int:
        """Number of variants tested: the larger of the disclosed number and the number seen in the registry."""
        return max(self.disclosed_n or 1, len(self.seen))

    @property
    def curse(self) -> float:
        """Winner's curse in the raw rating: `raw` minus `corrected`, in points; 0 if the model was never rated."""
        return 0.0 if self.raw is None or self.corrected is None else self.raw - self.corrected


def release_times(state: RegistryState) -> dict[str, int]:
    """Return model → time of its release, for released variants and for the public models that they became."""
    found: dict[str, int] = {}
    for model in state.models.values():
        for name in (model.name, state.first_name(model.released_as or model.name)):
            if model.released_at is not None:
                found[name] = min(found.get(name, model.released_at), model.released_at)
    return found


def _tested_until(state: RegistryState) -> dict[str, tuple[int, int | None]]:
    """Return the (start, end) of each private variant's test, by model. The end is None while the test lasts."""
    public, result = release_times(state), {}
    for model in state.models.values():
        if model.provider and model.visibility == "private" and model.submitted_at is not None:
            ends = [t for t in (public.get(model.name), model.retracted_at, model.deprecated_at) if t is not None]
            result[model.name] = (model.submitted_at, min(ends, default=None))
    return result


def variants_under_test(state: RegistryState) -> dict[str, tuple[str, ...]]:
    """Return provider → its private variants that are under test, both sorted by name."""
    result: dict[str, list[str]] = {}
    for name, (_, end) in sorted(_tested_until(state).items()):
        if end is None:
            result.setdefault(state.models[name].provider or "", []).append(name)
    return {provider: tuple(names) for provider, names in sorted(result.items())}


@dataclass(frozen=True, slots=True)
class ConcurrentVariants:
    """The private variants that a provider had under test at the moment with most of them.

    Attributes:
        names: the variants, sorted by name.
        at: the first time with this number, in microseconds since 1970 UTC.
    """

    names: tuple[str, ...]
    at: int

    @property
    def most(self) -> int:
        """The largest number of variants at the same time."""
        return len(self.names)


def peak_variants(state: RegistryState) -> dict[str, ConcurrentVariants]:
    """Return provider → its private variants at the moment with most of them under test, over the whole registry.

    A test that ends at the same time as another one begins is not counted with it. Providers without a private variant
    are left out.
    """
    tests: dict[str, list[tuple[int, int, str]]] = {}
    for name, (start, end) in _tested_until(state).items():
        of = tests.setdefault(state.models[name].provider or "", [])
        of += [(start, 1, name), *([] if end is None else [(end, 0, name)])]
    found = {provider: _peak(steps) for provider, steps in sorted(tests.items())}
    return {provider: peak for provider, peak in found.items() if peak.names}


def _peak(steps: Iterable[tuple[int, int, str]]) -> ConcurrentVariants:
    """Return the largest set of names under test, from steps (time, 1 for a start and 0 for an end, name)."""
    now: set[str] = set()
    most = ConcurrentVariants((), 0)
    for at, begins, name in sorted(steps):
        if begins:
            now.add(name)
        else:
            now.discard(name)
        if len(now) > most.most:
            most = ConcurrentVariants(tuple(sorted(now)), at)
    return most


def variant_churn(state: RegistryState) -> tuple[Finding, ...]:
    """Return the findings about providers that had more than three private variants under test at the same time."""
    findings = []
    now = variants_under_test(state)
    for provider, peak in peak_variants(state).items():
        if peak.most > MANY:
            severity: Severity = "critical" if peak.most > TOO_MANY else "warning"
            still = len(now.get(provider, ()))
            when = format_rfc3339(peak.at, "seconds")
            what = (
                f"{peak.most} private variants of {provider} were under test at once on {when}, {still} are now; more "
                f"than {MANY} is many"
            )
            figures = {
                "variants": list(peak.names), "at": when, "now": still, "limit": MANY, "critical_limit": TOO_MANY,
            }  # fmt: skip
            findings.append(
                Finding("variant_churn", "provider", provider, "private variants", severity, what, None, figures)
            )
    return tuple(findings)


def releases(state: RegistryState, scores: Mapping[str, VariantScore], tau: float = 0.0) -> tuple[ModelRelease, ...]:
    """Return every release of the registry, in order of time.

    Args:
        state: the registry.
        scores: variant → its score while it was under test.
        tau: standard deviation of the true qualities within a family, in points; 0 attributes the whole gain to luck.

    Raises:
        BadCounts: a standard error is not above 0, or τ is negative.
    """
    released = [model for model in state.models.values() if model.released_at is not None]
    released.sort(key=lambda m: (m.released_at, m.name))
    return tuple(_release(model, state, scores, tau) for model in released)


def best_of_n(releases: Iterable[ModelRelease]) -> tuple[Finding, ...]:
    """Return findings about releases whose N was not disclosed, was disclosed below the number seen, or is above 10."""
    findings = []
    for one in releases:
        severity: Severity = "critical" if one.n > TOO_MANY else "warning"
        if one.disclosed_n is None and len(one.seen) > 1:
            direction = "N not disclosed"
            what = f"{one.released_as}: {len(one.seen)} variants were seen before its release, no number was disclosed"
        elif one.disclosed_n is not None and one.disclosed_n < len(one.seen):
            direction, severity = "N disclosed too low", "critical"
            what = f"{one.disclosed_n} variants were disclosed, {len(one.seen)} were seen"
        elif one.n > TOO_MANY:
            direction, severity, what = "large N", "warning", f"the best of {one.n} variants"
        else:
            continue
        if one.raw is not None and one.corrected is not None:
            what += f"; scored {one.raw:.1f}, without the winner's curse {one.corrected:.1f}"
        findings.append(Finding("best_of_n", "model", one.model, direction, severity, what, None, _figures(one)))
    return tuple(findings)


def _release(
    model: RegisteredModel, state: RegistryState, scores: Mapping[str, VariantScore], tau: float
) -> ModelRelease:
    at = model.released_at or 0
    earlier = (other for other in state.models.values() if (other.submitted_at or 0) <= at)
    seen = tuple(sorted({model.name, *(other.name for other in earlier if _variant_of(other, model))}))
    public = model.released_as or model.name
    plain = ModelRelease(model.name, state.first_name(public), model.provider, at, model.variants_tested, seen)
    score = scores.get(model.name)
    if score is None:
        return plain
    if not score.se > 0:
        raise BadCounts(f"expected a standard error above 0, got {score.se} of {model.name}")
    return replace(plain, raw=score.rating, se=score.se, **_corrected(plain, score, tau), **_shrunk(plain, scores))


def _corrected(plain: ModelRelease, score: VariantScore, tau: float) -> dict[str, Any]:
    """Return the score without the curse, which the n₁ votes since the release dilute: curse · n₀ / (n₀ + n₁)."""
    kept = score.kept
    if kept == 0:
        return {"corrected": score.rating, "corrected_se": score.se, "gain": SelectionGain(0.0, 0.0)}
    se = score.se / sqrt(kept)
    gain = selection_gain(plain.n, se, tau)
    variance = (kept * debiased_se(plain.n, se, tau)) ** 2 + score.se**2 * (1 - kept)
    return {"corrected": score.rating - gain.curse * kept, "corrected_se": sqrt(variance), "gain": gain}


def _shrunk(plain: ModelRelease, scores: Mapping[str, VariantScore]) -> dict[str, Any]:
    rated = [scores[name] for name in plain.seen if name in scores]
    if not len(rated) == plain.n > 1:
        return {}
    place = [name for name in plain.seen if name in scores].index(plain.model)
    found = shrink_to_family_mean([s.rating for s in rated], [s.se for s in rated])
    return {"shrunk": float(found.scores[place]), "shrunk_se": float(found.se[place])}


def _variant_of(other: RegisteredModel, model: RegisteredModel) -> bool:
    """Return whether `other` was a private variant in the family of the released `model`."""
    if other.provider is None or other.provider != model.provider or other.visibility != "private":
        return False
    if other.family and model.family:
        return other.family == model.family
    return similarity(other.name, model.name) >= _ALIKE


def _figures(one: ModelRelease) -> dict[str, object]:
    return {
        "provider": one.provider, "released_as": one.released_as, "disclosed": one.disclosed_n, "seen": list(one.seen),
        "n": one.n, "raw": one.raw, "corrected": one.corrected, "shrunk": one.shrunk,
        "curse": one.curse if one.gain else None,
    }  # fmt: skip
