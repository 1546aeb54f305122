"""Refresh the ratings on a schedule: seal the new votes, check them, rate them, publish a signed snapshot.

What a failure means, task by task. In every case the last snapshot stands and stays valid, and votes go on
being read; a run that is repeated finds what is already done and publishes nothing twice.

| task    | it failed because                            | look at                            | it can wait |
|---------|----------------------------------------------|------------------------------------|-------------|
| seal    | the store or the ledger's disk is away       | `integrity doctor`                 | 3 hours     |
| check   | a critical expectation failed (no retries)   | deploy/runbooks/quality-gate.md    | no          |
| rate    | the fit is refused: the board is split       | `integrity refresh --store URL`    | 3 hours     |
| publish | the signing key or the ledger's disk is away | `integrity doctor`                 | 3 hours     |

A run whose log is still empty is skipped: there is nothing to check or rate before the first vote.
One failed run may be ignored: the next one takes its votes along. From three hours on RatingRefreshStale
tells (deploy/runbooks/rating-refresh-stale.md). Clearing a task is always safe. Backfilling is pointless: a
run rates the log as it is now, whatever its date says.

Every hour, unless Airflow's own configuration has another cron: section `integrity`, key `refresh_cron`
(as a variable of the environment AIRFLOW__INTEGRITY__REFRESH_CRON).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import Asset, dag, task
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

EVERY_HOUR = "0 * * * *"

# For lineage and the page only. Nothing is scheduled on it: asset events can merge under load.
SNAPSHOT = Asset(name="integrity_snapshot", uri="integrity://snapshots/latest")


@dag(
    dag_id="refresh_ratings",
    schedule=conf.get("integrity", "refresh_cron", fallback=EVERY_HOUR),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,  # after an outage one run rates everything
    max_active_runs=1,
    is_paused_upon_creation=False,  # votes before the first snapshot get no evidence, ever
    default_args={
        "owner": "ratings",
        "retries": 3,
        "retry_delay": timedelta(minutes=2),
        "execution_timeout": timedelta(minutes=30),
    },
    tags=["integrity", "ratings"],
    doc_md=__doc__,
)
def refresh_ratings() -> None:
    """Seal → check → rate → publish.

    The store's address may hold a password: every task asks for it, so that it is never passed through XCom.
    """

    @task
    def seal() -> int:
        """Append committed votes to the log; its size is what this run is about."""
        from pipeline import jobs  # noqa: PLC0415 - this file is parsed every 30 s

        log_size = jobs.seal(jobs.store_url())
        if not log_size:
            raise AirflowSkipException("expected votes in the log, got none yet")
        return log_size

    @task
    def check(log_size: int) -> str:
        """Hold the votes against their expectations."""
        from pipeline import jobs  # noqa: PLC0415

        try:
            return jobs.check(jobs.store_url(), log_size)
        except jobs.QualityGate as fault:
            # The verdict follows from the log up to log_size: a retry would read the same votes and find the
            # same, only six minutes later. The next run has a longer log.
            raise AirflowFailException(str(fault)) from fault

    @task
    def rate(log_size: int) -> str:
        """Fit all views; a candidate that nobody sees yet."""
        from pipeline import jobs  # noqa: PLC0415

        return jobs.rate(jobs.store_url(), log_size)

    @task(outlets=[SNAPSHOT])
    def publish(candidate: str) -> dict[str, object]:
        """Sign the candidate and make it the latest snapshot."""
        from pipeline import jobs  # noqa: PLC0415

        return jobs.publish(jobs.store_url(), candidate)

    log_size = seal()
    candidate = rate(log_size)
    check(log_size) >> candidate
    publish(candidate)


refresh_ratings()
