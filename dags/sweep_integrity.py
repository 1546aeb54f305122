"""Audit the board once a day: variants, sampling against policy, claims, graph, lockstep, the policy's five rules.

What a failure means, task by task. A finding is no failure: it is in the task's log and, where it is certain enough,
an alert; a failed run has looked at nothing and changed nothing, and the next one looks at everything.

| task  | it failed because                          | look at                      | it can wait |
|-------|--------------------------------------------|------------------------------|-------------|
| seal  | the store is away                          | `integrity doctor`           | a day       |
| sweep | the store is away, or a file is wrong   | `integrity sweep --store URL` | a day       |

`INTEGRITY_POLICY` names a policy of one's own, `INTEGRITY_SECOND_BOARD` another board's snapshots for a second opinion;
a wrong file is named in the task's log.
A run whose log is still empty is skipped. Clearing a task is always safe: the same votes and registry give the same
findings, and an alert that is open is not opened twice. Backfilling is pointless: a run looks at the log as it is now.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowSkipException


@dag(
    dag_id="sweep_integrity",
    schedule="30 3 * * *",
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
    tags=["integrity", "audits"],
    doc_md=__doc__,
)
def sweep_integrity() -> None:
    """Seal → sweep. The store's address may hold a password: it is never passed through XCom."""

    @task
    def seal() -> int:
        """Append committed votes to the log: audits look at sealed votes."""
        from pipeline import jobs  # noqa: PLC0415 - this file is parsed every 30 s

        log_size = jobs.seal(jobs.store_url())
        if not log_size:
            raise AirflowSkipException("expected votes in the log, got none yet")
        return log_size

    @task
    def sweep(log_size: int) -> dict[str, object]:
        """Run every audit; what is returned is the summary, the findings are alerts."""
        from pipeline import jobs  # noqa: PLC0415

        report = jobs.sweep(jobs.store_url())
        for finding in report["findings"]:
            print(f"{finding['severity']}: {finding['audit']}: {finding['what']}")  # noqa: T201 - the task's log
        return {
            "log_size": log_size,
            "votes": report["votes"],
            "findings": len(report["findings"]),
            "policy": {verdict["rule"]: verdict["passed"] for verdict in report["policy"]},
            "alerts": report["alerts"],
        }

    sweep(seal())


sweep_integrity()
