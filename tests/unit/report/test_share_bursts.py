"""Bursts of votes on one model: found beside a wrong time, and never said to be absent where nobody looked."""

import numpy as np
import pytest

from pipeline.report.evidence import EvidenceSection, share_bursts
from pipeline.report.report_votes import ReportVotes
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.time import DAY, MINUTE, parse_iso8601
from tests.streams.planted_boards import PlantedBoard, draw

VOTES, MODELS = 6_000, 30
START = parse_iso8601("2024-03-01T00:00:00Z")


def _section(more: Int64) -> EvidenceSection:
    """Return the section about votes of 40 days with a burst on model 3 on the twentieth, and votes at more times."""
    drawn, rng = draw(PlantedBoard(models=MODELS, votes=VOTES)), np.random.default_rng(2)
    at = START + np.sort(rng.integers(0, 40 * DAY, VOTES))
    burst = START + 19 * DAY + rng.integers(0, 50 * MINUTE, 60)
    others = rng.integers(0, 3, 60)
    b = np.concatenate([drawn.model_b, others, np.ones(len(more), dtype=np.int64)])
    a = np.concatenate([drawn.model_a, np.full(60, 3), np.zeros(len(more), dtype=np.int64)])
    return share_bursts.share_bursts(
        ReportVotes(
            models=tuple(f"m{k}" for k in range(MODELS)), model_a=a.astype(np.int32), model_b=b.astype(np.int32),
            outcome=np.zeros(len(a), dtype=np.int32), time=np.concatenate([at, burst, more]),
        )
    )  # fmt: skip


def test_one_wrong_time_hides_no_burst() -> None:
    plain, wrong = (
        _section(np.array(times, dtype=np.int64)) for times in ([], [parse_iso8601("0001-01-01T00:00:00Z")])
    )
    assert plain.found == 1
    assert [one.subject for one in wrong.findings] == [one.subject for one in plain.findings] == ["m3"]
    assert wrong.findings[0].details["begins"] == plain.findings[0].details["begins"] == "2024-03-20T00:00:00Z"


def test_a_section_says_what_was_too_large_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share_bursts, "RATIO", 1e9)  # no burst is large enough
    none = np.zeros(0, dtype=np.int64)
    assert _section(none).answer == "No model gets a burst of votes within an hour or a day."
    monkeypatch.setattr(share_bursts, "_MOST_CELLS", 50 * MODELS)
    assert _section(none).answer == "No model gets a burst of votes within a day."
    monkeypatch.setattr(share_bursts, "_MOST_CELLS", 0)
    assert _section(none).unavailable == "the votes are on too many models in too many hours and days"
