"""Incidents as Prometheus sees them: one series for each, which ends with it, and no name that is not public."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.incident_headline import headline
from pipeline.jobs import incident_status
from pipeline.jobs.incident_decisions import change_exclusions, change_state
from pipeline.jobs.store_status import read_store_status
from pipeline.metrics import StoreCollector
from pipeline.open_store import now
from pipeline.store.alerting import alert_lifecycle
from pipeline.store.db import schema
from pipeline.vocabulary.time import DAY, to_microseconds
from tests.integration.board_of_votes import START, Board
from tests.integration.test_incidents import SYBILS, WHO, board, campaign, decide, raise_alerts, signal

__all__ = ["board"]


def exposition(board: Board) -> str:
    with board.store() as store:
        collector = StoreCollector(lambda: read_store_status(store))
        text = generate_latest(collector.own_registry()).decode()
    assert collector.error is None
    return text


def series(board: Board, name: str) -> list[tuple[dict[str, str], float]]:
    families = {family.name: family for family in text_string_to_metric_families(exposition(board))}
    samples = families[name].samples if name in families else []
    return [(sample.labels, sample.value) for sample in samples]


def open_by_kind(board: Board) -> dict[tuple[str, str], float]:
    return {(at["severity"], at["kind"]): n for at, n in series(board, "integrity_incidents_open") if n}


def test_one_campaign_is_one_series_until_it_is_closed(board: Board) -> None:
    incident = campaign(board)
    expected = {"incident": incident, "severity": "critical", "kind": "model", "effect": "lifted", "target": "dog"}
    assert series(board, "integrity_incident_open") == [(expected, 1)]
    assert open_by_kind(board) == {("critical", "model"): 1}
    assert series(board, "integrity_incident_accounts") == [({"incident": incident}, SYBILS)]
    assert series(board, "integrity_incident_votes") == [({"incident": incident}, 3 * SYBILS)]
    assert {at["view"] for at, _ in series(board, "integrity_incident_rank")} == {"raw", "defended"}
    assert {number for _, number in series(board, "integrity_alerts_ungrouped")} == {0}

    decide(board, change_state, incident, "ack", WHO, "looking")
    assert series(board, "integrity_incident_open") == [(expected, 1)]
    decide(board, change_state, incident, "resolve", WHO, "a class")
    for name in ("open", "accounts", "votes", "votes_left_out", "e_value", "begun_timestamp_seconds", "rank"):
        assert series(board, f"integrity_incident_{name}") == []
    assert open_by_kind(board) == {}
    decide(board, change_state, incident, "reopen", WHO, "it goes on")
    assert series(board, "integrity_incident_open") == [(expected, 1)]
    decided = {at["action"] for at, number in series(board, "integrity_decisions") if number}
    assert {action.rpartition(".")[2] for action in decided} >= {"ack", "resolve", "reopen"}


def test_the_ranks_of_a_page_are_those_of_the_headline(board: Board) -> None:
    incident = campaign(board)
    assert series(board, "integrity_incident_rank_change") == []
    with board.store() as store, store.write() as connection:
        # As if the only snapshot were from a day before the campaign.
        connection.execute(sa.update(schema.snapshot).values(published_at=to_microseconds(START) - DAY))
    decide(board, change_exclusions, incident, "exclude", WHO, "bought")
    assert series(board, "integrity_incident_awaits_refresh") == [({"incident": incident}, 1)]
    board.refresh()
    with board.store() as store, store.read() as connection:
        (one,) = incident_status.incident_table.read_public(connection)
    ranks = {at["when"]: number for at, number in series(board, "integrity_incident_rank_change")}
    assert ranks == {when: one["rank"][when] for when in ("before", "after")}
    assert f"; its rank stayed #{ranks['after']:.0f}" in headline(one)
    assert series(board, "integrity_incident_awaits_refresh") == [({"incident": incident}, 0)]
    assert series(board, "integrity_incident_accounts_left_out") == [({"incident": incident}, SYBILS)]


def test_an_alert_that_nobody_groups_is_counted_until_somebody_does(board: Board) -> None:
    given = signal(board, 1, severity="critical")
    with board.store() as store, store.write() as connection:
        alert_lifecycle.open_alerts(connection, [given], {}, now())
    kind = {"detector": "voter_bias", "severity": "critical"}
    assert (kind, 1) in series(board, "integrity_alerts_ungrouped")
    raise_alerts(board, signal(board, 2))
    assert {number for _, number in series(board, "integrity_alerts_ungrouped")} == {0}


def test_no_series_names_a_voter_a_network_or_a_model_that_the_board_does_not_name(board: Board) -> None:
    raise_alerts(board, *(signal(board, n, severity="critical", e_value=1e6) for n in range(10, 20)))
    raise_alerts(board, *(signal(board, n, model="unheard-of", severity="critical", e_value=1e6) for n in range(10)))
    text = exposition(board)
    with board.store() as store, store.read() as connection:
        private = [one.private for one in incident_status.incident_table.read_all(connection)]
    secrets = {"unheard-of", "farm 0", "farm 1", *(voter for one in private for voter in one["voters"])}
    assert len(secrets) == 3 + 20
    assert [word for word in secrets if word in text] == []
    assert {at["target"] for at, _ in series(board, "integrity_incident_open")} == {"", "dog"}


def test_the_most_severe_incidents_have_series_when_there_are_too_many(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    about: dict[str, Any] = {"what": "always votes for the left side", "model": None}
    raise_alerts(board, *(signal(board, n, **about) for n in range(4)))
    raise_alerts(board, *(signal(board, n, severity="critical", e_value=1e6) for n in range(10, 14)))
    assert len(series(board, "integrity_incident_open")) == 2
    monkeypatch.setattr(incident_status, "MAX_INCIDENTS", 1)
    ((shown, _),) = series(board, "integrity_incident_open")
    assert (shown["severity"], shown["kind"]) == ("critical", "model")
    assert sum(open_by_kind(board).values()) == 2


def test_a_note_pages_nobody_and_is_counted(board: Board) -> None:
    raise_alerts(board, signal(board, 1, what="always votes for the left side", model=None))
    assert series(board, "integrity_incident_open") == []
    assert open_by_kind(board) == {("note", "habit"): 1}
