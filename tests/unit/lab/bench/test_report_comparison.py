"""The comparison of probes with a peer, without the peer."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import BadInput
from pipeline.lab.bench.report_comparison import TOLERANCES, ReportComparison, compare_figures
from pipeline.lab.bench.report_table import write_report_votes
from pipeline.lab.bench.report_tasks import read_votes

FIGURES = {**dict.fromkeys(TOLERANCES, 1.0), "theta": {"x": 0.1, "y": -0.1}}


def _comparison(figures: dict[str, object], peer: float) -> ReportComparison:
    return ReportComparison(
        rounds=200, figures=compare_figures(FIGURES, figures), first=2.0, warm=1.0, peer=peer, cpu=1.0, peer_cpu=9.0,
        reading=1.0, peer_reading=1.0, peak_mb=1.0, peer_peak_mb=1.0, version="0.1.1",
    )  # fmt: skip


def test_equal_figures_and_ten_times_the_speed_pass() -> None:
    found = _comparison(FIGURES, 10.0)
    assert (found.ratio, found.ratio_first, found.ratio_cpu, found.passed) == (10.0, 5.0, 9.0, True)
    assert not _comparison(FIGURES, 9.9).passed


def test_a_figure_beyond_its_tolerance_does_not_pass() -> None:
    found = _comparison({**FIGURES, "gini": 1.001}, 10.0)
    assert [one.name for one in found.figures if one.agrees is False] == ["gini"]
    assert not found.passed


def test_ratings_are_compared_with_the_same_mean() -> None:
    shifted = {**FIGURES, "theta": {"x": 5.1, "y": 4.9}}
    assert _comparison(shifted, 10.0).figures[0].ours == pytest.approx(0.0, abs=1e-9)
    moved = {**FIGURES, "theta": {"x": 0.2, "y": -0.2}}
    assert not _comparison(moved, 10.0).passed


def test_a_figure_that_one_engine_lacks_is_not_compared() -> None:
    found = _comparison({**FIGURES, "voter_influence": None}, 10.0)
    assert [one.name for one in found.figures if one.agrees is None] == ["voter_influence"]
    assert found.passed


@pytest.mark.long
def test_the_task_prints_times_and_every_figure(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    write_report_votes(path, votes=3_000, models=10, voters=300)
    command = [sys.executable, "-m", "pipeline.lab.bench.report_tasks", str(path), "20", "2"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert len(found["seconds"]) == len(found["cpu"]) == 2
    assert found["figures"].keys() == FIGURES.keys()
    assert None not in found["figures"].values()


def test_a_file_with_an_unknown_winner_names_it(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("model_a,model_b,winner\nx,y,a\nx,y,left\n")
    with pytest.raises(BadInput, match="'left'"):
        read_votes(path)
    path.write_text("model_a,winner\nx,a\n")
    with pytest.raises(BadInput, match="model_b"):
        read_votes(path)
