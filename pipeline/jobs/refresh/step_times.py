"""Measures how long each step of a refresh takes, to show which step of a slow refresh is slow."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_seconds: ContextVar[dict[str, float] | None] = ContextVar("seconds", default=None)


@contextmanager
def measure_steps() -> Iterator[dict[str, float]]:
    """Collect the durations of the steps that run inside this context. A step is a `with step(name)` block.

    Yields:
        Name of a step → its duration in seconds of wall clock, rounded to milliseconds. The mapping is filled while the
        steps run. The duration of a step includes the steps inside it. The durations of a step that runs several times
        are summed.
    """
    found: dict[str, float] = {}
    token = _seconds.set(found)
    try:
        yield found
    finally:
        _seconds.reset(token)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Measure the duration of this context, and add it to the step `name`. Does nothing outside of `measure_steps`."""
    begun = time.perf_counter()
    try:
        yield
    finally:
        found = _seconds.get()
        if found is not None:
            found[name] = round(found.get(name, 0.0) + time.perf_counter() - begun, 3)
