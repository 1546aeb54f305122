"""Draws small changes of the pure packages and says how many of them the unit tests notice.

    python -m tests.mutants --seed 20261129 --count 200 --jobs 2 --package ratings

Each change (`mutations`) is tried in a copy of the checkout against the unit tests that reach it, the fastest first,
up to the first that fails. The same seed draws the same changes from the same code. The map of which test reaches
which line is made once for a state of the code and the tests (3 to 5 minutes) and kept in the folder for temporary
files.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import random
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tests.mutants.mutations import Mutation, mutations
from tests.mutants.trials import FORK, ROOT, UNIT, Reach, Trials, measure

say = functools.partial(print, flush=True)

# Of each package the files or folders that are mutated.
PACKAGES = {name: [f"pipeline/{name}"] for name in ("ratings", "evidence", "ledger", "detectors", "audits", "scoring")}


def files(package: str) -> list[Path]:
    """The modules of a package.

    Raises:
        SystemExit: one of its paths is missing.
    """
    found: list[Path] = []
    for name in PACKAGES[package]:
        path = ROOT / name
        modules = sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.is_file() else []
        if not modules:
            raise SystemExit(f"expected the code of {package} at {name}, found none: correct PACKAGES in {__file__}")
        found += [module.relative_to(ROOT) for module in modules]
    return found


def draw(packages: list[str], seed: int, count: int) -> list[tuple[str, Mutation]]:
    """A sample without replacement, each possible change as likely as any other."""
    possible = [(name, one) for name in packages for file in files(name) for one in mutations(ROOT, file)]
    chosen = random.Random(seed).sample(possible, min(count, len(possible)))  # noqa: S311
    return sorted(chosen, key=lambda pair: (pair[0], pair[1].path, pair[1].start))


def reach() -> Reach:
    """The map of this state of code and tests, from the last run that made it."""
    tracked = [path for folder in ("pipeline", UNIT) for path in sorted((ROOT / folder).rglob("*.py"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in tracked)).hexdigest()[:16]
    kept = Path(tempfile.gettempdir()) / f"mutants-map-{digest}.json"
    if not kept.exists():
        say("running the unit tests once under coverage …")
        made = measure()
        kept.write_text(json.dumps([made.seconds, made.lines]))
    return Reach(*json.loads(kept.read_text()))


@functools.cache
def trials() -> Trials:
    return Trials()


def attempt(task: tuple[Mutation, list[str], list[float]]) -> bool:
    return trials().noticed(*task)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=1, help="trials at a time")
    parser.add_argument("--package", action="append", choices=PACKAGES, help="once or more; by default all")
    asked = parser.parse_args()
    drawn = draw(asked.package or list(PACKAGES), asked.seed, asked.count)
    map_of_tests = reach()
    of, noticed = Counter[str](), Counter[str]()
    with ProcessPoolExecutor(asked.jobs, mp_context=FORK) as pool:
        running = {}
        for package, mutation in drawn:
            tests = map_of_tests.tests(mutation)
            task = mutation, tests, [map_of_tests.seconds[test] for test in tests]
            running[pool.submit(attempt, task)] = package, mutation, len(tests)
        for done in as_completed(running):
            package, mutation, tests_tried = running[done]
            of[package] += 1
            noticed[package] += done.result()
            if not done.result():
                source = (ROOT / mutation.path).read_bytes()
                say(f"{mutation.path}:{mutation.line}: {mutation.shown(source)}  ({tests_tried} tests)")
    for package in sorted(of):
        say(f"{package:12}{noticed[package]:4} of {of[package]:4} noticed")
    say(f"{'all':12}{noticed.total():4} of {of.total():4} noticed ({noticed.total() / of.total():.0%})")


if __name__ == "__main__":
    main()
