"""Opens the engine that the setting INTEGRITY_COMPUTE names, so that passes over segments can run on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.compute import engine as engines
from pipeline.compute.thread_runner import ThreadRunner

if TYPE_CHECKING:
    from pipeline.compute.engine import Engine
    from pipeline.compute.runner import Runner


@contextmanager
def open_runner(engine: Engine) -> Iterator[Runner]:
    """Open an engine, and yield its runner for the duration of a `with` block.

    A cluster that was started here ends with the block.

    Raises:
        Unavailable: a package of the engine is missing, or the cluster does not answer.
    """
    if engine.kind == engines.LOCAL:
        yield ThreadRunner()
        return
    from pipeline.compute.clusters import open_cluster  # noqa: PLC0415 - joblib takes 0.2 s, and most commands need none

    with open_cluster(engine) as runner:
        yield runner
