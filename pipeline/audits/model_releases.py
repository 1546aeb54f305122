"""Runs the audit `best_of_n`: estimates the gain from testing N private variants and releasing the best one.

The winner's curse: the score of the best of N variants is too high on average, because a variant is also selected for
its luck. N is the number of variants that the provider disclosed, or the number of the family's variants seen before
the release if that is larger. There is a finding in three cases: several variants were seen and no number was
disclosed, the disclosed number is below the number seen, or N is above 10.

A finding states the published score, and the score corrected for the curse (`ratings.selection_intervals`). If no
number was disclosed, the finding states two bounds instead of the corrected score. The upper bound is the published
score. The lower bound is the published score minus the curse of equally good variants, as many as were seen.

Source: Singh et al. 2025, "The Leaderboard Illusion", section 3: 27 private variants of one provider before one
release; the score of one variant was published.

The same registry and scores give the same findings.

Blind spot: variants that were never submitted under the provider's name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

from pipeline.audits.families import similarity
from pipeline.audits.finding import Finding
from pipeline.audits.variants import TOO_MANY
from pipeline.errors import BadCounts
from pipeline.ratings.selection_intervals import best_of_n_interval, family_intervals, undisclosed_bounds
from pipeline.ratings.winners_curse import SelectionGain, selection_gain
from pipeline.registry import RegisteredModel, RegistryState
from pipeline.scoring.signals import Severity

_ALIKE = 0.5


@dataclass(frozen=True, slots=True)
class VariantScore:
    """The rating of a variant, and the numbers of votes that it rests on.

    Attributes:
        rating: rating, in points.
        se: standard error of the rating, in points.
        votes: number of votes on the variant.
        before: how many of these votes were cast before the release, and so could influence the choice of the variant;
            None if all were.
    """

    rating: float
    se: float
    votes: int
    before: int | None = None

    @property
    def kept(self) -> float:
        """Share of the votes that were cast before the release, from 0 to 1; 1 without votes or if `before` is None."""
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
        seen: names of the family's variants that were registered before the release, `model` included.
        raw: rating of `model`, in points; None if it was never rated.
        se: standard error of `raw`, in points.
        corrected: rating without the winner's curse of choosing the best of N variants, whose qualities may differ by
            any amount; None if `model` was never rated, or if N was not disclosed.
        corrected_se: standard error of `corrected`, in points.
        corrected_interval: 95% interval around `corrected`; None if there is no `corrected`.
        bounds: lower and upper bound of the rating without the winner's curse. They do not allow for the standard
            error. The lower bound is reached if all variants are equally good; the upper bound is `raw`. None if
            `model` was never rated. If N was not disclosed, only these bounds are known.
        shrunk: estimate from the ratings of all N variants; None if fewer than two variants or not all of them were
            rated.
        shrunk_se: standard error of `shrunk`, in points.
        shrunk_interval: 95% interval around `shrunk`; None if there is no `shrunk`.
        gain: the expected gain from releasing the best of N equally good variants, split into quality and luck.
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
    corrected_interval: tuple[float, float] | None = None
    bounds: tuple[float, float] | None = None
    shrunk: float | None = None
    shrunk_se: float | None = None
    shrunk_interval: tuple[float, float] | None = None
    gain: SelectionGain | None = None

    @property
    def n(self) -> int:
        """Number of variants tested: the larger of the disclosed number and the number seen in the registry."""
        return max(self.disclosed_n or 1, len(self.seen))

    @property
    def curse(self) -> float:
        """Winner's curse in the raw rating, in points; 0 if the model was never rated.

        If the number of tested variants was not disclosed, this is the largest possible curse. The curse is largest if
        all variants are equally good.
        """
        if self.raw is None or self.bounds is None:
            return 0.0
        return self.raw - (self.bounds[0] if self.corrected is None else self.corrected)


def releases(state: RegistryState, scores: Mapping[str, VariantScore]) -> tuple[ModelRelease, ...]:
    """Return every release of the registry, in order of time.

    Args:
        state: the registry.
        scores: variant → its score in the newest snapshot. The release of a variant without a score has no figures
            about scores.

    Raises:
        BadCounts: a standard error is not above 0.
    """
    released = [model for model in state.models.values() if model.released_at is not None]
    released.sort(key=lambda m: (m.released_at, m.name))
    return tuple(_release(model, state, scores) for model in released)


def best_of_n(releases: Iterable[ModelRelease]) -> tuple[Finding, ...]:
    """Return the findings about releases for which the number N of tested variants was hidden, understated or large.

    There is a finding in three cases: N was not disclosed although several variants were seen, the disclosed N is
    smaller than the number of variants seen before the release, or N is above 10. Other releases have none.
    """
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
        what += _described_score(one)
        findings.append(Finding("best_of_n", "model", one.model, direction, severity, what, None, _figures(one)))
    return tuple(findings)


def _described_score(one: ModelRelease) -> str:
    """Return the scores of a released model as the end of a sentence; "" if the model was never rated."""
    if one.raw is None or one.bounds is None:
        return ""
    if one.corrected is None or one.corrected_interval is None:
        low, high = one.bounds
        return f"; scored {one.raw:.1f}, without the winner's curse between {low:.1f} and {high:.1f}"
    low, high = one.corrected_interval
    return f"; scored {one.raw:.1f}, without the winner's curse {one.corrected:.1f} (95%: {low:.1f} to {high:.1f})"


def _release(model: RegisteredModel, state: RegistryState, scores: Mapping[str, VariantScore]) -> ModelRelease:
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
    return replace(plain, raw=score.rating, se=score.se, **_corrected(plain, score), **_shrunk(plain, scores))


def _corrected(plain: ModelRelease, score: VariantScore) -> dict[str, Any]:
    """Return the values of a release's fields that state the score without the winner's curse.

    Votes since the release reduce the curse, because they could not influence the choice of the variant.
    """
    kept, n = score.kept, plain.n
    if kept == 0:
        n, kept = 1, 1.0
    bounds = undisclosed_bounds(score.rating, n, score.se, kept=kept)
    gain = selection_gain(n, score.se / sqrt(kept), 0.0)
    if plain.disclosed_n is None and n > 1:
        return {"bounds": bounds, "gain": gain}
    found = best_of_n_interval(score.rating, n, score.se, kept=kept)
    interval = found.lower, found.upper
    return {
        "corrected": found.score, "corrected_se": found.se, "corrected_interval": interval, "bounds": bounds,
        "gain": gain,
    }  # fmt: skip


def _shrunk(plain: ModelRelease, scores: Mapping[str, VariantScore]) -> dict[str, Any]:
    rated = [scores[name] for name in plain.seen if name in scores]
    if not len(rated) == plain.n > 1:
        return {}
    place = [name for name in plain.seen if name in scores].index(plain.model)
    found = family_intervals([s.rating for s in rated], [s.se for s in rated])
    score, se, low, high = (float(column[place]) for column in (found.score, found.se, found.lower, found.upper))
    return {"shrunk": score, "shrunk_se": se, "shrunk_interval": (low, high)}


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
        "n": one.n, "raw": one.raw, "corrected": one.corrected, "corrected_interval": one.corrected_interval,
        "bounds": one.bounds, "shrunk": one.shrunk,
        "curse": one.curse if one.gain else None,
    }  # fmt: skip
