"""`integrity report` on a file made to the figures that are published of arena-human-preference-100k finds them."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.command import called
from tests.streams.preference_100k import (
    BUSIEST_HUNDREDTH,
    DECISIVE,
    FIRST_WINS,
    MODELS,
    VOTERS,
    VOTES,
    preference_100k,
)


@pytest.mark.long
def test_the_published_figures_are_found(tmp_path: Path) -> None:
    path = tmp_path / "votes.parquet"
    pq.write_table(preference_100k(), path)
    done = called("report", str(path), "--seed", "1", "--json", settings={})
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    probes = {one["id"]: one for one in found["probes"]}
    assert found["format"] == "arena-human-preference-100k"
    assert (found["votes"], found["voters"], found["models"]) == (VOTES, VOTERS, MODELS)
    assert found["ties"] == pytest.approx(1 - DECISIVE / VOTES)
    assert probes["position_bias"]["details"]["first_win_rate"] == pytest.approx(FIRST_WINS / DECISIVE)
    low, high = probes["position_bias"]["interval"]
    assert (low, high) == (pytest.approx(-0.021, abs=2e-3), pytest.approx(-0.001, abs=2e-3))
    assert found["separated"] == {"neighbours": 54, "each": 1, "jointly": 1}
    assert found["spread"]["busiest_hundredth_share"] == pytest.approx(BUSIEST_HUNDREDTH, abs=1e-4)
    assert probes["clustering"]["figure"] == pytest.approx(1.02, abs=0.02)
    cycles = probes["intransitivity"]["details"]
    assert (cycles["observed_share"], cycles["expected_share"]) == (pytest.approx(0.04, abs=0.01),) * 2
    assert not found["found"]
    assert [name for name, one in probes.items() if one["fired"]] == ["separation", "rank_resolution", "fewest_votes"]
