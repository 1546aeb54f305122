"""`variant_churn` and `best_of_n`: how many variants a provider tests in private, and what choosing the best is worth.

variant_churn   private variants of one provider that are under test at one moment: more than 3 is a warning, more
                than 10 critical (the line of one public policy for "provisional" models).
best_of_n       at a release: N variants of the family were under test before it, or N was disclosed, whichever is
                more. No N disclosed, or fewer than were seen, is a fact; N above 10 is one too. The raw score stands
                beside the one without the winner's curse (`ratings.winners_curse`).

Source: Singh et al. 2025, "The Leaderboard Illusion", section 3: 27 private variants of one provider before one
release, of which the score of one was published.

Laws: registry in, findings out; the same registry gives the same; a variant counts from its submission to its release,
retraction or deprecation. Blind spot: variants that were never submitted under the provider's name.
"""

from __future__ import annotations

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

MANY, TOO_MANY = 3, 10
_ALIKE = 0.5


@dataclass(frozen=True, slots=True)
class Scored:
    """A model's score.

    Attributes:
        rating, se: points.
        votes: it rests on.
        before: those of them from before its release, of which alone the choice can have been lucky; None for all.
    """

    rating: float
    se: float
    votes: int
    before: int | None = None

    @property
    def kept(self) -> float:
        """Share of the votes that the choice was made by."""
        if self.before is None or self.votes <= 0:
            return 1.0
        return min(1.0, self.before / self.votes)


