"""A provider's page of facts: what a reader may print, each figure with its definition, source and uncertainty.

A count over the whole log has no sampling error, and is told as that, with what it cannot see. A share is told as a
count, and with the interval of the drawing probability that it is an estimate of: a group's appearances a battle are 0,
1 or 2 with mean m, of variance at most m(2 − m) (`sampling`). A score has the board's 95% interval; a score without the
winner's curse the interval of `ratings.winners_curse.debiased_se`.

Laws: nothing is said of a provider that a reader with the same log and registry could not compute again; what is not
known has no number, and says why. Blind spot: variants that were never submitted under the provider's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from pipeline.audits import variants
from pipeline.audits.claims import Checked
from pipeline.audits.sampling import Ledger, Line
from pipeline.audits.variants import Release
from pipeline.registry import Contradiction, RegisteredModel, RegistryState
from pipeline.vocabulary.time import format_rfc3339
from pipeline.vocabulary.z_values import Z_95

_COMPLETE = "None: a complete count."


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure.

    Attributes:
        about: the provider, or the model that it is about.
        name: what the figure is.
        value: of it; None where it is not known.
        unit: of value and bounds.
        definition: how it is computed.
        source: what it was computed from.
        uncertainty: how far off it may be, and in what direction.
        lower, upper: 95% bounds, where it has them.
        detail: names or dates behind the figure.
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


@dataclass(frozen=True, slots=True)
class Sources:
    """What the figures call what they rest on; the page says once what each is (`jobs.audits.provider_page`)."""

    registry: str = "registry"
    votes: str = "log"
    snapshot: str = "newest snapshot"
    snapshots: str = "snapshots"


def variant_facts(provider: str, state: RegistryState, sources: Sources) -> tuple[Fact, ...]:
    """How many variants, and how many at once.

    Args:
        provider: whose.
        state: the registry as of now.
        sources: as they are to be named.
    """
    mine = _models(provider, state)
    private = [m.name for m in mine if m.visibility == "private"]
    now = variants.under_test(state).get(provider, ())
    peak = variants.most_at_once(state, provider)
    unseen = "A lower bound: a variant that was never submitted under this provider's name is not seen."

    def count(name: str, names: Sequence[str], definition: str) -> Fact:
        return Fact(
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
        Fact(
            provider, "most private variants at once", peak.most if peak else 0, "models",
            "The largest number of private variants under test at one moment, each from its submission to its "
            f"release, retraction or deprecation; more than {variants.MANY} is many, more than {variants.TOO_MANY} "
            "beyond what one public policy calls provisional.",
            sources.registry, unseen, detail=(_moment(peak.at),) if peak else (),
        ),
    )  # fmt: skip


def release_facts(provider: str, releases: Sequence[Release], sources: Sources) -> tuple[Fact, ...]:
    """Per release: N as disclosed and as seen, the score as it stands and without the winner's curse."""
    facts: list[Fact] = []
    for one in (r for r in releases if r.provider == provider):
        facts += [*_tried(one, sources), *_scored(one, sources)]
    return tuple(facts)


def share_facts(provider: str, book: Ledger | None, sources: Sources) -> tuple[Fact, ...]:
    """Share of votes, against what was declared; nothing where there was no battle."""
    if book is None:
        return ()
    places = {line.name: place for place, line in enumerate(book.providers, start=1)}
    line = next((one for one in book.providers if one.name == provider), None)
    return () if line is None else _shares(line, places[provider], book, sources)


def claim_facts(checked: Iterable[Checked], sources: Sources) -> tuple[Fact, ...]:
    """Claimed scores against reproductions, by how many percentage points they differ."""
    facts = []
    for one in checked:
        gap = one.claimed.share - one.measured.share
        half = Z_95 * sqrt(one.claimed.variance + one.measured.variance)
        facts.append(
            Fact(
                one.model, f"{one.benchmark}: claimed less measured", round(100 * gap, 2), "percentage points",
                f"Claimed {one.claimed.share:.1%} ({one.source}) less {one.measured.share:.1%} of {one.measured.n:,} "
                f"questions, as {one.evaluator} measured.", sources.registry,
                "95% bounds from both numbers of questions; another prompt or harness may explain a difference.",
                round(100 * (gap - half), 2), round(100 * (gap + half), 2),
            )
        )  # fmt: skip
    return tuple(facts)


