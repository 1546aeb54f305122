"""Writes sentences about private variants: how many were tested at once, and which of them were released."""

from collections.abc import Iterator
from typing import Any

from pipeline.audits import variants, version_mismatch
from pipeline.audits.model_releases import ModelRelease
from pipeline.audits.story_sentences import (
    StoryCheck,
    StoryInput,
    StorySentence,
    between,
    day,
    ids_of,
    many,
    named,
    period_of,
)
from pipeline.audits.variants import ConcurrentVariants
from pipeline.events.registry_events import Deprecated, Released, Retracted, Submitted


def concurrent_variants(given: StoryInput) -> StoryCheck:
    """Check which providers had many private variants under test at the same time."""
    peaks = variants.peak_variants(given.state)
    found = [one for name, peak in peaks.items() if peak.most > variants.MANY for one in _at_once(name, peak, given)]
    private = sum(one.visibility == "private" for one in given.state.models.values())
    question = "Did a provider test many private variants at the same time?"
    return StoryCheck("variants_at_once", question, private, "private variants", tuple(found))


def _at_once(provider: str, peak: ConcurrentVariants, given: StoryInput) -> Iterator[StorySentence]:
    submitted = given.events_of(peak.names, Submitted)
    first, last = period_of(submitted)
    text = (
        f"{provider} had {many(peak.most, 'private variant')} under test at the same time on {day(peak.at)}, submitted "
        f"{between(first, last)}; more than {variants.MANY} count as many."
    )
    finding = "variant_churn", provider, "private variants"
    yield StorySentence(
        text, peak.most, "private variants", peak.at, peak.at, provider, events=ids_of(submitted), finding=finding
    )
    public = variants.release_times(given.state)
    released = [name for name in peak.names if name in public]
    over = given.events_of((n for n in peak.names if n not in public), Retracted, Deprecated)
    withdrawn = {given.state.first_name(one.model) for one in over if isinstance(one, Retracted | Deprecated)}
    yield _released(provider, released, peak, given)
    if withdrawn:
        since, until = period_of(over)
        verb = "was" if len(withdrawn) == 1 else "were"
        when = between(since, until)
        text = f"{len(withdrawn):,} of {_tested(provider, peak)} {verb} withdrawn without a release {when}."
        yield StorySentence(text, len(withdrawn), "private variants", since, until, provider, events=ids_of(over))
    still = [name for name in peak.names if name not in public and name not in withdrawn]
    if still:
        verb = "is" if len(still) == 1 else "are"
        text = f"{len(still):,} of {_tested(provider, peak)} {verb} still under test, and not named before the release."
        submitted = given.events_of(still, Submitted)
        yield StorySentence(
            text, len(still), "private variants", *period_of(submitted), provider, events=ids_of(submitted)
        )


def _tested(provider: str, peak: ConcurrentVariants) -> str:
    return f"the {many(peak.most, 'private variant')} that {provider} had under test at once"


def _released(provider: str, released: list[str], peak: ConcurrentVariants, given: StoryInput) -> StorySentence:
    if not released:
        submitted = given.events_of(peak.names, Submitted)
        text = f"0 of {_tested(provider, peak)} were released."
        return StorySentence(text, 0, "private variants", *period_of(submitted), provider, events=ids_of(submitted))
    events = given.events_of(released, Released)
    since, until = period_of(events)
    verb = "was" if len(released) == 1 else "were"
    text = f"{len(released):,} of {_tested(provider, peak)} {verb} released {between(since, until)}: {named(released)}."
    return StorySentence(text, len(released), "private variants", since, until, provider, events=ids_of(events))


def best_variants(given: StoryInput) -> StoryCheck:
    """Check each release: number of variants, whether the number was disclosed, how much luck adds to the score."""
    chosen = [one for one in given.releases if one.n > 1]
    found = tuple(sentence for one in chosen for sentence in _choice(one, given))
    question = "Was a released model chosen from several variants?"
    return StoryCheck("best_variant_shown", question, len(given.releases), "releases", found)