@dataclass(frozen=True, slots=True)
class Release:
    """A release, and the selection behind it.

    Attributes:
        model: the model that was tested.
        released_as: the registered model that is public now; the same one if no other is named.
        provider: who released it, None where nobody said.
        at: when, microseconds since 1970 UTC.
        disclosed_n: what the provider said.
        seen: the variants of the family that the registry saw before the release, itself included.
        raw: its score; None if it was never rated.
        se: of the raw score, points.
        corrected: its score without what is left of the winner's curse of N, for τ = 0; None if it was never rated.
        corrected_se: its standard error.
        shrunk: the same from the scores of all N variants; None unless all were rated, and at least two.
        shrunk_se: its standard error.
        gain: what the best of N gained when it was chosen, of which the curse is luck.
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
        """Variants tested: as disclosed or as seen, whichever is more."""
        return max(self.disclosed_n or 1, len(self.seen))

    @property
    def curse(self) -> float:
        """Points of the raw score that are luck."""
        return 0.0 if self.raw is None or self.corrected is None else self.raw - self.corrected


def released_since(state: RegistryState) -> dict[str, int]:
    """Model → when it went public: itself, or as the model that another one was released as."""
    found: dict[str, int] = {}
    for model in state.models.values():
        for name in (model.name, state.key(model.released_as or model.name)):
            if model.released_at is not None:
                found[name] = min(found.get(name, model.released_at), model.released_at)
    return found


def _tested_until(state: RegistryState) -> dict[str, tuple[int, int | None]]:
    """Private variant → from when to when it was under test; None where it still is."""
    public, result = released_since(state), {}
    for model in state.models.values():
        if model.provider and model.visibility == "private" and model.submitted_at is not None:
            ends = [t for t in (public.get(model.name), model.retracted_at, model.deprecated_at) if t is not None]
            result[model.name] = (model.submitted_at, min(ends, default=None))
    return result


def under_test(state: RegistryState) -> dict[str, tuple[str, ...]]:
    """Provider → its private variants under test, sorted by both."""
    result: dict[str, list[str]] = {}
    for name, (_, end) in sorted(_tested_until(state).items()):
        if end is None:
            result.setdefault(state.models[name].provider or "", []).append(name)
    return {provider: tuple(names) for provider, names in sorted(result.items())}


@dataclass(frozen=True, slots=True)
class Concurrent:
    """The most private variants of a provider under test at one moment, and the first moment when."""

    most: int
    at: int


def most_at_once(state: RegistryState, provider: str) -> Concurrent | None:
    """The peak of concurrent private variants over all time; None if there never was one."""
    steps: list[tuple[int, int]] = []
    for name, (start, end) in _tested_until(state).items():
        if state.models[name].provider == provider:
            steps += [(start, 1), *([] if end is None else [(end, -1)])]
    most, at, now = 0, 0, 0
    for time, step in sorted(steps):
        now += step
        if now > most:
            most, at = now, time
    return Concurrent(most, at) if most else None


def variant_churn(state: RegistryState) -> tuple[Finding, ...]:
    """Providers with more than three private variants under test."""
    findings = []
    for provider, names in under_test(state).items():
        if len(names) > MANY:
            severity: Severity = "critical" if len(names) > TOO_MANY else "warning"
            what = f"{len(names)} private variants of {provider} are under test at once; more than {MANY} is many"
            figures = {"variants": list(names), "limit": MANY, "critical_limit": TOO_MANY}
            findings.append(
                Finding("variant_churn", "provider", provider, "private variants", severity, what, None, figures)
            )
    return tuple(findings)


def releases(state: RegistryState, scores: Mapping[str, Scored], tau: float = 0.0) -> tuple[Release, ...]:
    """Every release that the registry holds, in the order of time.

    Args:
        state: the registry.
        scores: of rated models, by key: of the variants as they were tested.
        tau: spread of the true qualities within a family, points; 0 takes all of the gain for luck.

    Raises:
        BadCounts: a standard error that is not above 0, or a negative τ.
    """
    released = [model for model in state.models.values() if model.released_at is not None]
    return tuple(
        _release(model, state, scores, tau) for model in sorted(released, key=lambda m: (m.released_at, m.name))
    )


def best_of_n(releases: Iterable[Release]) -> tuple[Finding, ...]:
    """Releases whose N was not disclosed, is below what was seen, or is large."""
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


def _release(model: RegisteredModel, state: RegistryState, scores: Mapping[str, Scored], tau: float) -> Release:
    at = model.released_at or 0
    seen = tuple(
        sorted(
            {model.name}
            | {
                other.name
                for other in state.models.values()
                if _variant_of(other, model) and (other.submitted_at or 0) <= at
            }
        )
    )
    public = model.released_as or model.name
    plain = Release(model.name, state.key(public), model.provider, at, model.variants_tested, seen)
    score = scores.get(model.name)
    if score is None:
        return plain
    if not score.se > 0:
        raise BadCounts(f"expected a standard error above 0, got {score.se} of {model.name}")
    return replace(plain, raw=score.rating, se=score.se, **_corrected(plain, score, tau), **_shrunk(plain, scores))


def _corrected(plain: Release, score: Scored, tau: float) -> dict[str, Any]:
    """The score without the curse, which votes since the release dilute: curse · n₀ / (n₀ + n₁)."""
    kept = score.kept
    if kept == 0:
        return {"corrected": score.rating, "corrected_se": score.se, "gain": SelectionGain(0.0, 0.0)}
    se = score.se / sqrt(kept)
    gain = selection_gain(plain.n, se, tau)
    variance = (kept * debiased_se(plain.n, se, tau)) ** 2 + score.se**2 * (1 - kept)
    return {"corrected": score.rating - gain.curse * kept, "corrected_se": sqrt(variance), "gain": gain}


def _shrunk(plain: Release, scores: Mapping[str, Scored]) -> dict[str, Any]:
    rated = [scores[name] for name in plain.seen if name in scores]
    if not len(rated) == plain.n > 1:
        return {}
    place = [name for name in plain.seen if name in scores].index(plain.model)
    found = shrink_to_family_mean([s.rating for s in rated], [s.se for s in rated])
    return {"shrunk": float(found.scores[place]), "shrunk_se": float(found.se[place])}


def _variant_of(other: RegisteredModel, model: RegisteredModel) -> bool:
    """Whether another model was a private variant of a released one's family."""
    if other.provider is None or other.provider != model.provider or other.visibility != "private":
        return False
    if other.family and model.family:
        return other.family == model.family
    return similarity(other.name, model.name) >= _ALIKE


def _figures(one: Release) -> dict[str, object]:
    return {
        "provider": one.provider, "released_as": one.released_as, "disclosed": one.disclosed_n, "seen": list(one.seen),
        "n": one.n, "raw": one.raw, "corrected": one.corrected, "shrunk": one.shrunk,
        "curse": one.curse if one.gain else None,
    }  # fmt: skip
