"""The order of the files in a run.

A file is one process's work (Makefile). Those that take longest begin first, so that none is left alone at the end. The
order of the others changes little: a file that is not listed needs no line here.
"""

from __future__ import annotations

from pathlib import Path

# By their seconds in `make test-long`, the longest first.
LONGEST = (
    "unit/incidents/test_planted_campaigns.py",
    "faults/test_database.py",
    "security/test_http.py",
    "faults/test_broker.py",
    "faults/test_kills.py",
    "faults/test_processes.py",
    "faults/test_nemesis.py",
    "faults/test_refresh.py",
    "faults/test_clock.py",
    "security/test_hostile_matrix.py",
    "security/test_verifier.py",
    "integration/test_dags.py",
    "faults/test_followed_logs.py",
    "faults/test_sqlite.py",
    "benchmarks/test_bench_stream.py",
    "integration/test_worker.py",
    "integration/test_public_ledger.py",
    "integration/test_voter_state_replay.py",
    "security/test_connections.py",
    "faults/test_input.py",
    "integration/test_extend_guides.py",
    "unit/docs/test_extend_guides.py",
    "unit/lab/redteam/test_attack_scenarios.py",
    "unit/detectors/test_laws_windows.py",
    "integration/test_compose_rehearsal.py",
    "streams/test_honest_boards.py",
    "integration/test_prometheus_rules.py",
    "integration/test_acceptance.py",
    "integration/test_monitor.py",
)
_RANKS = {Path(__file__).parent / name: at for at, name in enumerate(LONGEST)}


def rank(file: Path) -> int:
    """Where a file stands: the longest, then all with services, then the unit tests."""
    return _RANKS.get(file, len(LONGEST) + ("unit" in file.parts))
