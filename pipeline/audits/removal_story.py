"""Writes sentences about claims that do not reproduce, withdrawn scores, and unannounced removals of models."""

from collections.abc import Iterator, Sequence
from functools import partial

from pipeline.audits import claims, retraction
from pipeline.audits.finding import Finding
from pipeline.audits.sampling_pauses import SamplingPause
from pipeline.audits.story_sentences import (
    StoryCheck,
    StoryInput,
    StorySentence,
    between,
    ids_of,
    many,
    named,
    period_of,
)
from pipeline.events.registry_events import BenchmarkClaim, BenchmarkResult, Deprecated, Retracted
from pipeline.vocabulary.time import parse_rfc3339

_RENAMED = "renamed in silence"
_PERIODS = {"retracted after it was scored": "retracted after a snapshot had rated them",
            "deprecated in silence": "deprecated without a public notice after a snapshot had rated them",
            _RENAMED: "renamed without a public notice after a snapshot had rated them"}  # fmt: skip


def failed_claims(given: StoryInput) -> StoryCheck:
    """Check which claimed benchmark scores exceed independently measured scores by more than chance explains.

    The findings of the audits `perturbation_gap` and `arena_gap` are included.
    """
    found = [sentence for one in given.claims if (sentence := _claim(one, given)) is not None]
    for finding in given.findings_of("perturbation_gap", "arena_gap"):
        gap = finding.evidence["gap" if finding.audit == "perturbation_gap" else "gained"]
        events = given.events_of([finding.subject], BenchmarkResult)
        identity = finding.audit, finding.subject, finding.direction
        text = f"{finding.subject}: {finding.what}."
        found.append(
            StorySentence(
                text, round(100 * gap, 1), "percentage points", *period_of(events),
                given.state.provider_of(finding.subject), finding.subject, ids_of(events),
                p_value=finding.p_value, finding=identity,
            )
        )  # fmt: skip
    question = "Do claimed benchmark scores reproduce?"
    return StoryCheck("claims", question, len(given.claims), "claims beside a measured score", tuple(found))


def _claim(one: claims.ClaimCheck, given: StoryInput) -> StorySentence | None:
    test = claims.benchmark_claim(one.model, one.benchmark, one.claimed, one.measured)
    if not test.fires:
        return None
    events = [
        event
        for event in given.events_of([one.model], BenchmarkClaim, BenchmarkResult)
        if isinstance(event, BenchmarkClaim | BenchmarkResult) and event.benchmark == one.benchmark
    ]
    since, until = period_of(events)
    provider = given.state.provider_of(one.model)
    gap = round(100 * test.gap, 1)
    text = (
        f"{one.model} was claimed to solve {one.claimed.share:.1%} of {one.benchmark} ({one.source}); {one.evaluator} "
        f"measured {one.measured.share:.1%} of {one.measured.n:,} questions: {gap:.1f} percentage points fewer."
    )
    identity = "benchmark_claim", one.model, f"claims too much on {one.benchmark}"
    return StorySentence(
        text, gap, "percentage points", since, until, provider, one.model, ids_of(events), p_value=test.p_value,
        finding=identity,
    )  # fmt: skip


def withdrawn_scores(given: StoryInput) -> StoryCheck:
    """Check which scores of private variants and public models were withdrawn, and which vote counts fell."""
    findings = list(given.findings_of(retraction.AUDIT))
    found = [*_withdrawn_variants(findings, given), *_withdrawn_models(findings, given), *_falls(findings, given)]
    question = "Was a score withdrawn, or did a published vote count fall?"
    return StoryCheck("withdrawn_scores", question, given.scored, "models that a snapshot rated", tuple(found))


def _by_provider(findings: Sequence[Finding], given: StoryInput) -> dict[str | None, list[str]]:
    """Return provider → the subjects of these findings, sorted. The key None is for subjects of unknown provider."""
    found: dict[str | None, set[str]] = {}
    for one in findings:
        found.setdefault(given.state.provider_of(one.subject), set()).add(one.subject)
    return {provider: sorted(found[provider]) for provider in sorted(found, key=lambda one: (one is None, one or ""))}


def _withdrawn_variants(findings: Sequence[Finding], given: StoryInput) -> Iterator[StorySentence]:
    private = [
        one
        for one in findings
        if "event" in one.evidence and one.direction != _RENAMED and given.is_private(one.subject)
    ]
    ids = {one.evidence["event"] for one in private}
    for provider, models in _by_provider(private, given).items():
        events = [one for one in given.events_of(models, Retracted, Deprecated) if one.event_id in ids]
        since, until = period_of(events)
        verb = "was" if len(models) == 1 else "were"
        text = (
            f"{many(len(models), 'private variant')} of {provider or 'unknown providers'} {verb} tested with votes and "
            f"withdrawn {between(since, until)}; {'it was' if len(models) == 1 else 'they were'} never released."
        )
        yield StorySentence(text, len(models), "private variants", since, until, provider, events=ids_of(events))


