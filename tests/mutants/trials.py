"""Runs unit tests in a copy of the checkout: all of them once for the map, then the chosen ones for each mutation.

Every run is a fork of a process that has imported the libraries and nothing of the project, so that a trial costs
its tests and not the imports.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import coverage
import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.mutants.mutations import Mutation

ROOT = Path(__file__).parents[2]
UNIT = "tests/unit"
# What the tests, their fixtures and pytest's plugins import; a fork has it already.
LIBRARIES = (
    "numpy", "scipy.stats", "scipy.sparse.csgraph", "scipy.optimize", "pyarrow.parquet", "pyarrow.compute", "pandas",
    "cryptography", "msgspec", "sqlalchemy", "kafka.admin", "psycopg", "schemathesis.pytest.plugin", "jsonschema",
)  # fmt: skip
OPTIONS = ["-q", "-p", "no:cacheprovider", "--no-header", "--tb=no", "-rfE"]
# A mutation may make a loop endless: seconds that one test may take, and all of a trial. Ten times what they take
# unchanged is beyond the noise of a busy machine.
ONE_TEST, ALL_TESTS, TIMES = 20.0, 120.0, 10.0

FORK = multiprocessing.get_context("fork")


class Chosen:
    """A pytest plugin: runs the tests with these ids in this order, and keeps the seconds that each took."""

    def __init__(self, ids: Iterable[str] | None = None) -> None:
        self.order = None if ids is None else {test: i for i, test in enumerate(ids)}
        self.seconds: dict[str, float] = defaultdict(float)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for node in {node for item in items for node in item.listchain()}:  # the map needs every test
            node.own_markers = [mark for mark in node.own_markers if mark.name != "no_cover"]
        if self.order is not None:
            items[:] = sorted((i for i in items if i.nodeid in self.order), key=lambda i: self.order[i.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration


def copy_checkout() -> Path:
    """A copy of what git tracks, and of new files that it does not ignore, outside of the checkout."""
    target = Path(tempfile.mkdtemp(prefix="mutants-"))
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def _in_copy(copy: Path, arguments: list[str], plugin: Chosen, seconds_to: Path | None) -> None:
    os.setsid()
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy)
    sys.path[:] = [str(copy), *(entry for entry in sys.path if entry and Path(entry).resolve() != ROOT)]
    for name in [name for name in sys.modules if name.split(".")[0] in ("tests", "pipeline")]:
        del sys.modules[name]
    sink = os.open(os.devnull if seconds_to is None else copy / "map.log", os.O_WRONLY | os.O_CREAT)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    # The same examples each time; a failing one is not made small.
    settings.register_profile(
        "mutants",
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("mutants")
    code = pytest.main([*OPTIONS, *arguments], plugins=[plugin])
    if seconds_to is not None:
        seconds_to.write_text(json.dumps(plugin.seconds))
    sys.stdout.flush()
    os._exit(int(code))


def _run(copy: Path, arguments: list[str], plugin: Chosen, limit: float | None, seconds_to: Path | None = None) -> int:
    """The exit code of pytest, or −1 when the time was over."""
    process: Any = FORK.Process(target=_in_copy, args=(copy, arguments, plugin, seconds_to))
    process.start()
    process.join(limit)
    if process.exitcode is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
        return -1
    return int(process.exitcode)


class Reach:
    """Which tests reach a line, and how long each takes."""

    def __init__(self, seconds: dict[str, float], lines: dict[str, dict[str, list[str]]]) -> None:
        self.seconds, self.lines = seconds, lines

    def tests(self, mutation: Mutation) -> list[str]:
        """The tests that reach the mutated statement, the fastest first.

        What runs at import is reached by no test in particular: then these are all that reach the file, and all of
        the files that import it.
        """
        reached = self.lines.get(str(mutation.path), {})
        first, last = mutation.lines
        found = {test for line in range(first, last + 1) for test in reached.get(str(line), [])}
        if not found:
            module = ".".join(mutation.path.with_suffix("").parts)
            files = [path for path in self.lines if path == str(mutation.path) or module in (ROOT / path).read_text()]
            found = {test for path in files for tests in self.lines[path].values() for test in tests}
        return sorted(found, key=lambda test: (self.seconds[test], test))


def measure(tests: Sequence[str] = (UNIT,)) -> Reach:
    """Run tests once under coverage, by default all unit tests.

    Raises:
        SystemExit: a test fails without any change.
    """
    copy = copy_checkout()
    try:
        seconds_to = copy / "seconds.json"
        options = ["--cov", "--cov-context=test", "--cov-report=", "--cov-fail-under=0"]
        code = _run(copy, [*tests, *options], Chosen(), None, seconds_to)
        if code:
            failed = [
                line for line in (copy / "map.log").read_text().splitlines() if line.startswith(("FAILED", "ERR"))
            ]
            raise SystemExit("expected unit tests that pass without a change, got:\n" + "\n".join(failed))
        seconds = json.loads(seconds_to.read_text())
        data = coverage.CoverageData(str(copy / ".coverage"))
        data.read()
        lines = {}
        for file in data.measured_files():
            by_line = data.contexts_by_lineno(file)
            path = str(Path(file).relative_to(copy.resolve()))
            lines[path] = {str(n): _tests_of(contexts, seconds) for n, contexts in by_line.items() if any(contexts)}
        return Reach(seconds, lines)
    finally:
        shutil.rmtree(copy)


def _tests_of(contexts: list[str], seconds: dict[str, float]) -> list[str]:
    """The tests of the contexts `id|setup`, `id|run` and `id|teardown`; a setup may be shared by a file's tests."""
    found = set()
    for context in filter(None, contexts):
        test, _, phase = context.rpartition("|")
        file = test.split("::")[0]
        found |= {test} if phase == "run" else {one for one in seconds if one.split("::")[0] == file}
    return sorted(found)


class Trials:
    """Tries mutations one after another in a copy of its own."""

    def __init__(self) -> None:
        for name in LIBRARIES:
            importlib.import_module(name)
        self.copy = copy_checkout()

    def noticed(self, mutation: Mutation, tests: list[str], seconds: list[float]) -> bool:
        """Whether one of these tests fails, or does not end, with the mutation; `seconds` is what they take without."""
        if not tests:
            return False
        file = self.copy / mutation.path
        source = file.read_bytes()
        compiled = Path(importlib.util.cache_from_source(str(file)))
        try:
            file.write_bytes(mutation.applied(source))
            compiled.unlink(missing_ok=True)
            files = sorted({test.split("::")[0] for test in tests})
            one, all_ = ONE_TEST + TIMES * max(seconds), ALL_TESTS + TIMES * sum(seconds)
            code = _run(self.copy, ["-x", f"--timeout={one:.0f}", *files], Chosen(tests), all_)
            if code == pytest.ExitCode.NO_TESTS_COLLECTED:
                raise RuntimeError(f"none of {tests[:3]}… was found")
            return code != 0
        finally:
            file.write_bytes(source)
            compiled.unlink(missing_ok=True)
