"""Connects to the clusters of the engines: opens a client, or starts a cluster on this machine.

A cluster's packages are not dependencies of the pipeline, except Dask, which the extra `compute` installs.
"""

from __future__ import annotations

import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

from joblib.externals.loky import get_reusable_executor

from pipeline.compute import engine as engines
from pipeline.compute.engine import Engine
from pipeline.compute.joblib_runner import JoblibRunner
from pipeline.errors import Unavailable

# Seconds to wait for a scheduler, and for its first worker.
_TIMEOUT = 15
_INSTALL = {
    "distributed": "leaderboard-integrity[compute]",
    "ray": "ray[default]",
    "joblibspark": "joblibspark pyspark",
    "pyspark": "pyspark",
}


@contextmanager
def open_cluster(engine: Engine) -> Iterator[JoblibRunner]:
    """Open an engine other than `local`, and yield its runner for the duration of a `with` block.

    Raises:
        Unavailable: a package of the engine is missing, or the cluster does not answer.
    """
    if engine.kind == engines.PROCESSES:
        try:
            yield JoblibRunner(engine, "loky", engine.workers or -1)
        finally:
            get_reusable_executor(reuse=True).shutdown()
        return
    opened = {"dask": _dask, "ray": _ray, "spark": _spark}[engine.kind]
    with opened(engine) as runner:
        yield runner


@contextmanager
def _dask(engine: Engine) -> Iterator[JoblibRunner]:
    distributed = _package(engine, "distributed")
    # A process for each processor, since a pass holds Python's lock half of the time.
    started = None if engine.address else distributed.LocalCluster(threads_per_worker=1, dashboard_address=None)
    with ExitStack() as opened:
        if started is not None:
            opened.callback(started.close)
        try:
            client = distributed.Client(started or f"tcp://{engine.address}", timeout=_TIMEOUT, set_as_default=False)
        except (OSError, TimeoutError) as error:
            raise _silent(engine, error) from None
        opened.callback(client.close)
        _check_dask_workers(engine, client)
        with warnings.catch_warnings():
            # A part of the votes has 25 MB, and must be in the task: data beside it is lost with its worker.
            warnings.filterwarnings("ignore", message="Sending large graph", category=UserWarning)
            yield JoblibRunner(engine, "dask", client=client)


def _check_dask_workers(engine: Engine, client: Any) -> None:
    """Wait for a worker, and check that the workers have this package."""
    try:
        client.wait_for_workers(1, timeout=_TIMEOUT)
    except TimeoutError:
        raise Unavailable(
            f"INTEGRITY_COMPUTE={engine}: expected a worker at this scheduler, got none within {_TIMEOUT} s: start one "
            f"with `dask worker tcp://{engine.address}`"
        ) from None
    for worker, found in client.run(_has_package, on_error="return").items():
        if found is not True:
            raise Unavailable(
                f"INTEGRITY_COMPUTE={engine}: expected the package leaderboard-integrity at the worker {worker}, got "
                f"{found!r}: install the version of this process there"
            )


def _has_package(*_: object) -> bool:
    """Return True. Python finds this function on a worker only if this package is installed there."""
    return True


@contextmanager
def _ray(engine: Engine) -> Iterator[JoblibRunner]:
    ray, backend = _package(engine, "ray"), _package(engine, "ray.util.joblib")
    _check_address(engine)
    try:
        ray.init(address=f"ray://{engine.address}" if engine.address else None, log_to_driver=False)
    except (OSError, ConnectionError, TimeoutError) as error:
        raise _silent(engine, error) from None
    try:
        backend.register_ray()
        yield JoblibRunner(engine, "ray")
    finally:
        ray.shutdown()


@contextmanager
def _spark(engine: Engine) -> Iterator[JoblibRunner]:
    pyspark, backend = _package(engine, "pyspark.sql"), _package(engine, "joblibspark")
    _check_address(engine)
    master = f"spark://{engine.address}" if engine.address else "local[*]"
    builder = pyspark.SparkSession.builder.master(master).appName("leaderboard-integrity")
    try:
        session = builder.config("spark.ui.showConsoleProgress", "false").getOrCreate()
    except Exception as error:
        raise _silent(engine, error) from None
    try:
        session.sparkContext.setLogLevel("ERROR")
        slots = _count_spark_slots(engine, session)
        _check_spark_workers(engine, session, slots)
        backend.register_spark()
        yield JoblibRunner(engine, "spark", slots)
    finally:
        session.stop()


def _count_spark_slots(engine: Engine, session: Any) -> int:
    """Wait for workers, and return how many tasks they run at the same time.

    Workers join one after another, so the number is taken when it has been the same for a second.
    """
    scala = session.sparkContext._jsc.sc()  # as joblibspark counts them
    end, before = time.monotonic() + _TIMEOUT, 0
    while time.monotonic() < end:
        slots = int(scala.maxNumConcurrentTasks(scala.resourceProfileManager().resourceProfileFromId(0)))
        if slots and slots == before:
            return slots
        before = slots
        time.sleep(1)
    if before:
        return before
    raise Unavailable(
        f"INTEGRITY_COMPUTE={engine}: expected a worker with a free core at this master, got none within {_TIMEOUT} s: "
        f"start one with `spark-class org.apache.spark.deploy.worker.Worker spark://{engine.address}`, or wait until "
        "other applications end"
    )


def _check_spark_workers(engine: Engine, session: Any, slots: int) -> None:
    """Check that the workers have this package, and the same version of Python."""
    try:
        session.sparkContext.parallelize(range(slots), slots).map(_has_package).collect()
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines()]
        said = next((line for line in lines if "Error: " in line or "Exception: [" in line), type(error).__name__)
        raise Unavailable(
            f"INTEGRITY_COMPUTE={engine}: expected the package leaderboard-integrity and this version of Python at "
            f"each worker, got {said}: install them there, and let PYSPARK_PYTHON name this Python"
        ) from None


def _check_address(engine: Engine) -> None:
    """Connect to a cluster's address. Spark and Ray themselves try for a minute and more."""
    if not engine.address:
        return
    host, _, port = engine.address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_TIMEOUT).close()
    except OSError as error:
        raise _silent(engine, error) from None


def _package(engine: Engine, name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise Unavailable(
            f"INTEGRITY_COMPUTE={engine}: expected the package {package}, which cannot be imported ({error}): "
            f"`pip install '{_INSTALL[package]}'`"
        ) from None


def _silent(engine: Engine, error: Exception) -> Unavailable:
    what = engine.address or "a cluster on this machine"
    return Unavailable(f"INTEGRITY_COMPUTE={engine}: expected an answer of {what}, got {type(error).__name__}: {error}")
