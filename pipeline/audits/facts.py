"""Computes facts about a provider: figures with their definition, source and uncertainty.

The uncertainty depends on the kind of figure. A count over the whole log has no sampling error. A share of a group of
models has the 95% interval of the probability that a battle draws a model of the group. A battle has 0, 1 or 2 models
of the group; with mean m, the variance of this number is at most m(2 − m) (`sampling`). A score has the board's 95%
interval. A score without the winner's curse has the interval of `ratings.selection_intervals`.

A reader with the same log and registry can compute every figure again. An unknown figure is None, with the reason.

Blind spot: variants that were never submitted under the provider's name.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

from pipeline.audits import variants
from pipeline.audits.claims import ClaimCheck
from pipeline.audits.model_releases import ModelRelease
from pipeline.registry import RegisteredModel, RegistryState
from pipeline.vocabulary.time import format_rfc3339
from pipeline.vocabulary.z_values import Z_95

COMPLETE_COUNT = "None: a complete count."
"""The text for the uncertainty of a count over the whole log."""


@dataclass(frozen=True, slots=True)
class ProviderFact:
    """One figure about a provider or a model.

    Attributes:
        about: the provider or the model that the figure is about.
        name: name of the figure.
        value: the figure; None if it is not known.
        unit: unit of `value`, `lower` and `upper`.
        definition: how the figure is computed.
        source: the data from which the figure was computed.
        uncertainty: size and direction of the possible error of the figure.
        lower: lower 95% bound; None if the figure has no bounds.
        upper: upper 95% bound; None if the figure has no bounds.
        detail: names or dates that the figure was computed from.
    """

    about: str
    name: str
    value: float | int | None
    unit: str
    definition: str
    source: str
    uncertainty: str
    lower: float | None = None
    upper: float | None = None
    detail: tuple[str, ...] = ()


def format_figure(value: float | None, unit: str) -> str:
    """Format the value of a `ProviderFact` for people: shares in per cent, counts with thousands separators.

    >>> format_figure(0.209096, "of all appearances"), format_figure(1234, "models"), format_figure(0.08731, "a battle")
    ('20.9%', '1,234', '0.08731')
    >>> format_figure(9.9999, "points"), format_figure(10.0, "points"), format_figure(1234.56, "points")
    ('10', '10.0', '1,234.6')
    """
    if value is None:
        return "not known"
    if unit.startswith("of "):
        return f"{value:.1%}"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.4g}"


@dataclass(frozen=True, slots=True)
class FactSources:
    """Names of the data sources from which facts are computed. The page of a provider explains each name once."""

    registry: str = "registry"
    votes: str = "log"
    snapshot: str = "newest snapshot"
    snapshots: str = "snapshots"


def variant_facts(provider: str, state: RegistryState, sources: FactSources) -> tuple[ProviderFact, ...]:
    """Return facts about a provider's private variants: how many in total, how many now, and the most at the same time.

    Args:
        provider: name of the provider.
        state: the registry.
        sources: names of the data sources.
    """
    mine = models_of(provider, state)
    private = [m.name for m in mine if m.visibility == "private"]
    now = variants.variants_under_test(state).get(provider, ())
    peak = variants.peak_variants(state).get(provider)
    unseen = "A lower bound: a variant that was never submitted under this provider's name is not seen."

    def count(name: str, names: Sequence[str], definition: str) -> ProviderFact:
        return ProviderFact(
            provider, name, len(names), "models", definition, sources.registry, unseen, detail=tuple(sorted(names))
        )

    return (
        count(
            "models registered", [m.name for m in mine], "Models that the provider submitted, under their first name."
        ),
        count("private variants", private, "Models submitted as `private`: shown to voters, not to readers."),
        count(
            "private variants under test now", now,
            "Private variants that are neither released nor retracted nor deprecated.",
        ),
        ProviderFact(
            provider, "most private variants at once", peak.most if peak else 0, "models",
            "The largest number of private variants under test at one moment, each from its submission to its "
            f"release, retraction or deprecation; more than {variants.MANY} is many, more than {variants.TOO_MANY} "
            "beyond what one public policy calls provisional.",
            sources.registry, unseen, detail=(_moment(peak.at),) if peak else (),
        ),
    )  # fmt: skip


def release_facts(provider: str, releases: Sequence[ModelRelease], sources: FactSources) -> tuple[ProviderFact, ...]:
    """Return facts about each release of a provider.

    The facts are the number of variants that the provider disclosed, the number of variants that were seen before the
    release, and two scores: with and without the winner's curse (the luck in the score of the best of several
    variants).

    Args:
        provider: name of the provider.
        releases: the releases of all providers.
        sources: names of the data sources.
    """
    facts: list[ProviderFact] = []
    for one in (r for r in releases if r.provider == provider):
        facts += [*_tried(one, sources), *_scored(one, sources)]
    return tuple(facts)


def claim_facts(checked: Iterable[ClaimCheck], sources: FactSources) -> tuple[ProviderFact, ...]:
    """Return a fact for each checked claim: claimed score minus measured score, in percentage points."""
    facts = []
    for one in checked:
        gap = one.claimed.share - one.measured.share
        half = Z_95 * sqrt(one.claimed.variance + one.measured.variance)
        facts.append(
            ProviderFact(
                one.model, f"{one.benchmark}: claimed less measured", round(100 * gap, 2), "percentage points",
                f"Claimed {one.claimed.share:.1%} ({one.source}) less {one.measured.share:.1%} of {one.measured.n:,} "
                f"questions, as {one.evaluator} measured.", sources.registry,
                "95% bounds from both numbers of questions; another prompt or harness may explain a difference.",
                round(100 * (gap - half), 2), round(100 * (gap + half), 2),
            )
        )  # fmt: skip
    return tuple(facts)


def _tried(one: ModelRelease, sources: FactSources) -> tuple[ProviderFact, ...]:
    disclosed = "As the provider states it; not checked."
    missing = "Not known: the provider disclosed no number."
    return (
        ProviderFact(
            one.model, "variants tested, disclosed", one.disclosed_n, "variants",
            "N as the release event states it (`variants_tested`).", sources.registry,
            missing if one.disclosed_n is None else disclosed, detail=(f"released {_moment(one.at)}",),
        ),
        ProviderFact(
            one.model, "variants tested, seen", len(one.seen), "variants",
            "Private models of the same provider and family that were submitted before the release, the released one "
            "included; without a declared family, names of which half of the trigrams agree.", sources.registry,
            "Families by name may be wrong both ways; variants that were never submitted are not seen.",
            detail=one.seen,
        ),
    )  # fmt: skip


def _scored(one: ModelRelease, sources: FactSources) -> tuple[ProviderFact, ...]:
    if one.raw is None or one.se is None or one.bounds is None:
        why = "Not known: the model is not rated in the newest snapshot."
        return (
            ProviderFact(one.model, "score", None, "points", "Rating of the defended view.", sources.snapshot, why),
        )  # fmt: skip
    half = Z_95 * one.se
    facts = [
        _points(
            one.model, "score", one.raw, (one.raw - half, one.raw + half), "Bradley-Terry rating of the defended view, "
            "1000 the board's mean or as the anchor sets it.", sources.snapshot,
            "95% interval of the snapshot (sandwich, mean-zero gauge). It does not allow for the choice of the best of "
            "several variants.",
        ),
        _without_curse(one, sources),
    ]  # fmt: skip
    if one.shrunk is not None and one.shrunk_interval is not None:
        facts.append(
            _points(
                one.model, "score drawn to its family", one.shrunk, one.shrunk_interval,
                f"Bayesian estimate from the scores of all {len(one.seen)} variants.", sources.snapshot,
                "95% interval over all spreads of the variants' true quality; their qualities are taken as normal.",
            )
        )  # fmt: skip
    return tuple(facts)


def _without_curse(one: ModelRelease, sources: FactSources) -> ProviderFact:
    """Return the fact about the score without the winner's curse, or about its bounds if N was not disclosed."""
    name, of = "score without the winner's curse", f"{sources.snapshot}; {sources.registry}"
    if one.corrected is not None and one.corrected_interval is not None:
        return _points(
            one.model, name, one.corrected, one.corrected_interval,
            f"The score less what the choice of the best of N = {one.n} variants adds by luck, in so far as its votes "
            "are from before the release. How much the variants truly differ is not known; the estimate averages over "
            "it.", of,
            "95% interval over all spreads of the variants' true quality. N is what the provider disclosed, or the "
            "number seen where that is larger; if more were tested, the score is too high.",
        )  # fmt: skip
    low, high = one.bounds or (None, None)
    return ProviderFact(
        one.model, name, None, "points",
        f"Not one figure: N was not disclosed, {len(one.seen)} variants were seen. Lower bound: they are equally good, "
        "and the best one scored by luck. Upper bound: the score is not luck at all.", of,
        "Bounds, not an interval: the statistical error of the score comes on top, and with more variants than were "
        "seen the lower bound is lower.",
        None if low is None else round(low, 2), None if high is None else round(high, 2),
    )  # fmt: skip


def _points(
    about: str, name: str, value: float, bounds: tuple[float, float], definition: str, source: str, uncertainty: str
) -> ProviderFact:
    low, high = bounds
    return ProviderFact(
        about, name, round(value, 2), "points", definition, source, uncertainty, round(low, 2), round(high, 2)
    )


def models_of(provider: str, state: RegistryState) -> list[RegisteredModel]:
    """Return the models of a provider."""
    return [model for model in state.models.values() if model.provider == provider]


def _moment(at: int) -> str:
    return format_rfc3339(at, "seconds")
