"""Audit the public ledger once a day: recompute every leaf and figure, and check all signatures and checkpoints.

What a failure means: the table lists the possible reasons for each task. The log of the task names the wrong leaf or
snapshot. A critical alert stays open until a person resolves it. The audit changes nothing except damaged tiles, which
it rebuilds.

| task  | reason of the failure                                | look at                         | can wait    |
|-------|------------------------------------------------------|---------------------------------|-------------|
| audit | what is stored does not follow from the sealed votes | deploy/runbooks/audit-failed.md | no          |
| audit | the store does not answer (retried)                  | `integrity doctor`              | a day       |

Prometheus alerts when no audit has passed for 36 hours (deploy/runbooks/audit-stale.md).

If the audit fails, first stop publishing, because a signature on a wrong log cannot be taken back. Clearing the task is
always safe. A backfill of this DAG has no use, because a run always audits the current log.

A file of boards makes one such DAG for each board (integrity_boards.py). The parameter `settings` sets settings for one
run.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException
from integrity_boards import Board, read_boards


def make_dag(board: Board) -> None:
    """Create the DAG that audits the ledger of one board."""

    @dag(
        **board.about("audit_ledger", "15 4 * * *"),
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        default_args={
            "owner": "integrity",
            "retries": 2,
            "retry_delay": timedelta(minutes=5),
            "execution_timeout": timedelta(hours=3),
        },
        tags=board.tags("integrity", "ledger"),
        doc_md=__doc__,
    )
    def audit_ledger() -> None:
        """Audit the ledger in one task that makes all checks."""

        @task
        def audit() -> dict[str, object]:
            """Make all checks, and return what each check covered."""
            from pipeline.jobs import dag_api  # noqa: PLC0415 - this file is parsed every 30 s

            with board.use() as store:
                report = dag_api.audit_ledger(store)
            for part in report["parts"]:
                line = f"{'ok' if part['passed'] else 'WRONG'}: {part['name']}: {part['what']}"
                print(dag_api.visible(line))  # noqa: T201 - the task's log
            if not report["passed"]:
                wrong = "; ".join(dag_api.visible(part["what"]) for part in report["parts"] if not part["passed"])
                # The same rows fail again: a retry would only wait.
                raise AirflowFailException(f"the ledger does not follow from the votes: {wrong}")
            return {part["name"]: part["what"] for part in report["parts"]}

        audit()

    audit_ledger()


for one in read_boards():
    make_dag(one)
