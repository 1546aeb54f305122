"""Builds the story of private variants: sentences about variants, claims, withdrawn scores and removals.

A story is about one snapshot and the registry up to one event, so it never changes. Each of its sentences can be
checked against this snapshot and these events.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline import settings as configuration
from pipeline.audits import policy
from pipeline.audits.removal_story import failed_claims, nothing_seen, silent_removals, withdrawn_scores
from pipeline.audits.story_sentences import StoryCheck, StoryInput, StorySentence
from pipeline.audits.variant_story import best_variants, concurrent_variants, released_models
from pipeline.errors import Usage
from pipeline.jobs.audits.audit_input import AuditInput
from pipeline.jobs.audits.provider_page import ProviderAudits
from pipeline.jobs.audits.registry_audits import checked_claims
from pipeline.jobs.audits.removals import unannounced_pauses, unannounced_removals
from pipeline.jobs.audits.sweep import policy_facts, read_policy
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.vocabulary.time import format_rfc3339, to_microseconds

_log = logging.getLogger("integrity.refresh")

_SINGULAR = {
    "private variants": "private variant",
    "models": "model",
    "votes": "vote",
    "features of style": "feature of style",
}
_CHECKS = (concurrent_variants, best_variants, released_models, failed_claims, withdrawn_scores, silent_removals)


def variants_story(audited: ProviderAudits | None, snapshot: PublishedSnapshot, event_no: int) -> dict[str, Any]:
    """Return the story of private variants as JSON types. Models under test are named.

    Args:
        audited: the findings of the audits and what they read; None if the registry names no provider.
        snapshot: the newest snapshot.
        event_no: number of the newest registry event.

    Returns:
        {"snapshot", "sequence", "events", "since", "as_of", "checks", "policy"}. "events" is `event_no`. "since" is the
        time of the first registry event, "as_of" the time of the newest event or vote. "checks" is a list with an entry
        for each `StoryCheck`: its fields, and "nothing", the sentence for a check that found nothing. The sentences of
        a check have the fields of `StorySentence`, with times in RFC 3339. If the registry names no provider, "since"
        and "as_of" are None, and "checks" and "policy" are empty.
    """
    told: dict[str, Any] = {"snapshot": snapshot.snapshot_id, "sequence": snapshot.sequence, "events": event_no}
    if audited is None:
        return {**told, "since": None, "as_of": None, "checks": [], "policy": []}
    given = audited.given
    known = _story_input(audited, snapshot.sequence)
    first = min(to_microseconds(event.at) for event in given.events)
    checks = [_check_as_json(check(known)) for check in _CHECKS]
    return {**told, "since": format_rfc3339(first), "as_of": format_rfc3339(given.at), "checks": checks,
            "policy": _verdicts(audited)}  # fmt: skip


def _story_input(audited: ProviderAudits, sequence: int) -> StoryInput:
    given = audited.given
    board = given.board.get("defended", {})
    return StoryInput(
        given.events,
        given.state,
        given.releases,
        checked_claims(given),
        audited.findings,
        unannounced_removals(given, policy.RULES["public_removal"]),
        len(given.first_rated_at),
        sequence,
        {model: row["rating"] for model, row in board.items()},
        unannounced_pauses(given, policy.RULES["public_removal"]),
    )


def _check_as_json(check: StoryCheck) -> dict[str, Any]:
    sentences = [_sentence_as_json(one) for one in check.sentences]
    return {**asdict(check), "nothing": nothing_seen(check), "sentences": sentences}


def _sentence_as_json(one: StorySentence) -> dict[str, Any]:
    times = {
        name: None if at is None else format_rfc3339(at) for name, at in (("since", one.since), ("until", one.until))
    }
    unit = _SINGULAR.get(one.unit, one.unit) if one.figure == 1 else one.unit
    return {**asdict(one), "unit": unit, **times}


def _verdicts(audited: ProviderAudits) -> Sequence[dict[str, Any]]:
    """Return rule, verdict and sentence of each rule of the policy in force; empty if the policy cannot be read."""
    named = configuration.load().policy
    try:
        rules = read_policy(Path(named) if named else None)
    except Usage as error:
        _log.warning("the policy is not evaluated: %s", error)
        return []
    given: AuditInput = audited.given
    verdicts = policy.evaluate_policy(rules, policy_facts(given, rules, audited.findings))
    return [{"rule": one.rule, "passed": one.passed, "what": one.what} for one in verdicts]
