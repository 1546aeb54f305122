"""Audit the board once a day: variants, sampling, claims, connectivity, voters in lockstep, and the policy.

What a failure means: the table lists the possible reasons for each task. A finding is not a failure: it is in the log
of the task and, if it is certain enough, opens an alert. A failed run has changed nothing, and the next run audits
everything.

| task  | reason of the failure                            | look at                       | can wait    |
|-------|--------------------------------------------------|-------------------------------|-------------|
| seal  | the store does not answer                        | `integrity doctor`            | a day       |
| sweep | the store does not answer, or a file is not valid | `integrity sweep --store URL` | a day       |

`INTEGRITY_POLICY` names another policy file. `INTEGRITY_SECOND_BOARD` names a file with snapshots of another board to
compare with. The log of the task names an invalid file. A run is skipped while the log is empty. Clearing a task is
always safe, because the same votes and registry give the same findings, and an open alert is not opened twice. A
backfill of this DAG has no use, because a run always audits the current log.

A file of boards makes one such DAG for each board (integrity_boards.py). The parameter `settings` sets settings for one
run.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowSkipException
from integrity_boards import Board, read_boards


def make_dag(board: Board) -> None:
    """Create the DAG that audits one board."""

    @dag(
        **board.about("sweep_integrity", "30 3 * * *"),
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        default_args={
            "owner": "integrity",
            "retries": 2,
            "retry_delay": timedelta(minutes=5),
            "execution_timeout": timedelta(hours=1),
        },
        tags=board.tags("integrity", "audits"),
        doc_md=__doc__,
    )
    def sweep_integrity() -> None:
        """Run the task seal and then the task sweep, which runs all audits."""

        @task
        def seal() -> int:
            """Append committed votes to the vote log, because audits read sealed votes only."""
            from pipeline.jobs import dag_api  # noqa: PLC0415 - this file is parsed every 30 s

            with board.use() as store:
                log_size = dag_api.seal(store)
            if not log_size:
                raise AirflowSkipException("expected votes in the log, got none yet")
            return log_size

        @task
        def sweep(log_size: int) -> dict[str, object]:
            """Run every audit, and return a summary of the findings."""
            from pipeline.jobs import dag_api  # noqa: PLC0415

            with board.use() as store:
                report = dag_api.sweep(store)
            for finding in report["findings"]:
                line = f"{finding['severity']}: {finding['audit']}: {finding['what']}"
                print(dag_api.visible(line))  # noqa: T201 - the task's log
            return {
                "log_size": log_size,
                "votes": report["votes"],
                "findings": len(report["findings"]),
                "policy": {verdict["rule"]: verdict["passed"] for verdict in report["policy"]},
                "alerts": report["alerts"],
            }

        sweep(seal())

    sweep_integrity()


for one in read_boards():
    make_dag(one)
