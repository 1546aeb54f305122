"""Carries out the decisions about alerts or votes that an operator gives with `integrity alerts`."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from pipeline.cli.app import emit_or_print, out
from pipeline.cli.exclusion_prompt import confirm, is_done, next_refresh_lines, show_preview
from pipeline.jobs import moderation, moderation_targets
from pipeline.store import Store
from pipeline.store.alerting import alert_queries, operators_log


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
    """Carry out a decision about alerts or votes, and print what was done.

    Args:
        opened: the store.
        action: the decision, one of the actions of the command `alerts`.
        names: ids of alerts or their beginnings, or votes and voters in the form of `moderation.change_exclusion`.
        who: the person who decides.
        reason: reason of the decision.
        hours: length of a snooze; None to snooze until somebody acts.
        yes: whether the person has agreed already, so that no question is asked.
        as_json: whether to print JSON. No question is asked then.
    """
    moderation.expect_hours(hours)
    with opened.read() as connection:  # an unknown or ambiguous id is refused before any change
        given = list(dict.fromkeys(one if ":" in one else alert_queries.resolve_id(connection, one) for one in names))
        if action in {"exclude", "restore"}:
            changed = [target for one in given for target in moderation_targets.targets_of(connection, action, one)]
            if not as_json:
                show_preview(connection, action, ", ".join(given), list(dict.fromkeys(changed)))
    if action in {"exclude", "restore"}:
        confirm(f"alerts {action}", yes=yes or as_json, required=False)
    with opened.write() as connection:
        results: list[dict[str, Any]] = []
        for one in given:
            if action in moderation.ALERT_SCOPES:
                results.append(moderation.change_alert_state(connection, one, action, who, reason, hours))
            elif not is_done(results, partial(moderation_targets.targets_of, connection, action, one)):
                results.append(moderation.change_exclusion(connection, action, one, who, reason))
        later = next_refresh_lines(connection) if action in {"resolve", "reopen"} else []
    text = "\n".join([*(one["done"] for one in results), *later])
    emit_or_print(as_json, results if len(names) > 1 else results[0], text, out, soft_wrap=True)
