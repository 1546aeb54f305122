"""`variant_churn` and `best_of_n`: how many variants a provider tests in private, and what choosing the best is worth.

variant_churn   private variants of one provider that are under test at one moment: more than 3 is a warning, more
                than 10 critical (the line of one public policy for "provisional" models).
best_of_n       at a release: N variants of the family were under test before it, or N was disclosed, whichever is
                more. No N disclosed, or fewer than were seen, is a fact; N above 10 is one too. The raw score stands
                beside the one without the winner's curse (`ratings.selection`).

Source: Singh et al. 2025, "The Leaderboard Illusion", section 3: 27 private variants of one provider before one
release, of which the score of one was published.

Laws: registry in, findings out; the same registry gives the same; a variant counts from its submission to its release,
retraction or deprecation. Blind spot: variants that were never submitted under the provider's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.alerts import Severity
from pipeline.audits.families import similarity
from pipeline.audits.finding import Finding
from pipeline.errors import BadCounts
from pipeline.ratings.selection import Gain, disclosed, gain_of_best, shrink
from pipeline.registry import Model, State

MANY, TOO_MANY = 3, 10
_ALIKE = 0.5


@dataclass(frozen=True, slots=True)
class Scored:
    """A model's score: points, its standard error in points, and the votes it rests on."""

    rating: float
    se: float
    votes: int


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
        corrected: its score without the winner's curse of N, for τ = 0; None if it was never rated.
        shrunk: the same from the scores of all N variants; None unless all were rated, and at least two.
        gain: what the best of N gains, of which the curse is luck.
    """

    model: str
    released_as: str
    provider: str | None
    at: int
    disclosed_n: int | None
    seen: tuple[str, ...]
    raw: float | None = None
    corrected: float | None = None
    shrunk: float | None = None
    gain: Gain | None = None

    @property
    def n(self) -> int:
        """Variants tested: as disclosed or as seen, whichever is more."""
        return max(self.disclosed_n or 1, len(self.seen))


def under_test(state: State) -> dict[str, tuple[str, ...]]:
    """Provider → its private variants under test, sorted by both."""
    result: dict[str, list[str]] = {}
    for model in sorted(state.models.values(), key=lambda m: m.name):
        over = (model.released_at, model.retracted_at, model.deprecated_at)
        if model.provider and model.visibility == "private" and all(time is None for time in over):
            result.setdefault(model.provider, []).append(model.name)
    return {provider: tuple(names) for provider, names in sorted(result.items())}


def variant_churn(state: State) -> tuple[Finding, ...]:
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


def releases(state: State, scores: Mapping[str, Scored], tau: float = 0.0) -> tuple[Release, ...]:
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
            direction, what = "N not disclosed", f"{len(one.seen)} variants were seen, no number was disclosed"
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


def _release(model: Model, state: State, scores: Mapping[str, Scored], tau: float) -> Release:
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
    rated = [scores[name] for name in seen if name in scores]
    shrunk = None
    if len(rated) == plain.n > 1:
        place = [name for name in seen if name in scores].index(model.name)
        shrunk = float(shrink([s.rating for s in rated], [s.se for s in rated]).scores[place])
    return Release(
        plain.model, plain.released_as, plain.provider, at, plain.disclosed_n, seen, score.rating,
        disclosed(score.rating, plain.n, score.se, tau), shrunk, gain_of_best(plain.n, score.se, tau),
    )  # fmt: skip


def _variant_of(other: Model, model: Model) -> bool:
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
        "curse": one.gain.curse if one.gain else None,
    }  # fmt: skip
