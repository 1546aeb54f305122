"""Runs in a process of its own, because Airflow reads its environment at import.

python dag_run.py list DAGS           what the folder holds, as one JSON document on the last line
python dag_run.py run DAGS DAG_ID     one run by dag.test(): its state and its tasks' states and results
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag


def described(dag: Any) -> dict[str, Any]:
    return {
        "tags": sorted(dag.tags),
        "doc": dag.doc_md,
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "tasks": {
            task.task_id: {
                "owner": task.owner,
                "retries": task.retries,
                "retry_delay": task.retry_delay.total_seconds(),
                "downstream": sorted(task.downstream_task_ids),
                "outlets": [asset.name for asset in task.outlets],
            }
            for task in dag.tasks
        },
    }


def listed(folder: str) -> dict[str, Any]:
    started = time.perf_counter()
    bag = DagBag(dag_folder=folder)
    return {
        "seconds": time.perf_counter() - started,
        "errors": bag.import_errors,
        "dags": {name: described(dag) for name, dag in bag.dags.items()},
        "files": {name: Path(dag.fileloc).name for name, dag in bag.dags.items()},
        "heavy": sorted({"pipeline", "numpy", "great_expectations"} & (set(sys.modules) - BEFORE)),
    }


def ran(folder: str, name: str) -> dict[str, Any]:
    run = DagBag(dag_folder=folder).dags[name].test()
    tasks = {each.task_id: each for each in run.get_task_instances()}
    return {
        "state": str(run.state),
        "tasks": {name: str(each.state) for name, each in tasks.items()},
        "tries": {name: each.try_number for name, each in tasks.items()},
        "returned": {name: each.xcom_pull(task_ids=name) for name, each in tasks.items()},
    }


BEFORE = set(sys.modules)

if __name__ == "__main__":
    verbs = {"list": listed, "run": ran}
    print("\n" + json.dumps(verbs[sys.argv[1]](*sys.argv[2:])))  # noqa: T201
