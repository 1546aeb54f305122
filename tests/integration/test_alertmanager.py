"""The real Alertmanager with the configuration that is deployed: who is told, and who is not."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

CRITICAL = {
    "alertname": "IntegrityIncidentOpen", "severity": "critical", "stage": "detector", "board": "text",
    "incident": "0a1b2c3d4e5f",
}  # fmt: skip
WARNING = {
    "alertname": "IntegrityWarningAlertOpen", "severity": "warning", "stage": "detector", "board": "text",
    "detector": "traffic",
}  # fmt: skip
STALE = {"alertname": "VotesStale", "severity": "warning", "stage": "pipeline", "board": "text"}


def asked(port: int, path: str, body: Any = None) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v2/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def reported(port: int, *alerts: dict[str, str]) -> Iterator[dict[str, tuple[str, str]]]:
    """Receiver and state of each alert, asked again until the caller is content or 20 s are over.

    Alertmanager takes note of an alert, of what it inhibits and of its receiver one after the other.
    """
    asked(port, "alerts", [{"labels": labels} for labels in alerts])
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        yield {
            f"{a['labels']['alertname']} {a['labels']['board']}": (a["receivers"][0]["name"], a["status"]["state"])
            for a in asked(port, "alerts")
        }
        time.sleep(0.2)


def settles(port: int, expected: dict[str, tuple[str, str]], *alerts: dict[str, str]) -> None:
    seen = []
    for now in reported(port, *alerts):
        if now == expected:
            return
        seen.append(now)
    assert seen[-1] == expected


def test_the_critical_go_to_the_page_and_the_others_to_the_tickets(alertmanager):
    expected = {
        "IntegrityIncidentOpen text": ("page", "active"),
        "IntegrityWarningAlertOpen text": ("tickets", "active"),
    }
    settles(alertmanager.port, expected, CRITICAL, WARNING)


def test_while_the_pipeline_stands_still_its_boards_detectors_are_silent(alertmanager):
    expected = {
        "VotesStale text": ("tickets", "active"),
        "IntegrityIncidentOpen text": ("page", "suppressed"),
        "IntegrityWarningAlertOpen text": ("tickets", "suppressed"),
        "IntegrityIncidentOpen image": ("page", "active"),
    }
    settles(alertmanager.port, expected, STALE, CRITICAL, WARNING, CRITICAL | {"board": "image"})


@pytest.mark.parametrize(
    ("cause", "effect"),
    [
        ("WorkerHalted", "WorkerDown"),
        ("WorkerHalted", "WorkerStalled"),
        ("WorkerHalted", "VotesStale"),
        ("StoreDown", "WorkerStalled"),
        ("StoreDown", "RatingRefreshNever"),
        ("QualityGateFailed", "RatingRefreshStale"),
        ("IntegrityFactRecorded", "AuditStale"),
        ("IntegrityFactRecorded", "AuditNever"),
        ("StoreDown", "LagBudgetBurn"),
        ("WorkerStalled", "LagBudgetBurn"),
        ("QualityGateFailed", "FreshnessBudgetBurn"),
        ("FreshnessBudgetBurn", "RatingRefreshStale"),
    ],
)
def test_a_cause_is_told_and_its_effect_is_not(alertmanager, cause, effect):
    common = {"severity": "critical", "board": "text", "stage": "worker", "detector": "audit_ledger"}
    expected = {f"{cause} text": ("page", "active"), f"{effect} text": ("page", "suppressed")}
    settles(alertmanager.port, expected, common | {"alertname": cause}, common | {"alertname": effect})


def test_each_incident_is_a_group_and_only_the_severities_of_one_incident_inhibit_each_other(alertmanager):
    second = CRITICAL | {"incident": "ffeeddccbbaa"}
    ticket = CRITICAL | {"severity": "warning"}
    other = CRITICAL | {"severity": "warning", "incident": "112233445566"}
    asked(alertmanager.port, "alerts", [{"labels": labels} for labels in (CRITICAL, second, ticket, other)])
    page, tickets = {"page"}, {"tickets"}
    expected = {
        ("0a1b2c3d4e5f", "critical"): (page, "active"),
        ("0a1b2c3d4e5f", "warning"): (tickets, "suppressed"),
        ("ffeeddccbbaa", "critical"): (page, "active"),
        ("112233445566", "warning"): (tickets, "active"),
    }
    deadline = time.monotonic() + 20
    while (seen := by_incident(alertmanager.port)) != expected and time.monotonic() < deadline:
        time.sleep(0.2)
    assert seen == expected
    groups = [group["labels"] for group in asked(alertmanager.port, "alerts/groups")]
    assert {"board": "text", "incident": "ffeeddccbbaa"} in groups
    assert all(set(labels) == {"board", "incident"} for labels in groups)


def by_incident(port: int) -> dict[tuple[str, str], tuple[set[str], str]]:
    return {
        (a["labels"]["incident"], a["labels"]["severity"]): ({r["name"] for r in a["receivers"]}, a["status"]["state"])
        for a in asked(port, "alerts")
    }
