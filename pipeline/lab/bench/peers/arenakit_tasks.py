"""Runs the audit of the package arenakit on one CSV file, and prints its time and figures as JSON.

    python arenakit_tasks.py FILE ROUNDS

The audit is `arenakit.probes.run_audit` with ROUNDS resamples, as arenakit's command line runs it. Reading the file is
timed separately.
"""

from __future__ import annotations

import json
import math
import sys
import time
from importlib.metadata import version
from typing import Any

from arenakit.probes import run_audit
from arenakit.schema import Arena, load_battles
from timed_task import peak_mb  # type: ignore[import-not-found]  # in this script's folder


def figures(audit: Any) -> dict[str, Any]:
    """Return name → figure of an audit, with the names that `pipeline.lab.bench.report_tasks.figures` uses."""
    by = {probe.name: probe for probe in audit.probes}
    detail = {name: probe.detail for name, probe in by.items()}
    cycles, clustered = detail["intransitivity"], detail["vote_clustering"]
    return {
        "theta": {row["model"]: row["score"] for row in audit.leaderboard},
        "gini": detail["coverage_imbalance"].get("gini"),
        "pairs_met": detail["coverage_imbalance"].get("pairs_played"),
        "separated_each": detail["separation"].get("n_resolved_marginal"),
        "separated_jointly": detail["separation"].get("n_resolved_simultaneous"),
        "median_rank_width": by["rank_volatility"].value,
        "position": by["position_bias"].value,
        "first_win_rate": detail["position_bias"].get("first_position_win_rate"),
        "tie_share": detail["tie_convention"].get("tie_share"),
        "rao_kupper": detail["tie_convention"].get("rao_kupper_theta"),
        "cyclic_triads": cycles.get("cyclic_triads"),
        "decided_triads": cycles.get("decided_triads"),
        "expected_cycles": cycles.get("expected_share"),
        "voter_inflation": clustered.get("se_ratio") if clustered.get("cluster") == "voter" else None,
        "busiest_share": clustered.get("top_percent_share") if clustered.get("cluster") == "voter" else None,
        "voter_influence": by["annotator_influence"].value,
    }


def main() -> None:
    """Run the audit on the file that the command line names, and print its time and figures as JSON."""
    started = time.perf_counter()
    arena = Arena(load_battles(sys.argv[1]))
    reading, started, used = time.perf_counter() - started, time.perf_counter(), time.process_time()
    audit = run_audit(arena, n_resamples=int(sys.argv[2]))
    seconds, cpu = time.perf_counter() - started, time.process_time() - used
    found = {name: None if isinstance(x, float) and math.isnan(x) else x for name, x in figures(audit).items()}
    document = {"reading": reading, "seconds": [seconds], "cpu": [cpu], "peak_mb": peak_mb(), "figures": found}
    sys.stdout.write(json.dumps({**document, "version": version("arenakit")}))


if __name__ == "__main__":
    main()
