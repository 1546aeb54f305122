"""An alert says the same thing however its detector words it."""

from __future__ import annotations

import pytest

from pipeline.incidents.claims import FACT, HABIT, LIFTED, LOWERED, MORE, Claim, claim_of


def alert(detector: str, kind: str, subject: str, direction: str, **evidence: object) -> dict[str, object]:
    return {
        "detector": detector,
        "subject": {"kind": kind, "id": subject},
        "direction": direction,
        "evidence": evidence,
    }


@pytest.mark.parametrize(
    ("given", "claim"),
    [
        (
            alert("voter_bias", "voter", "0a", "biased", likeliest=[{"what": "promotes", "model": "cedar"}]),
            Claim("model", "cedar", LIFTED),
        ),
        (
            alert("voter_bias", "voter", "0a", "biased", likeliest=[{"what": "demotes by ties", "model": "cedar"}]),
            Claim("model", "cedar", LOWERED),
        ),
        (
            alert("voter_bias", "voter", "0a", "biased", likeliest=[{"what": "promotes", "provider": "acme"}]),
            Claim("provider", "acme", LIFTED),
        ),
        (
            alert("voter_bias", "voter", "0a", "random", likeliest=[{"what": "clicks at random"}]),
            Claim(HABIT, "clicks at random"),
        ),
        (alert("cohort_bias", "model", "cedar", "demoted by network AS1"), Claim("model", "cedar", LOWERED)),
        (
            alert("model_shift", "model", "cedar", "performs better than in its snapshots", reading="attack or change"),
            Claim("model", "cedar", LIFTED),
        ),
        (
            alert("model_shift", "model", "cedar", "performs worse than in its snapshots", reading="change"),
            Claim(FACT, "model_shift cedar", "performs worse than in its snapshots"),
        ),
        (alert("vote_burst", "network", "AS1", "more than its share"), Claim("network", "AS1", MORE)),
        (alert("traffic", "board", "board", "more votes than usual"), Claim("board", "board", MORE)),
        (alert("voter_rate", "voter", "0a", "too fast"), Claim(HABIT, "voter_rate")),
        (
            alert("sampling_skew", "model", "cedar", "sampled more often"),
            Claim(FACT, "sampling_skew cedar", "sampled more often"),
        ),
        (alert("variant_churn", "provider", "acme", "variants"), Claim(FACT, "variant_churn acme", "variants")),
    ],
)
def test_what_an_alert_says(given, claim: Claim) -> None:
    assert claim_of(given) == claim
