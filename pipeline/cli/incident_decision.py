"""Carries out the decisions about incidents that an operator gives with `integrity incidents`."""

from collections.abc import Sequence
from functools import partial

from pipeline.cli.app import emit_or_print, out
from pipeline.cli.exclusion_prompt import confirm, is_done, next_refresh_lines, show_preview
from pipeline.errors import Usage
from pipeline.jobs import incident_decisions, moderation
from pipeline.store import Store
from pipeline.store.alerting import incident_table, operators_log


# As many parameters as the command has options for a decision.
def decide(
    opened: Store,
    action: str,
    names: Sequence[str],
    who: operators_log.Operator,
    reason: str,
    hours: float | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Carry out a decision about incidents, and print what was done.

    Args:
        opened: the store.
        action: the decision, one of the actions of the command `incidents`.
        names: ids of incidents, or their beginnings. For `split`, the first is an incident and the others are ids of
            alerts.
        who: the person who decides.
        reason: reason of the decision, or the text of a note.
        hours: length of a snooze; None to snooze until somebody acts.
        yes: whether the person has agreed already, so that no question is asked.
        as_json: whether to print JSON. No preview is shown then.
    """
    moderation.expect_hours(hours)
    if action not in {"merge", "split"}:
        with opened.read() as connection:  # each incident once, and an unknown or ambiguous id before any change
            names = list(dict.fromkeys(incident_table.resolve_id(connection, one) for one in names))
    if action in {"exclude", "restore"}:
        _preview(opened, action, names, yes=yes, as_json=as_json)
    results = []
    with opened.write() as connection:
        if action == "merge":
            if len(names) < 2:
                raise Usage(f"incidents merge: expected the ids of two incidents, got {len(names)}")
            results = [incident_decisions.merge(connection, names[0], one, who, reason) for one in names[1:]]
        elif action == "split":
            results = [incident_decisions.split(connection, names[0], names[1:], who, reason)]
        else:
            for one in names:
                if action == "note":
                    results.append(incident_decisions.add_note(connection, one, who, reason))
                elif action in incident_decisions.STATE_ACTIONS:
                    results.append(incident_decisions.change_state(connection, one, action, who, reason, hours))
                elif not is_done(results, partial(incident_decisions.exclusion_targets, connection, one, action)):
                    results.append(incident_decisions.change_exclusions(connection, one, action, who, reason))
        later = next_refresh_lines(connection) if action in {"resolve", "reopen"} else []
    text = "\n".join([*(one["done"] for one in results), *later])
    emit_or_print(as_json, results if len(results) > 1 else results[0], text, out, soft_wrap=True)


def _preview(opened: Store, action: str, names: Sequence[str], *, yes: bool, as_json: bool) -> None:
    """Print what a decision about exclusions of incidents would change, and ask a person at the terminal."""
    with opened.read() as connection:
        found = [incident_decisions.exclusion_targets(connection, one, action) for one in names]
        if not as_json:
            word = "incident" if len(names) == 1 else "incidents"
            targets = list(dict.fromkeys(target for causes in found for target, _ in causes))
            bodies = [incident_decisions.find_incident(connection, one)[0] for one in names]
            models = {about["name"] for body in bodies for about in body["about"] if about["kind"] == "model"}
            privates = [incident_decisions.find_incident(connection, one)[1] for one in names]
            suspects = {who for private in privates for who in private["suspects"]["e_values"]}
            show_preview(connection, action, f"{word} {', '.join(names)}", targets, models, suspects)
    confirm(f"incidents {action}", yes=yes)
