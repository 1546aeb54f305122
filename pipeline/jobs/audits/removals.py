"""Finds the models of a store that were removed or not shown for a time, without a public notice."""

from collections.abc import Mapping

from pipeline.audits import retraction, variants
from pipeline.audits.sampling_pauses import SamplingPause, sampling_pauses
from pipeline.jobs.audits.audit_input import AuditInput
from pipeline.vocabulary.time import format_rfc3339


def unannounced_removals(given: AuditInput, rule: Mapping[str, float]) -> dict[str, str]:
    """Find the models that were removed without a public notice.

    A model may count as removed because it has few recent votes. This reason is used only if the store's votes span at
    least as many days as the rule names.

    Args:
        given: the input of the audits.
        rule: the parameters of the rule `public_removal`: "days" and "votes".

    Returns:
        Name of a model → description of its removal.
    """
    days = int(rule["days"])
    seen = given.votes.days.tolist()
    old = bool(seen) and seen[-1] - seen[0] >= days
    recent = given.recent_votes(days) if old else {}
    return retraction.unannounced_removals(given.state, given.first_rated_at, recent, rule["votes"], days)


def unannounced_pauses(given: AuditInput, rule: Mapping[str, float]) -> dict[str, SamplingPause]:
    """Find the models that were not shown for a time before any notice, and are not removed without one.

    Args:
        given: the input of the audits.
        rule: the parameters of the rule `public_removal`: "days" and "votes".

    Returns:
        Name of a public model → its longest pause.
    """
    state, released = given.state, variants.release_times(given.state)
    removed = unannounced_removals(given, rule)
    since: dict[str, str] = {}
    over: dict[str, str] = {}
    for name, model in state.models.items():
        public = model.submitted_at or 0 if model.visibility != "private" else released.get(name)
        if public is None or name in removed:
            continue
        since[name] = format_rfc3339(public)[:10]
        replaced = model.released_at if model.released_as not in (None, name) else None
        ends = [at for at in (model.deprecated_at, model.retracted_at, replaced) if at is not None]
        if ends:
            over[name] = format_rfc3339(min(ends))[:10]
    return sampling_pauses(given.appearances, since, over, rule["votes"], int(rule["days"]))