def removal_facts(
    provider: str, state: RegistryState, removed: Mapping[str, str], falls: Mapping[str, str], sources: Sources
) -> tuple[Fact, ...]:
    """What left the board, and how.

    Args:
        provider: whose.
        state: the registry as of now.
        removed: model → how, for removals without a notice (`retraction.unannounced`).
        falls: model → what, for vote counts that fell and names that vanished between snapshots.
        sources: as they are to be named.
    """
    mine = {m.name: m for m in _models(provider, state)}
    noticed = [name for name, m in mine.items() if m.deprecated_at is not None and m.noticed]
    silent = [f"{name}: {how}" for name, how in sorted(removed.items()) if name in mine]
    fallen = [what for model, what in sorted(falls.items()) if state.key(model) in mine]
    judged = "A fact of the registry; whether a notice says the truth is not judged."
    return (
        Fact(
            provider, "models deprecated with a notice", len(noticed), "models",
            "Models whose deprecation names the address of a public notice.", sources.registry, judged,
            detail=tuple(sorted(noticed)),
        ),
        Fact(
            provider, "models removed in silence", len(silent), "models",
            "Models that were retracted after a score of theirs was published, deprecated without the address of a "
            "public notice, or hardly shown any more (at most 10 votes in 52 days) and never said to be deprecated.",
            f"{sources.registry}; {sources.votes}; {sources.snapshots}",
            "A complete count of what the registry and the log show; a notice elsewhere is not seen.",
            detail=tuple(silent),
        ),
        Fact(
            provider, "models whose published votes fell", len(fallen), "models",
            "Models whose vote count in the raw view went down from one published snapshot to the next, or whose name "
            "vanished.", sources.snapshots, _COMPLETE, detail=tuple(fallen),
        ),
    )  # fmt: skip


def contradiction_facts(provider: str, rejected: Iterable[Contradiction], sources: Sources) -> tuple[Fact, ...]:
    """Registry events by or about the provider that were refused: what somebody tried to say.

    Args:
        provider: whose.
        rejected: events about its models, or by it.
        sources: as they are to be named.
    """
    told = [f"{one.event.event_id} ({format_rfc3339(one.event.at)}): {one.reason}: {one.detail}" for one in rejected]
    return (
        Fact(
            provider, "registry events refused", len(told), "events",
            "Events about the provider's models that contradict what was known before them: the release of a variant "
            "that nobody submitted, a retraction after the release, a second owner, a name that is another model's.",
            sources.registry, "None: a complete count. An event that it rests on may still arrive and settle it.",
            detail=tuple(told),
        ),
    )  # fmt: skip


def _tried(one: Release, sources: Sources) -> tuple[Fact, ...]:
    said = "As the provider says; nobody has checked it."
    missing = "Not known: the provider disclosed no number."
    return (
        Fact(
            one.model, "variants tested, disclosed", one.disclosed_n, "variants",
            "N as the release event states it (`variants_tested`).", sources.registry,
            missing if one.disclosed_n is None else said, detail=(f"released {_moment(one.at)}",),
        ),
        Fact(
            one.model, "variants tested, seen", len(one.seen), "variants",
            "Private models of the same provider and family that were submitted before the release, the released one "
            "included; without a declared family, names of which half of the trigrams agree.", sources.registry,
            "Families by name may be wrong both ways; variants that were never submitted are not seen.",
            detail=one.seen,
        ),
    )  # fmt: skip


