"""Runs in a process of its own, because Airflow reads its environment at import.

python dag_run.py list DAGS FILE…     what the folder holds, as one JSON document on the last line; and what reading
                                      each of these files of boards says
python dag_run.py run DAGS DAG_ID     one run by dag.test(): its state, its tasks' states and results, its events; a
                                      third word is the run's configuration as JSON
python dag_run.py serve               one such run for each line of stdin, {environment, words, log}: in a process of
                                      its own, forked from this one, which has imported what takes seconds; what it
                                      prints is in the file `log`, its exit status is printed here
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import httpx
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.models.asset import AssetEvent
from airflow.utils.session import create_session
from sqlalchemy import select


def described(dag: Any) -> dict[str, Any]:
    return {
        "tags": sorted(dag.tags),
        "doc": dag.doc_md,
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "schedule": dag.schedule,
        "params": {name: param.schema.get("type") for name, param in dag.params.items()},
        "tasks": {
            task.task_id: {
                "owner": task.owner,
                "retries": task.retries,
                "retry_delay": task.retry_delay.total_seconds(),
                "downstream": sorted(task.downstream_task_ids),
                "outlets": [f"{asset.name} {asset.uri}" for asset in task.outlets],
            }
            for task in dag.tasks
        },
    }


def listed(folder: str, *files: str) -> dict[str, Any]:
    started = time.perf_counter()
    bag = BundleDagBag(dag_folder=folder, bundle_path=Path(folder))
    return {
        "seconds": time.perf_counter() - started,
        "errors": bag.import_errors,
        "dags": {name: described(dag) for name, dag in bag.dags.items()},
        "files": {name: Path(dag.fileloc).name for name, dag in bag.dags.items()},
        "heavy": sorted({"pipeline", "numpy", "great_expectations"} & (set(sys.modules) - BEFORE)),
        "boards": faults(*files),
    }


def ran(folder: str, name: str, conf: str = "{}") -> dict[str, Any]:
    run = BundleDagBag(dag_folder=folder, bundle_path=Path(folder)).dags[name].test(run_conf=json.loads(conf))
    tasks = {each.task_id: each for each in run.get_task_instances()}
    return {
        "state": str(run.state),
        "tasks": {name: str(each.state) for name, each in tasks.items()},
        "tries": {name: each.try_number for name, each in tasks.items()},
        "returned": {name: each.xcom_pull(task_ids=name) for name, each in tasks.items()},
        "events": events(name, run.run_id),
    }


def events(dag_id: str, run_id: str) -> list[dict[str, Any]]:
    """The asset events of a run: the asset and what the event says besides."""
    with create_session() as session:
        chosen = select(AssetEvent).where(AssetEvent.source_dag_id == dag_id, AssetEvent.source_run_id == run_id)
        return [{"asset": each.asset.name, "extra": each.extra} for each in session.scalars(chosen)]


def faults(*files: str) -> dict[str, str]:
    """File of boards → the error that reading it raises, with its type."""
    from integrity_boards import read_boards

    found = {}
    for file in files:
        os.environ["AIRFLOW__INTEGRITY__BOARDS"] = file
        try:
            found[file] = f"{len(read_boards())} boards"
        except Exception as error:
            found[file] = f"{type(error).__name__}: {error}"
    return found


BEFORE = set(sys.modules)
VERBS = {"list": listed, "run": ran}


def answer(verb: str, *words: str) -> None:
    print("\n" + json.dumps(VERBS[verb](*words)), flush=True)  # noqa: T201


def serve() -> None:
    import great_expectations  # noqa: F401 - what a refresh spends its time on
    from airflow.sdk.execution_time.supervisor import in_process_api_server

    import pipeline.jobs  # noqa: F401

    asyncio.run(warmed(in_process_api_server().app))
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            forked(**json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201


async def warmed(api: Any) -> None:
    """What tasks talk to makes its routes when it is first asked, which takes seconds."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://here") as client:
        (await client.get("/health")).raise_for_status()


def forked(environment: dict[str, str], words: list[str], log: str) -> None:
    """Never returns: what follows is the parent's."""
    status = 1
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT, 0o600)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(descriptor, stream.fileno())
        os.environ.update(environment)
        answer(*words)
        status = 0
    except BaseException:  # whatever it is, it belongs into the log
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        answer(*sys.argv[1:])
