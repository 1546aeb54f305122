"""Times the calls of one rating task, and prints the result as JSON.

A task computes ratings with one engine: this project or a peer, which is another rating package. The tasks of peers run
in child processes, in an environment without this project. So this module must not import other modules of this
project.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# Models, θ of each, coefficients of the style features.
Result = tuple[Sequence[str], Any, list[float]]


def peak_mb() -> float:
    """Return the largest resident set of this process so far, in MB.

    The value is read from /proc if that exists, because `ru_maxrss` includes the parent process on Linux.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def time_calls(run: Callable[[], Result], repeats: int, version: str) -> None:
    """Call a task several times, and print one JSON document with times, CPU times, peak memory and the last result.

    Args:
        run: the task. It returns the names of the models, their ratings in logits, and the style coefficients.
        repeats: number of calls.
        version: version of the engine; "" for this project.
    """
    seconds, cpu = [], []
    for _ in range(repeats):
        started, used = time.perf_counter(), time.process_time()
        models, theta, coefficients = run()
        seconds.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
    result = {
        "seconds": seconds,
        "cpu": cpu,
        "peak_mb": peak_mb(),
        "theta": dict(zip(models, map(float, theta), strict=True)),
        "coefficients": coefficients,
        "version": version,
    }
    sys.stdout.write(json.dumps(result))