def _scored(one: Release, sources: Sources) -> tuple[Fact, ...]:
    if one.raw is None or one.se is None or one.corrected is None or one.corrected_se is None:
        why = "Not known: the model is not rated in the newest snapshot."
        return (
            Fact(one.model, "score", None, "points", "Rating of the defended view.", sources.snapshot, why),
        )  # fmt: skip
    facts = [
        _points(
            one.model, "score", one.raw, one.se, "Bradley-Terry rating of the defended view, 1000 the board's mean or "
            "as the anchor sets it.", sources.snapshot, "95% interval of the snapshot (sandwich, mean-zero gauge).",
        ),
        _points(
            one.model, "score without the winner's curse", one.corrected, one.corrected_se,
            f"The score less E[max of N] · s, by which the best of N = {one.n} equally good variants would lie above "
            "their common quality by luck alone, in so far as its votes are from before the release.",
            f"{sources.snapshot}; {sources.registry}",
            "95% interval. All of the gain is taken for luck (τ = 0): if the variants truly differ, it is too low.",
        ),
    ]  # fmt: skip
    if one.shrunk is not None and one.shrunk_se is not None:
        facts.append(
            _points(
                one.model, "score drawn to its family", one.shrunk, one.shrunk_se,
                f"Empirical-Bayes estimate from the scores of all {len(one.seen)} variants.", sources.snapshot,
                "95% interval; in simulation 1 to 2 points too high where all variants are equally good.",
            )
        )  # fmt: skip
    return tuple(facts)


def _points(about: str, name: str, value: float, se: float, definition: str, source: str, uncertainty: str) -> Fact:
    bounds = round(value - Z_95 * se, 2), round(value + Z_95 * se, 2)
    return Fact(about, name, round(value, 2), "points", definition, source, uncertainty, *bounds)


def _shares(line: Line, place: int, book: Ledger, sources: Sources) -> tuple[Fact, ...]:
    n, name = book.battles, line.name
    half = Z_95 * sqrt(max(line.rate * (2 - line.rate), 0.0) / n)
    drawn = (
        f"{_COMPLETE} Bounds: 95% for the rate at which the board draws this provider's models, if every battle is "
        "drawn alike."
    )
    facts = [
        Fact(
            name, "votes shown", line.appearances, "appearances",
            "Appearances of the provider's models in accepted and sealed votes; a battle between two of them counts "
            "twice.", sources.votes, f"{_COMPLETE} Late and rejected votes are not in it.",
        ),
        Fact(
            name, "share of votes", line.share, "of all appearances",
            f"Those appearances over all {2 * n:,} (two a battle).", sources.votes, drawn,
            max(line.rate - half, 0.0) / 2, min(line.rate + half, 2.0) / 2,
            (f"place {place} of {len(book.providers)} providers", f"{line.models} models with votes"),
        ),
        Fact(
            name, "peak daily rate", line.peak, "appearances a battle", "The highest rate of one day (UTC).",
            sources.votes, f"{_COMPLETE} The highest of {len(book.days)} days is high by chance too.",
            detail=(line.peak_day,),
        ),
        Fact(
            name, "concentration of the board", book.hhi, "HHI",
            "Herfindahl-Hirschman index: the sum of squared shares over providers, 1 where one has all.",
            sources.votes, _COMPLETE,
        ),
    ]  # fmt: skip
    return (*facts, *_declared(line, half, sources))


def _declared(line: Line, half: float, sources: Sources) -> tuple[Fact, ...]:
    definition = (
        "Appearances a battle that follow from the weights of the sampling policy in force, weighed by battles."
    )
    if line.declared is None or line.p_value is None:
        why = "Not known: no sampling policy was in force for a whole day."
        return (Fact(line.name, "rate declared", None, "appearances a battle", definition, sources.registry, why),)
    return (
        Fact(
            line.name, "rate declared", line.declared, "appearances a battle", definition,
            f"{sources.registry}; {sources.votes}", "None: it follows from the policy and the number of battles a day.",
        ),
        Fact(
            line.name, "rate in practice", line.rate, "appearances a battle",
            "Appearances over battles, to be held against the declared rate.", f"{sources.votes}; {sources.registry}",
            f"95% bounds; under the declared policy a rate as far off has probability {line.p_value:.2g} over all days "
            f"with a policy, and a day as far off {line.peak_p_value:.2g} (Bonferroni).",
            max(line.rate - half, 0.0), min(line.rate + half, 2.0),
        ),
    )  # fmt: skip


def _models(provider: str, state: RegistryState) -> list[RegisteredModel]:
    return [model for model in state.models.values() if model.provider == provider]


def _moment(at: int) -> str:
    return format_rfc3339(at, "seconds")
