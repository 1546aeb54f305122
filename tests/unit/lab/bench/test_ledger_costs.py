"""bench ledger over small logs: its figures are of real seals, bundles, refreshes and proofs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import jobs
from pipeline.lab.bench import ledger_costs


@pytest.mark.long
def test_a_small_run_measures_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_costs, "NEW_VOTES", 2_000)
    steps: list[dict[str, float]] = []
    refresh = jobs.refresh_board

    def refresh_and_note_steps(url: str) -> dict[str, Any]:
        result = refresh(url)
        steps.append(result["seconds"])
        return result

    monkeypatch.setattr(jobs, "refresh_board", refresh_and_note_steps)
    reported: list[str] = []
    found = ledger_costs.measure(lambda name: str(tmp_path / f"{name}.db"), tmp_path, 3_000, reported.append)
    assert len(reported) == 5
    assert (len(found.first), len(found.later), len(found.uncounted)) == (3, 3, 3)
    assert found.uncounted == tuple(one["backfill"] + one["intervals"] for one in steps[-3:])
    assert min(found.uncounted) > 0
    assert min(one["reference"] for one in steps) > 0, "a step that the ratio counts"
    assert min(found.seal, found.bare_hashing, found.reading, found.verify, *found.first, *found.later) > 0
    # 3,000 votes and three times 2,000 more: two levels of tiles.
    assert 2 <= found.tiles_read <= found.most_tiles == 4
    assert 12 <= found.path <= 14


def test_a_run_passes_by_every_bar_or_not_at_all() -> None:
    good = ledger_costs.LedgerCosts(
        1_000_000, 1.0, 0.5, 0.5, 3.0, (1.0, 9.0, 1.0), (1.2, 1.3, 9.0), (9.0, 9.0, 9.0), 4, 20
    )
    assert good.ratios == {"seal": 0.5, "verify": 3.0, "refresh": 1.3}
    assert good.passed
    for name, value in (("seal", 4.0), ("verify", 6.1), ("later", (1.6, 1.6, 1.6)), ("tiles_read", 7)):
        assert not replace(good, **{name: value}).passed, name
