"""The text of an alert: readable numbers, and the counts behind it."""

import io
from typing import Any

import pytest
from rich.console import Console

from pipeline.alert_text import explain_lines, format_e_value
from pipeline.cli.terminal_tables import alert_table


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "fact"), (100.4, "100"), (9_999_999.0, "9,999,999"), (1e7, "1.0·10⁷"), (4.72e13, "4.7·10¹³"),
     (9.96e9, "1.0·10¹⁰")],
)  # fmt: skip
def test_an_e_value_has_at_most_seven_digits(value: float | None, text: str) -> None:
    assert format_e_value(value) == text


def voter_alert(**more: Any) -> dict[str, Any]:
    evidence = {
        "votes": 40, "ties": 9, "snapshot": 3, "proved": True,
        "likeliest": [
            {"what": "promotes", "model": "m1", "delta": 3.0, "share": 0.997},
            {"what": "demotes", "model": "m2", "delta": 0.7, "share": 0.003},
        ],
    }  # fmt: skip
    record = {
        "battles": 52, "left": 20, "right": 21, "tied": 11,
        "models": {
            "m1": {"battles": 18, "won": 17, "lost": 1, "tied": 0},
            "m2": {"battles": 2, "won": 1, "lost": 1, "tied": 0},
        },
    }  # fmt: skip
    return {
        "id": "ab", "detector": "voter_bias", "severity": "critical", "subject": {"kind": "voter", "id": "00ff"},
        "direction": "biased", "state": "open", "e_value": 2.5e8, "partition": 1, "offset": 77, "evidence": evidence,
        "record": record, **more,
    }  # fmt: skip


def test_an_alert_about_a_voter_gives_the_counts_and_omits_unlikely_explanations() -> None:
    text = "\n".join(explain_lines(voter_alert()))
    assert "99.7%  promotes m1 by 3.0 logits" in text
    assert "m1 won 17, lost 1 and tied 0 of its 18 battles with this voter" in text
    assert "all 52 votes: 20 for the left side, 21 for the right, 11 ties" in text
    assert "probability of at most 1 in 2.5·10⁸" in text
    assert "m2" not in text
    assert "alerts exclude ab" in text


def test_an_alert_says_whether_its_votes_count_and_what_resolve_counts_again() -> None:
    critical = explain_lines(voter_alert(), counts=False, back=52)
    assert "left out of the defended view" in critical[-6]
    assert critical[-4:] == [
        "To say that the votes were honest (votes that count again at the next refresh: 52):",
        "  integrity alerts resolve ab --name YOU --reason WHY",
        "To acknowledge it (no vote changes: what is left out stays out):",
        "  integrity alerts ack ab --name YOU --reason WHY",
    ]
    warning = explain_lines(voter_alert(severity="warning"), counts=True, back=0)
    assert "The voter's votes still count, because a warning leaves no vote out by itself." in warning[-6]
    assert "at the next refresh: none" in warning[-4]
    assert "policy" not in " ".join(warning)
    assert "left out of the defended view" in explain_lines(voter_alert())[-6]


def test_a_narrow_terminal_shows_the_subject_of_every_alert() -> None:
    about_model = {
        "id": "cd", "detector": "cohort_bias", "severity": "warning", "subject": {"kind": "model", "id": "m7"},
        "state": "open", "e_value": 300.0, "evidence": {"what": "of 44 votes on it it lost 35"},
    }  # fmt: skip
    for width in (70, 150):
        screen = Console(width=width, file=io.StringIO())
        screen.print(alert_table([about_model, voter_alert()], width))
        shown = screen.file.getvalue()  # type: ignore[attr-defined]
        assert "m7" in shown
        assert "00ff" in shown
        assert "2.5·10⁸" in shown