def _withdrawn_models(findings: Sequence[Finding], given: StoryInput) -> Iterator[StorySentence]:
    for direction, how in _PERIODS.items():
        mine = [one for one in findings if one.direction == direction and not given.is_private(one.subject)]
        events_of: dict[str, list[str]] = {}
        for one in mine:
            events_of.setdefault(one.subject, []).append(str(one.evidence["event"]))
        for provider, models in _by_provider(mine, given).items():
            events = tuple(sorted((e for m in models for e in events_of[m]), key=lambda e: (given.time_of[e], e)))
            since, until = given.time_of[events[0]], given.time_of[events[-1]]
            verb = "was" if len(models) == 1 else "were"
            what = how.replace("rated them", "rated it") if len(models) == 1 else how
            text = (
                f"{many(len(models), 'model')} of {provider or 'unknown providers'} {verb} {what}, "
                f"{between(since, until)}: {named(models)}."
            )
            only = models[0] if len(models) == 1 else None
            identity = (retraction.AUDIT, models[0], direction) if only else None
            yield StorySentence(text, len(models), "models", since, until, provider, only, events, finding=identity)


def _falls(findings: Sequence[Finding], given: StoryInput) -> Iterator[StorySentence]:
    for one in findings:
        if "before" in one.evidence and not given.is_private(given.state.first_name(one.subject)):
            before, after = one.evidence["before"], one.evidence["after"]
            places = tuple(int(str(one.evidence[end]).rpartition(" ")[2]) for end in ("from", "to"))
            left = f"{before:,} votes are gone" if after is None else f"{before - after:,} votes are gone"
            yield StorySentence(
                f"{one.what}: {left}.", before - (after or 0), "votes", None, None,
                given.state.provider_of(one.subject), one.subject, snapshots=places,
                finding=(one.audit, one.subject, one.direction),
            )  # fmt: skip


def silent_removals(given: StoryInput) -> StoryCheck:
    """Check how many models were removed without a public notice, on the whole board and by provider.

    Models that were not shown for a time before any notice get a sentence each.
    """
    public, models = given.public, given.state.models
    silent = sorted(public & given.removals.keys())
    noticed = [
        n for n in public - given.removals.keys() if models[n].deprecated_at is not None and models[n].notice_given
    ]
    found: list[StorySentence] = []
    if silent:
        events = given.events_of(silent, Deprecated, Retracted)
        since, until = period_of(events)
        gone = len(silent) + len(noticed)
        text = (
            f"Of {many(len(public), 'public model')}, {gone:,} {'was' if gone == 1 else 'were'} removed: "
            f"{len(noticed):,} with a public notice, {len(silent):,} in silence.{_besides(given)}"
        )
        all_events = given.events_of([*silent, *noticed], Deprecated, Retracted)
        found.append(StorySentence(text, len(silent), "models", since, until, events=ids_of(all_events)))
        found += _of_providers(silent, public, given)
    found += map(partial(_pause, given), sorted(given.pauses.values(), key=lambda one: (one.first, one.model)))
    question = "Were models removed without a public notice?"
    return StoryCheck("silent_removals", question, len(public), "public models", tuple(found))


def _besides(given: StoryInput) -> str:
    """Return a sentence about private variants that the policy also counts as removed; "" if there are none."""
    private = sum(map(given.is_private, given.removals))
    return f" The policy also counts {many(private, 'withdrawn private variant')}." if private else ""


def _of_providers(silent: Sequence[str], public: frozenset[str], given: StoryInput) -> Iterator[StorySentence]:
    by_provider: dict[str | None, list[str]] = {}
    for model in silent:
        by_provider.setdefault(given.state.models[model].provider, []).append(model)
    for provider, models in sorted(by_provider.items(), key=lambda one: (-len(one[1]), one[0] or "")):
        listed = sum(given.state.models[name].provider == provider for name in public)
        events = given.events_of(models, Deprecated, Retracted)
        since, until = period_of(events)
        when = f" {between(since, until)}" if since is not None else ""
        known = (given.state.models[name] for name in models)
        unseen = sum(one.deprecated_at is None and one.retracted_at is None for one in known)
        rest = f" {unseen:,} of them without any registry event: voters are no longer shown them." if unseen else ""
        text = (
            f"{len(models):,} of the {many(listed, 'public model')} of {provider or 'unknown providers'} "
            f"{'was' if len(models) == 1 else 'were'} removed in silence{when}: {named(models)}.{rest}"
        )
        places = (given.snapshot,) if unseen else ()
        yield StorySentence(text, len(models), "models", since, until, provider, None, ids_of(events), places)


def _pause(given: StoryInput, pause: SamplingPause) -> StorySentence:
    model, provider = pause.model, given.state.provider_of(pause.model)
    events = given.events_of([model], Deprecated, Retracted)
    end = "then they were shown it again" if pause.shown_again else "only then was its removal announced"
    votes = f"had {many(pause.votes, 'vote')}" if pause.votes else "had no vote"
    text = (
        f"Voters were not shown {model} of {provider or 'an unknown provider'} from {pause.first} to {pause.last} UTC, "
        f"without a notice: it {votes} in {pause.days} days on which others had votes, {end}."
    )
    since, until = (parse_rfc3339(f"{day}T00:00:00Z") for day in (pause.first, pause.last))
    return StorySentence(text, pause.days, "days", since, until, provider, model, ids_of(events), (given.snapshot,))


def nothing_seen(check: StoryCheck) -> str:
    """Return the sentence for a check that found nothing.

    >>> nothing_seen(StoryCheck("claims", "?", 0, "claims", ()))
    'Nothing could be examined: there are 0 claims.'
    >>> nothing_seen(StoryCheck("claims", "?", 4, "claims", ()))
    'Nothing of this kind was seen among 4 claims.'
    """
    if not check.examined:
        return f"Nothing could be examined: there are 0 {check.unit}."
    return f"Nothing of this kind was seen among {check.examined:,} {check.unit}."
