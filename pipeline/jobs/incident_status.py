"""Reads figures for the metrics exporter: the number of open incidents, and some figures about each open incident.

No figure names a voter or a network. A figure names a model only if the newest board names the model. At most
MAX_INCIDENTS incidents have figures of their own. An incident on which nobody needs to act any more has no figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.incident_headline import places_of
from pipeline.incidents.claims import BOARD, FACT, HABIT, LIFTED, LOWERED, MODEL, NETWORK, PROVIDER
from pipeline.metrics import MAX_INCIDENTS
from pipeline.store.alerting import incident_table
from pipeline.store.boards.hidden_models import HiddenModels
from pipeline.vocabulary.time import SECOND, parse_rfc3339

OPEN_STATES = ("open", "acknowledged")
_SEVERITIES = ("critical", "warning", "note")
_KINDS = (MODEL, PROVIDER, HABIT, NETWORK, BOARD, FACT)

Figures = dict[tuple[str, ...], float]


@dataclass(frozen=True)
class IncidentFigures:
    """The metrics about incidents. `StoreStatus` has a field of the same name and meaning for each field here."""

    incidents_open: Figures
    incident_open: Figures
    incident_accounts: Figures
    incident_votes: Figures
    incident_votes_left_out: Figures
    incident_accounts_left_out: Figures
    incident_awaits_refresh: Figures
    incident_e_value: Figures
    incident_begun: Figures
    incident_rank: Figures
    incident_rank_change: Figures
    alerts_ungrouped: Figures


def read_incident_figures(connection: Connection, models: Iterable[str], hidden: HiddenModels) -> IncidentFigures:
    """Read the metrics about incidents, as alerts were last grouped into incidents.

    Args:
        connection: reads the store.
        models: names of the models that the newest board shows to the public.
        hidden: the models under test, which no figure names.
    """
    incidents = incident_table.read_public(connection)
    waiting = [one for one in incidents if one["state"] in OPEN_STATES]
    # The newest are in front. Those that page come first: beyond the limit there is only their number.
    shown = [one for one in sorted(waiting, key=_urgency) if one["severity"] != "note"][:MAX_INCIDENTS]
    named = frozenset(models)
    public = [one for one in shown if _about(one, named, hidden)[2]]
    return IncidentFigures(
        incidents_open=_count(waiting),
        incident_open={(one["id"], one["severity"], *_about(one, named, hidden)): 1.0 for one in shown},
        incident_accounts=_of_each(shown, "accounts"),
        incident_votes=_of_each(shown, "votes"),
        incident_votes_left_out=_of_each(shown, "votes_left_out"),
        incident_accounts_left_out=_of_each(shown, "accounts_left_out"),
        incident_awaits_refresh=_of_each(shown, "awaits_refresh"),
        incident_e_value=_of_each([one for one in shown if one["e_value"] is not None], "e_value"),
        incident_begun={(one["id"],): parse_rfc3339(one["begun_at"]) / SECOND for one in shown},
        incident_rank={
            (one["id"], view): float(rank)
            for one in public
            for view in ("raw", "defended")
            if (rank := (one["rank"] or {}).get(view)) is not None
        },
        incident_rank_change={
            (one["id"], when): float(rank)
            for one in public
            if one["about"][0]["effect"] in (LIFTED, LOWERED) and (places := places_of(one)) is not None
            for when, rank in zip(("before", "after"), places, strict=True)
        },
        alerts_ungrouped={key: float(n) for key, n in incident_table.count_ungrouped(connection, OPEN_STATES).items()},
    )


def _urgency(one: Mapping[str, Any]) -> int:
    return _SEVERITIES.index(one["severity"])


def _count(waiting: Iterable[Mapping[str, Any]]) -> Figures:
    """Count incidents by severity and kind; a kind without an open incident is 0, not missing."""
    total: Figures = dict.fromkeys(((severity, kind) for severity in _SEVERITIES for kind in _KINDS), 0.0)
    for one in waiting:
        key = (one["severity"], one["about"][0]["kind"])
        total[key] = total.get(key, 0.0) + 1
    return total


def _of_each(shown: Iterable[Mapping[str, Any]], name: str) -> Figures:
    return {(one["id"],): float(one[name]) for one in shown}


def _about(one: Mapping[str, Any], named: frozenset[str], hidden: HiddenModels) -> tuple[str, str, str]:
    """Return kind, effect and target of an incident. They contain only fixed words and names that are public."""
    about = one["about"][0]
    kind, name = about["kind"], about["name"]
    if kind == FACT:
        return kind, "", name.partition(" ")[0]  # the detector; what follows may be anything
    if kind == HABIT:
        return kind, "", hidden.text(name)
    target = {MODEL: name if name in named else "", PROVIDER: hidden.text(name)}.get(kind, "")
    return kind, about["effect"], target
