"""The peers as oracles: which engine is at the optimum? `make test-peers` makes their environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.lab.bench import rating_tables
from pipeline.lab.bench.rating_comparison import RatingComparison
from pipeline.lab.bench.report_comparison import compare_reports
from pipeline.lab.bench.report_table import write_report_votes

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-bench/bin/python"

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("peers") / "small.parquet"
    rating_tables.write_synthetic_votes(path, 60_000, 20, seed=2)
    return path


@pytest.fixture(scope="module")
def bench() -> RatingComparison:
    return RatingComparison(PYTHON, repeats=2, peer_rounds=4, report=lambda _: None)


def test_peers_agree_with_us_as_closely_as_they_converge(bench: RatingComparison, small: Path) -> None:
    task = bench.ratings("synthetic", small)
    assert [run.engine for run in task.runs] == ["integrity", "arena-rank", "evalica"]
    assert task.ours.error == 0
    assert all(run.error < 2 for run in task.runs[1:])
    assert task.runs[2].error < 1e-2
    assert bench.versions["arena-rank"] == "0.1.1"


def test_the_peer_without_its_ridge_agrees_on_style_and_with_it_does_not(bench: RatingComparison, small: Path) -> None:
    task = bench.style("synthetic", small)
    ridge, plain = task.runs[1:]
    assert plain.error < 2
    assert ridge.error > 5 * plain.error


def test_the_figures_of_probes_agree_with_arenakit(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    # So few voters that arenakit leaves each of them out in turn.
    write_report_votes(path, votes=20_000, models=12, voters=120)
    found = compare_reports(PYTHON, path, 400, lambda _: None)
    assert found.version == "0.1.1"
    assert [(one.name, one.ours, one.peer) for one in found.figures if one.agrees is not True] == []
