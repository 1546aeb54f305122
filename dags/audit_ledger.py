"""Audit the public ledger once a day: every leaf, figure and signature recomputed, no signed head taken back.

What a failure means, task by task. What is wrong is in the task's log, named by leaf or snapshot, and is a critical
alert that stays until a person resolves it; the audit changes nothing but damaged tiles, which it makes again.

| task  | it failed because                                    | look at                         | it can wait |
|-------|------------------------------------------------------|---------------------------------|-------------|
| audit | what is stored does not follow from the sealed votes | deploy/runbooks/audit-failed.md | no          |
| audit | the store is away (retried)                          | `integrity doctor`              | a day       |

When none has passed for 36 hours, run or not, Prometheus says so (deploy/runbooks/audit-stale.md).

Stop publishing before anything else when it fails: what is signed on top of a wrong log cannot be taken back. Clearing
the task is always safe. Backfilling is pointless: a run looks at the log as it is now.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException


@dag(
    dag_id="audit_ledger",
    schedule="15 4 * * *",
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
    tags=["integrity", "ledger"],
    doc_md=__doc__,
)
def audit_ledger() -> None:
    """One task: every part is looked at, whatever another one found."""

    @task
    def audit() -> dict[str, object]:
        """Recompute everything; what is returned says how much was looked at."""
        from pipeline import jobs  # noqa: PLC0415 - this file is parsed every 30 s

        report = jobs.audit_ledger(jobs.store_url())
        for part in report["parts"]:
            print(f"{'ok' if part['passed'] else 'WRONG'}: {part['name']}: {part['what']}")  # noqa: T201 - the task's log
        if not report["passed"]:
            wrong = "; ".join(part["what"] for part in report["parts"] if not part["passed"])
            # The same rows give the same answer: a retry would only wait.
            raise AirflowFailException(f"the ledger does not follow from the votes: {wrong}")
        return {part["name"]: part["what"] for part in report["parts"]}

    audit()


audit_ledger()