def _choice(one: ModelRelease, given: StoryInput) -> Iterator[StorySentence]:
    released = given.events_of([one.model], Released)
    events = ids_of([*given.events_of(one.seen, Submitted), *released])
    as_other = "" if one.released_as == one.model else f" as {one.released_as}"
    if one.disclosed_n is None:
        told = "it did not disclose how many it had tested"
    else:
        told = f"it disclosed {one.disclosed_n:,}"
    text = (
        f"{one.provider or 'An unknown provider'} released {one.model}{as_other} on {day(one.at)}. The registry shows "
        f"{many(len(one.seen), 'private variant')} of it up to then, and {told}."
    )
    finding = "best_of_n", one.model, _direction(one)
    common: dict[str, Any] = {"since": one.at, "until": one.at, "provider": one.provider, "model": one.model}
    yield StorySentence(text, len(one.seen), "private variants", events=events, finding=finding, **common)
    rated = sorted((name for name in one.seen if name in given.ratings), key=lambda name: -given.ratings[name])
    if one.model in rated and len(rated) > 1:
        place = rated.index(one.model) + 1
        text = (
            f"Of the {len(rated):,} variants behind {one.released_as} that the newest snapshot rates, {one.model} is "
            f"number {place}, with {given.ratings[one.model]:,.1f} points."
        )
        yield StorySentence(text, place, f"place among {len(rated):,} variants", snapshots=(given.snapshot,), **common)
    if one.raw is not None and one.bounds is not None and one.curse > 0:
        yield _luck(one, given)


def _luck(one: ModelRelease, given: StoryInput) -> StorySentence:
    """Return the sentence about the part of a score that the choice among several variants adds by luck."""
    if one.corrected is not None and one.corrected_interval is not None:
        low, high = one.corrected_interval
        fair = f"{one.corrected:,.1f} (95% interval {low:,.1f} to {high:,.1f})"
        luck = f"About {one.curse:,.1f}"
    else:
        fair = f"between {(one.bounds or (0, 0))[0]:,.1f} and {(one.bounds or (0, 0))[1]:,.1f}"
        luck = f"Up to {one.curse:,.1f}"
    text = (
        f"{luck} of the {one.raw or 0:,.1f} points of {one.model} are luck of the choice among {one.n:,} variants: "
        f"without it, its score would be {fair}."
    )
    return StorySentence(
        text, round(one.curse, 1), "points", one.at, one.at, one.provider, one.model,
        snapshots=(given.snapshot,),
    )  # fmt: skip


def _direction(one: ModelRelease) -> str:
    """Return the text in the field `direction` of the finding `best_of_n` about a release."""
    if one.disclosed_n is None and len(one.seen) > 1:
        return "N not disclosed"
    too_low = one.disclosed_n is not None and one.disclosed_n < len(one.seen)
    return "N disclosed too low" if too_low else "large N"


def released_models(given: StoryInput) -> StoryCheck:
    """Check for each release how the released model differs from the one that was tested."""
    found = tuple(sentence for one in given.releases for sentence in _differences(one, given))
    question = "Was another model released than the one that was tested?"
    return StoryCheck("other_model_released", question, len(given.releases), "releases", found)


def _differences(one: ModelRelease, given: StoryInput) -> Iterator[StorySentence]:
    mine = [f for f in given.findings_of(version_mismatch.AUDIT) if f.subject in (one.released_as, one.model)]
    events = ids_of(given.events_of([one.model, one.released_as], Submitted, Released))
    styles = [f for f in mine if f.direction.startswith("another style")]
    for finding in mine:
        figures, identity = finding.evidence, (finding.audit, finding.subject, finding.direction)
        common: dict[str, Any] = {"since": one.at, "until": one.at, "provider": one.provider, "model": one.released_as,
                  "events": events, "p_value": finding.p_value, "finding": identity}  # fmt: skip
        if finding.direction == "another checkpoint":
            text = (
                f"{one.released_as} was released on {day(one.at)} with the checkpoint {figures['released']}; 1 other "
                f"checkpoint, {figures['tested']}, had been tested as {one.model}."
            )
            yield StorySentence(text, 1, "other checkpoint", **common)
        elif finding not in styles:
            gap = figures["tested_rating"] - figures["released_rating"]
            text = (
                f"{one.model}, which was tested, has {figures['tested_rating']:,.1f} points"
                f"{_at_place(figures['tested_rank'])}; {one.released_as}, which was released on {day(one.at)}, has "
                f"{figures['released_rating']:,.1f}{_at_place(figures['released_rank'])}: {abs(gap):,.1f} points "
                f"{'fewer' if gap > 0 else 'more'}."
            )
            yield StorySentence(text, round(abs(gap), 1), "points", snapshots=(given.snapshot,), **common)
    if styles:
        features = ", ".join(str(f.evidence["feature"]) for f in styles)
        text = (
            f"Answers of {one.released_as} differ from those of {one.model} in {many(len(styles), 'feature')} of "
            f"style: {features}."
        )
        yield StorySentence(
            text, len(styles), "features of style", one.at, one.at, one.provider, one.released_as, events,
            (given.snapshot,),
        )  # fmt: skip


def _at_place(rank: int | None) -> str:
    return "" if rank is None else f" (#{rank:,})"
