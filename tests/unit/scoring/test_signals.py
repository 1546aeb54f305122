"""Alert ids."""

import hashlib

from pipeline.scoring.signals import AlertSignal


def test_an_alert_id_is_the_hash_of_its_key_and_its_place() -> None:
    raised = AlertSignal("voter_bias", "voter", "00ff", "biased", "warning", 101.0, 1, 3, 77, 5, {"x": 1})
    assert raised.alert_id == hashlib.sha256(b"voter_bias|00ff|biased|3|77").hexdigest()[:16]
    later = AlertSignal("voter_bias", "voter", "00ff", "biased", "critical", 1e5, 2, 3, 77, 9)
    assert later.alert_id == raised.alert_id
    assert {AlertSignal("voter_bias", "voter", s, d, "warning", 1.0, 1, p, o, 5).alert_id for s, d, p, o in (
        ("00fe", "biased", 3, 77), ("00ff", "random", 3, 77), ("00ff", "biased", 4, 77), ("00ff", "biased", 3, 78),
    )}.isdisjoint({raised.alert_id})  # fmt: skip
