"""Computes facts about models of a provider that were removed or not shown, and about refused registry events."""

from collections.abc import Iterable, Mapping

from pipeline.audits.facts import COMPLETE_COUNT, FactSources, ProviderFact, models_of
from pipeline.registry import Contradiction, RegistryState
from pipeline.vocabulary.time import format_rfc3339


def removal_facts(
    provider: str, state: RegistryState, removed: Mapping[str, str], falls: Mapping[str, str], sources: FactSources
) -> tuple[ProviderFact, ...]:
    """Return facts about models that were removed with or without a notice, and about vote counts that fell.

    Args:
        provider: name of the provider.
        state: the registry.
        removed: model → description of its removal without a notice (`retraction.unannounced_removals`).
        falls: model → description of a vote count that fell, or of the model's absence from a later snapshot.
        sources: names of the data sources.
    """
    mine = {m.name: m for m in models_of(provider, state)}
    noticed = [name for name, m in mine.items() if m.deprecated_at is not None and m.notice_given]
    silent = [f"{name}: {how}" for name, how in sorted(removed.items()) if name in mine]
    fallen = [what for model, what in sorted(falls.items()) if state.first_name(model) in mine]
    unchecked = "A fact of the registry; the content of a notice is not checked."
    return (
        ProviderFact(
            provider, "models deprecated with a notice", len(noticed), "models",
            "Models whose deprecation names the address of a public notice.", sources.registry, unchecked,
            detail=tuple(sorted(noticed)),
        ),
        ProviderFact(
            provider, "models removed in silence", len(silent), "models",
            "Models that were retracted after a score of theirs was published, deprecated without the address of a "
            "public notice, or not shown any more (at most 10 votes in 52 days) without a deprecation event.",
            f"{sources.registry}; {sources.votes}; {sources.snapshots}",
            "A complete count of what the registry and the log show; a notice elsewhere is not seen.",
            detail=tuple(silent),
        ),
        ProviderFact(
            provider, "models whose published votes fell", len(fallen), "models",
            "Models whose vote count in the raw view went down from one published snapshot to the next, or whose name "
            "vanished.", sources.snapshots, COMPLETE_COUNT, detail=tuple(fallen),
        ),
    )  # fmt: skip


def pause_fact(provider: str, state: RegistryState, paused: Mapping[str, str], sources: FactSources) -> ProviderFact:
    """Return a fact about models that were not shown for a time, before any notice.

    Args:
        provider: name of the provider.
        state: the registry.
        paused: model → description of the period (`sampling_pauses`). Models that were removed without a notice are
            counted by `removal_facts` and are not among these.
        sources: names of the data sources.
    """
    mine = {m.name for m in models_of(provider, state)}
    detail = tuple(f"{name}: {how}" for name, how in sorted(paused.items()) if name in mine)
    return ProviderFact(
        provider, "models not shown for a time", len(detail), "models",
        "Public models that had at most 10 votes in 52 days or more on which the board had votes, before any notice; "
        "chance is ruled out (p ≤ 10⁻⁸). Models removed in silence are not counted again.",
        f"{sources.registry}; {sources.votes}",
        "A complete count of what the registry and the log show; a notice elsewhere is not seen.", detail=detail,
    )  # fmt: skip


def contradiction_facts(
    provider: str, rejected: Iterable[Contradiction], sources: FactSources
) -> tuple[ProviderFact, ...]:
    """Return a fact about registry events that were rejected because they contradict earlier events.

    `rejected` are the contradictory events of the provider.
    """
    listed = [f"{one.event.event_id} ({format_rfc3339(one.event.at)}): {one.reason}: {one.detail}" for one in rejected]
    return (
        ProviderFact(
            provider, "registry events refused", len(listed), "events",
            "Events about the provider's models that contradict earlier events: the release of a variant that was "
            "never submitted, a retraction after the release, a second owner, a name of another model.",
            sources.registry, "None: a complete count. A missing earlier event may settle a contradiction.",
            detail=tuple(listed),
        ),
    )  # fmt: skip
