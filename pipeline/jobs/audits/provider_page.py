"""Builds the page of facts about a provider from data that one transaction reads from a store."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.audits import facts, policy, removal_facts, share_facts
from pipeline.audits.finding import Finding
from pipeline.errors import BadCounts, Usage
from pipeline.jobs.audits.audit_input import AuditInput, read_audit_input
from pipeline.jobs.audits.board_audits import PROVIDER_AUDITS, run_audits
from pipeline.jobs.audits.registry_audits import checked_claims, vote_decreases
from pipeline.jobs.audits.removals import unannounced_pauses, unannounced_removals
from pipeline.jobs.audits.sweep import finding_as_json
from pipeline.open_store import existing_store, now
from pipeline.registry import Contradiction
from pipeline.store.boards.hidden_models import read_hidden_models
from pipeline.store.votes import registry_events
from pipeline.vocabulary.time import format_rfc3339


def provider_page(url: str, name: str, *, public: bool = True) -> dict[str, Any]:
    """Return the page of facts about one provider.

    Args:
        url: address of the store.
        name: name of the provider in the registry.
        public: whether the page is for the public. A public page does not name models under test, and only counts the
            facts about them.

    Returns:
        {"provider", "as_of", "sources", "facts", "findings"}. "as_of" is the time of the newest vote or registry event,
        and "sources" describes the data. A fact has the fields of `audits.facts.ProviderFact`, with "fact" instead of
        "name". "findings" lists the findings about the provider or its models from the audits in PROVIDER_AUDITS. A
        public page also has "facts_under_test", the number of facts that are left out.

    Raises:
        Usage: the registry has no such provider; the message lists the known providers.
    """
    with existing_store(url) as store, store.read() as connection:
        given = read_audit_input(connection, voters=False)
        hidden = read_hidden_models(connection, now())
    providers = _providers(given)
    if name not in providers:
        known = ", ".join(providers) or "none: the registry is empty"
        raise Usage(f"expected a provider that the registry knows ({known}), got {name!r}")
    page = _page(name, given, run_audits(given, PROVIDER_AUDITS)[0])
    return hidden.provider_page(page) if public else page


@dataclass(frozen=True, slots=True)
class ProviderAudits:
    """What the audits of providers found, and the data that they read.

    Attributes:
        given: the input of the audits, without voters.
        findings: the findings of the audits in PROVIDER_AUDITS.
    """

    given: AuditInput
    findings: Sequence[Finding]


def audit_providers(connection: Connection) -> ProviderAudits | None:
    """Run the audits of providers on data that is read once. Returns None if the registry names no provider."""
    events, _ = registry_events.read_since(connection, 0)
    if not any(getattr(event, "provider", None) for event in events):
        return None  # a store without providers need not be read
    given = read_audit_input(connection, voters=False)
    return ProviderAudits(given, run_audits(given, PROVIDER_AUDITS)[0] if _providers(given) else [])


def all_provider_pages(audited: ProviderAudits | None) -> dict[str, dict[str, Any]]:
    """Return name of a provider → page with all facts about the provider; empty if `audited` is None.

    Models under test are named.
    """
    if audited is None:
        return {}
    return {name: _page(name, audited.given, audited.findings) for name in _providers(audited.given)}


def _providers(given: AuditInput) -> list[str]:
    return sorted({model.provider for model in given.state.models.values() if model.provider})


def _page(name: str, given: AuditInput, found: Sequence[Finding]) -> dict[str, Any]:
    sources = facts.FactSources()
    mine = {model.name for model in given.state.models.values() if model.provider == name}
    about = [one for one in found if one.subject == name or given.state.first_name(one.subject) in mine]
    return {
        "provider": name,
        "as_of": format_rfc3339(given.at),
        "sources": _sources(given),
        "facts": [_fact_as_json(fact) for fact in _facts(name, given, sources)],
        "findings": [finding_as_json(one) for one in about],
    }


def _fact_as_json(fact: facts.ProviderFact) -> dict[str, Any]:
    values = asdict(fact)
    return {"about": values.pop("about"), "fact": values.pop("name"), **values}


def _facts(name: str, given: AuditInput, sources: facts.FactSources) -> tuple[facts.ProviderFact, ...]:
    try:
        book = given.sampling_ledger
    except BadCounts:
        book = None  # no battles yet
    rule = policy.RULES["public_removal"]
    removed, paused = unannounced_removals(given, rule), unannounced_pauses(given, rule)
    fallen = {one.subject: one.what for one in vote_decreases(given)}
    return (
        *facts.variant_facts(name, given.state, sources),
        *facts.release_facts(name, given.releases, sources),
        *share_facts.share_facts(name, book, sources),
        *facts.claim_facts(
            (one for one in checked_claims(given) if given.state.provider_of(one.model) == name), sources
        ),
        *removal_facts.removal_facts(name, given.state, removed, fallen, sources),
        removal_facts.pause_fact(name, given.state, {model: pause.what for model, pause in paused.items()}, sources),
        *removal_facts.contradiction_facts(
            name, (one for one in given.registry.contradictions if _about(name, one, given)), sources
        ),
    )


def _about(name: str, one: Contradiction, given: AuditInput) -> bool:
    """Return whether a rejected event was submitted for the provider or is about one of its models."""
    model, by = getattr(one.event, "model", None), getattr(one.event, "provider", None)
    return by == name or (model is not None and given.state.provider_of(model) == name)


def _sources(given: AuditInput) -> dict[str, str]:
    """Return a description of each source that the facts name, so that a reader can find and check the source."""
    events, newest = len(given.events), max((event.at for event in given.events), default=None)
    named, snapshot = facts.FactSources(), "none is published"
    if given.snapshot is not None:
        at = format_rfc3339(given.snapshot.published_at or 0, "seconds")
        snapshot = f"{given.snapshot.snapshot_id}, number {given.snapshot.sequence}, published {at}, defended view"
    accepted = given.votes.votes
    return {
        named.registry: f"{events:,} events" + (f" up to {format_rfc3339(newest)}" if newest else ""),
        named.votes: f"{given.log_size:,} sealed votes with root {given.log_digest}, {accepted:,} accepted",
        named.snapshot: snapshot,
        named.snapshots: f"the {given.published:,} that are published, raw view",
    }
