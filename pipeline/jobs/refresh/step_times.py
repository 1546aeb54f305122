"""Measures how long each step of a refresh takes, so that the owner of a slow refresh sees which step is slow."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_seconds: ContextVar[dict[str, float] | None] = ContextVar("seconds", default=None)


@contextmanager
def measure_steps() -> Iterator[dict[str, float]]:
    """Collect the times of the steps inside this context.

    Yields:
        Name of a step → seconds of wall clock, rounded to milliseconds; filled while the steps run. The time of a step
        includes the steps inside it. A step that runs twice has the sum.
    """
    found: dict[str, float] = {}
    token = _seconds.set(found)
    try:
        yield found
    finally:
        _seconds.reset(token)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Add the time of this context to the step `name`. Outside of `measure_steps` nothing is collected."""
    begun = time.perf_counter()
    try:
        yield
    finally:
        found = _seconds.get()
        if found is not None:
            found[name] = round(found.get(name, 0.0) + time.perf_counter() - begun, 3)
