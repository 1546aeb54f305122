"""The benchmark measures what it says: tables, children, ratios, coverage."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from pipeline.cli.commands import app
from pipeline.cli.main import main
from pipeline.errors import Unavailable
from pipeline.lab.bench import rating_comparison, rating_tables
from pipeline.lab.bench.interval_coverage import BANDS, simulate_coverage
from pipeline.lab.bench.rating_comparison import ComparedTask, EngineRun
from pipeline.lab.simulate import real_counts
from pipeline.ratings import POINTS_PER_LOGIT, PairCounts, fit


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "small.parquet"
    assert rating_tables.write_synthetic_votes(path, 20_000, 12, seed=1) == 20_000
    return path


@pytest.mark.long
def test_the_real_table_holds_the_real_counts(tmp_path: Path) -> None:
    assert rating_tables.write_real_votes(tmp_path / "real.parquet") == 1_670_250
    table = pd.read_parquet(tmp_path / "real.parquet")
    found, real = (
        PairCounts.from_labels(table["model_a"], table["model_b"], table["winner"]),
        real_counts(),
    )
    assert found.models == real.models
    assert found.table().tolist() == real.table().tolist()
    # Sides and order are drawn: the first rows are not one pair, and neither side always wins.
    assert table["model_a"].head(100).nunique() > 20
    assert (table["winner"] == "model_a").mean() == pytest.approx((table["winner"] == "model_b").mean(), abs=0.01)


def test_the_synthetic_table_is_the_same_every_time_and_a_third_ties(small: Path, tmp_path: Path) -> None:
    rating_tables.write_synthetic_votes(tmp_path / "again.parquet", 20_000, 12, seed=1)
    one, other = pd.read_parquet(small), pd.read_parquet(tmp_path / "again.parquet")
    assert one.equals(other)
    assert one["winner"].isin(["tie", "both_bad"]).mean() == pytest.approx(0.33, abs=0.04)
    assert {f"{name}_{side}" for name in rating_tables.FEATURES for side in "ab"} < set(one.columns)


@pytest.mark.long
@pytest.mark.parametrize("task", ["ratings", "bootstrap", "style", "style-centred"])
def test_our_child_measures_every_task(small: Path, task: str) -> None:
    command = [sys.executable, "-m", "pipeline.lab.bench.rating_tasks", task, str(small), "2", "10"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert len(found["seconds"]) == len(found["cpu"]) == 2
    assert min(found["seconds"]) > 0
    # At least the interpreter with pandas, and not what the parent held.
    assert 80 < found["peak_mb"] < 500
    assert len(found["theta"]) == 12
    assert len(found["coefficients"]) == (4 if task.startswith("style") else 0)
    if task == "ratings":
        table = pd.read_parquet(small)
        exact = fit(PairCounts.from_labels(table["model_a"], table["model_b"], table["winner"])).theta
        assert [found["theta"][name] for name in sorted(found["theta"])] == pytest.approx(exact.tolist(), abs=1e-12)
    if task.startswith("style"):
        assert found["coefficients"][0] == pytest.approx(0.249, abs=0.06)


def _task(ours: EngineRun, *peers: EngineRun) -> ComparedTask:
    return ComparedTask("ratings", "real", (ours, *peers))


def test_a_bar_takes_the_faster_peer_and_the_leanest() -> None:
    ours = EngineRun("integrity", 0.2, 0.1, 0.1, 300, 0)
    slow, quick = EngineRun("a", 9, 4, 4, 900, 1), EngineRun("b", 3, 1.6, 1.5, 400, 1)
    met = _task(ours, slow, quick)
    assert (met.faster, met.ratio, met.ratio_first) == (quick, pytest.approx(16), pytest.approx(15))
    assert met.passed
    assert not _task(ours, slow, EngineRun("b", 3, 1.4, 1.4, 400, 1)).passed
    assert not _task(ours, slow, EngineRun("b", 3, 1.6, 1.4, 250, 1)).passed


def test_an_error_is_the_worst_in_points_whatever_the_gauge() -> None:
    exact = {"theta": {"ant": 1.0, "bee": 0.0, "cat": -1.0}}
    shifted = {"theta": {"ant": 6.0, "bee": 5.0, "cat": 4.0}}
    off = {"theta": {"ant": 1.0, "bee": 0.0, "cat": -1.03}}
    assert rating_comparison._error(shifted, exact) == pytest.approx(0, abs=1e-12)
    assert rating_comparison._error(off, exact) == pytest.approx(0.02 * POINTS_PER_LOGIT)


@pytest.mark.long
def test_a_child_that_fails_is_no_result() -> None:
    with pytest.raises(Unavailable, match="got: FileNotFoundError"):
        rating_comparison.run_child(
            [sys.executable, "-m", "pipeline.lab.bench.rating_tasks", "ratings", "nowhere.parquet", "1", "0"]
        )


@pytest.mark.long
def test_coverage_counts_models_by_votes_and_tells_a_ridge() -> None:
    steps: list[None] = []
    bands = simulate_coverage(60, seed=5, step=lambda: steps.append(None))
    assert [(band.low, band.high) for band in bands] == list(BANDS)
    assert [band.models for band in bands] == [13, 48, 68]
    assert len(steps) == 60
    for band in bands:
        assert band.exact == pytest.approx(0.95, abs=0.03)
        assert band.ridge <= band.exact
    assert bands[0].exact - bands[0].ridge > 0.015
    assert np.isfinite([band.exact for band in bands]).all()


@pytest.mark.long
def test_the_verb_simulates_coverage_and_refuses_what_it_does_not_know() -> None:
    assert main.__module__
    reported = CliRunner().invoke(app, ["bench", "ratings", "--only", "coverage", "--boards", "20", "--json"])
    found = json.loads(reported.stdout)
    assert found["tasks"] == []
    assert [band["models"] for band in found["coverage"]] == [13, 48, 68]
    assert (
        "Coverage of 95% intervals"
        in CliRunner().invoke(app, ["bench", "ratings", "--only", "coverage", "--boards", "10"]).stdout
    )
    wrong = CliRunner().invoke(app, ["bench", "ratings", "--only", "speed"])
    assert "got 'speed'" in str(wrong.exception)
