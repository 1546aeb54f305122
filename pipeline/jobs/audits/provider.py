"""A provider's page of facts, from one look at a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.audits import facts, policy
from pipeline.audits.finding import Finding
from pipeline.errors import BadCounts, Usage
from pipeline.jobs.audits.audit_input import Gathered, gather
from pipeline.jobs.audits.board_audits import OF_PROVIDERS, run
from pipeline.jobs.audits.registry_audits import checked_claims, falls
from pipeline.jobs.audits.sweep import document, removals
from pipeline.jobs.open_store import opened
from pipeline.registry import Contradiction
from pipeline.vocabulary.time import format_rfc3339


def provider(store: str, name: str) -> dict[str, Any]:
    """All that the store's registry, votes and snapshots say of one provider.

    Args:
        store: its URL.
        name: as the registry spells it.

    Returns:
        {"provider", "as_of", "sources", "facts", "findings"}: facts as `audits.facts.Fact` (its name as "fact"),
        findings of the sweep about the provider or its models.

    Raises:
        Usage: the registry knows no such provider; names those that it knows.
    """
    with opened(store) as it, it.read() as connection:
        given = gather(connection)
    known = _known(given)
    if name not in known:
        told = ", ".join(known) or "none: the registry is empty"
        raise Usage(f"expected a provider that the registry knows ({told}), got {name!r}")
    return _page(name, given, run(given, OF_PROVIDERS)[0])


def every_provider(connection: Connection) -> dict[str, dict[str, Any]]:
    """The page of every provider that the registry knows, by name: one look and one run of the audits for all."""
    given = gather(connection)
    known = _known(given)
    found = run(given, OF_PROVIDERS)[0] if known else []
    return {name: _page(name, given, found) for name in known}


def _known(given: Gathered) -> list[str]:
    return sorted({model.provider for model in given.state.models.values() if model.provider})


def _page(name: str, given: Gathered, found: Sequence[Finding]) -> dict[str, Any]:
    sources = facts.Sources()
    mine = {model.name for model in given.state.models.values() if model.provider == name}
    return {
        "provider": name,
        "as_of": format_rfc3339(given.at),
        "sources": _sources(given),
        "facts": [_document(fact) for fact in _facts(name, given, sources)],
        "findings": [document(one) for one in found if one.subject == name or given.state.key(one.subject) in mine],
    }


def _document(fact: facts.Fact) -> dict[str, Any]:
    told = asdict(fact)
    return {"about": told.pop("about"), "fact": told.pop("name"), **told}


def _facts(name: str, given: Gathered, sources: facts.Sources) -> tuple[facts.Fact, ...]:
    try:
        book = given.book
    except BadCounts:
        book = None  # no battle yet
    removed = removals(given, policy.RULES["public_removal"])
    fallen = {one.subject: one.what for one in falls(given)}
    return (
        *facts.variant_facts(name, given.state, sources),
        *facts.release_facts(name, given.releases, sources),
        *facts.share_facts(name, book, sources),
        *facts.claim_facts((one for one in checked_claims(given) if given.state.provider(one.model) == name), sources),
        *facts.removal_facts(name, given.state, removed, fallen, sources),
        *facts.contradiction_facts(name, (one for one in given.registry.rejected if _about(name, one, given)), sources),
    )


def _about(name: str, one: Contradiction, given: Gathered) -> bool:
    """Whether a refused event is about a provider's model, or by the provider."""
    model, by = getattr(one.event, "model", None), getattr(one.event, "provider", None)
    return by == name or (model is not None and given.state.provider(model) == name)


def _sources(given: Gathered) -> dict[str, str]:
    """What each name of a source in the facts stands for, so that a reader can find and check it."""
    events, newest = len(given.events), max((event.at for event in given.events), default=None)
    named, snapshot = facts.Sources(), "none is published"
    if given.snapshot is not None:
        at = format_rfc3339(given.snapshot.published_at or 0, "seconds")
        snapshot = f"{given.snapshot.snapshot_id}, number {given.snapshot.sequence}, published {at}, defended view"
    accepted = len(given.votes.voter)
    return {
        named.registry: f"{events:,} events" + (f" up to {format_rfc3339(newest)}" if newest else ""),
        named.votes: f"{given.log_size:,} sealed votes with root {given.log_digest}, {accepted:,} accepted",
        named.snapshot: snapshot,
        named.snapshots: f"the {given.published:,} that are published, raw view",
    }
