"""Evaluate the votes of the last weeks again every night, to find attacks by many accounts with few votes each.

What a failure means: the table lists the possible reasons. A finding is not a failure: it is in the log of the task and
opens an alert. A failed run has changed nothing, and the next run evaluates the same weeks.

| task       | reason of the failure                         | look at                              | can wait |
|------------|-----------------------------------------------|--------------------------------------|----------|
| reevaluate | the store does not answer                     | `integrity doctor`                   | a day    |
| reevaluate | memory: half a gigabyte for a million votes   | fewer weeks: INTEGRITY_NIGHTLY_WEEKS | a week   |

`INTEGRITY_NIGHTLY_WEEKS` is the number of weeks, `INTEGRITY_NIGHTLY_SHARE` the tolerated share of false findings over
all nights. Clearing the task is always safe, because the same votes give the same findings, and an open alert is not
opened twice. A run is skipped while the store has no vote. A backfill of this DAG has no use, because a run always
reads the newest weeks. The task first evaluates the votes from before the first snapshot, as `integrity backfill` does.

A file of boards makes one such DAG for each board (integrity_boards.py). The parameter `settings` sets settings for one
run.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowSkipException
from integrity_boards import Board, read_boards


def make_dag(board: Board) -> None:
    """Create the DAG that evaluates the last weeks of one board."""

    @dag(
        **board.about("reevaluate", "15 4 * * *"),
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        default_args={
            "owner": "integrity",
            "retries": 2,
            "retry_delay": timedelta(minutes=5),
            "execution_timeout": timedelta(hours=2),
        },
        tags=board.tags("integrity", "evidence"),
        doc_md=__doc__,
    )
    def reevaluate() -> None:
        """Evaluate the votes of the last weeks again, in one task."""

        @task(task_id="reevaluate")
        def evaluate() -> dict[str, object]:
            """Evaluate the last weeks, and return a summary of the findings."""
            from pipeline.jobs import dag_api  # noqa: PLC0415 - this file is parsed every 30 s

            with board.use() as store:
                report = dag_api.reevaluate(store)
            if not report["votes"]:
                raise AirflowSkipException("expected votes in the store, got none yet")
            for finding in report["findings"]:
                line = f"{finding['severity']}: {finding['detector']}: {finding['what']}"
                print(dag_api.visible(line))  # noqa: T201 - the task's log
            return {name: report[name] for name in ("votes", "voters", "rounds", "found", "level", "unchecked")}

        evaluate()

    reevaluate()


for one in read_boards():
    make_dag(one)
