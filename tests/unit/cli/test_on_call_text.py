"""Lists of alerts and incidents: both times, the most urgent first, within 80 columns."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pipeline.cli.app import out
from pipeline.cli.on_call_text import both_times, local_time, print_alerts, print_incidents, subject_text, urgency
from pipeline.events.codenames import codename


@pytest.fixture(params=["Europe/Berlin"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


@pytest.mark.usefixtures("zone")
def test_times_are_utc_and_local() -> None:
    assert both_times("2026-07-01T22:30:59.5Z") == "2026-07-01 22:30 UTC (07-02 00:30 CEST)"
    assert both_times("2026-12-01T14:02:00Z") == "2026-12-01 14:02 UTC (15:02 CET)"
    assert local_time("2026-12-01T14:02:00Z") == "2026-12-01 15:02 CET"


@pytest.mark.parametrize("zone", ["UTC"], indirect=True)
def test_utc_is_stated_once(zone: str) -> None:
    assert both_times("2026-12-01T14:02:00Z") == f"2026-12-01 14:02 {zone}"


def test_open_ones_come_first_then_the_most_severe() -> None:
    given = [("resolved", "critical"), ("open", "warning"), ("acknowledged", "critical"), ("open", "critical")]
    assert sorted(given, key=lambda one: urgency(*one)) == [given[3], given[1], given[2], given[0]]


def test_a_terminal_of_80_columns_shows_every_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(out, "_force_terminal", True)
    monkeypatch.setattr(out, "_width", 80)
    headline = " ".join(f"word{n}" for n in range(60))
    voter = "0123456789abcdef"
    incident = {
        "id": "0123456789ab", "severity": "critical", "state": "acknowledged", "headline": headline, "alerts": 68,
        "e_value": 1e12, "opened_at": "2026-12-01T14:02:00Z", "suspected": {"accounts": 3},
    }  # fmt: skip
    alert = {
        "id": "0123456789abcdef", "severity": "warning", "state": "open", "subject": {"kind": "voter", "id": voter},
        "evidence": {"what": headline}, "direction": "biased", "detector": "voter_bias", "e_value": None,
        "opened_at": "2026-12-01T14:02:00Z",
    }  # fmt: skip
    print_incidents([incident])
    print_alerts([alert])
    text = capsys.readouterr().out
    lines = [line.rstrip() for line in text.replace("\x1b[1;31m", "").replace("\x1b[1m", "").splitlines()]
    assert max(len(line.replace("\x1b[0m", "").replace("\x1b[33m", "")) for line in lines) <= 80
    assert all(f"word{n}" in text.split() for n in range(60))
    assert "; 3 more accounts suspected" in " ".join(text.split())
    assert f"{codename(voter)} ({voter})" in " ".join(text.split())
    assert subject_text({"kind": "model", "id": "m"}) == "model m"
