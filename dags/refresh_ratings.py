"""Refresh the ratings on a schedule: seal and check the new votes, rate all votes, and publish a signed snapshot.

What a failure means: the table lists the possible reasons for each task. In every case the last snapshot stays valid,
and workers keep reading votes. A repeated run continues where the failed run ended, and publishes nothing twice.

| task           | reason of the failure                        | look at                         | can wait    |
|----------------|----------------------------------------------|---------------------------------|-------------|
| seal           | the store or the ledger's disk is missing    | `integrity doctor`              | 2 hours     |
| check          | a critical expectation failed (no retries)   | deploy/runbooks/quality-gate.md | no          |
| rate           | the models cannot be compared                | `integrity refresh --store URL` | 2 hours     |
| check_snapshot | a critical expectation failed (no retries)   | deploy/runbooks/quality-gate.md | no          |
| publish        | the signing key or the disk is missing       | `integrity doctor`              | 2 hours     |
| publish        | the top moves too far, a person must release | deploy/runbooks/publication-held.md | 2 hours |

The task announce emits an event of the asset `integrity_snapshot` after each new snapshot, with its id, for other DAGs.
The task is skipped if nothing new was published. Airflow may merge events, so a reader of them takes the newest
snapshot.

A run is skipped while the log is empty, because there is nothing to check or rate before the first vote. "Can wait"
counts from the last successful run. One failed run may be ignored, because the next run includes its votes. Two hours
and about ten minutes after the last successful run, the alert FreshnessBudgetBurn calls the person on duty
(deploy/runbooks/freshness-budget-burn.md). This is not sent while QualityGateFailed or PublicationHeld fires, because
these state the cause. RatingRefreshStale fires after three hours, and is not sent while one of the three other alerts
fires. Clearing a task is always safe. Clearing `announce` alone announces the snapshot of its run again. A backfill of
this DAG has no use, because a run always rates the current log.

The DAG runs every hour, unless Airflow's configuration has another cron: section `integrity`, key `refresh_cron`
(environment variable AIRFLOW__INTEGRITY__REFRESH_CRON). A file of boards makes one such DAG for each board
(integrity_boards.py). The parameter `settings` sets settings for one run: {"method": "none"}.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, get_current_context, task
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from integrity_boards import Board, read_boards

EVERY_HOUR = "0 * * * *"


def make_dag(board: Board) -> None:  # noqa: PLR0915 - six tasks
    """Create the DAG that refreshes the ratings of one board."""

    @dag(
        **board.about("refresh_ratings", conf.get("integrity", "refresh_cron", fallback=EVERY_HOUR)),
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,  # after an outage one run rates everything
        max_active_runs=1,
        is_paused_upon_creation=False,  # votes before the first snapshot never get evidence
        default_args={
            "owner": "ratings",
            "retries": 3,
            "retry_delay": timedelta(minutes=2),
            "execution_timeout": timedelta(minutes=30),
        },
        tags=board.tags("integrity", "ratings"),
        doc_md=__doc__,
    )
    def refresh_ratings() -> None:
        """Run the tasks of a refresh in this order: seal, check, rate, check_snapshot, publish, announce."""

        @task
        def seal() -> int:
            """Append committed votes to the vote log, and return the size of the log for the other tasks."""
            from pipeline.jobs import dag_api  # noqa: PLC0415 - this file is parsed every 30 s

            with board.use() as store:
                log_size = dag_api.seal(store)
            if not log_size:
                raise AirflowSkipException("expected votes in the log, got none yet")
            return log_size

        @task
        def check(log_size: int) -> str:
            """Evaluate the expectations on the new votes and registry events."""
            from pipeline.jobs import dag_api  # noqa: PLC0415

            try:
                with board.use() as store:
                    return dag_api.check(store, log_size)
            except dag_api.QualityGate as fault:
                # The verdict depends on the log up to log_size alone: a retry would fail again, six minutes later.
                # The next run has a longer log.
                raise AirflowFailException(str(fault)) from fault

        @task
        def rate(log_size: int) -> str:
            """Rate all views, and store them as a candidate, which readers do not see yet."""
            from pipeline.jobs import dag_api  # noqa: PLC0415

            with board.use() as store:
                return dag_api.rate(store, log_size)

        @task
        def check_snapshot(candidate: str) -> None:
            """Evaluate the expectations on the candidate's rows."""
            from pipeline.jobs import dag_api  # noqa: PLC0415

            try:
                with board.use() as store:
                    dag_api.check_snapshot(store, candidate)
            except dag_api.QualityGate as fault:
                raise AirflowFailException(str(fault)) from fault  # the same candidate has the same rows

        @task
        def publish(candidate: str) -> dict[str, object]:
            """Sign the candidate and make it the newest snapshot."""
            from pipeline.jobs import dag_api  # noqa: PLC0415

            begun = get_current_context()["dag_run"].start_date
            try:
                with board.use() as store:
                    published = dag_api.publish(store, candidate)
                    # Asked of the store, so that a repeated task still knows it. Asked in this task, because a
                    # cleared run gets a new start: `announce`, if it alone is cleared, could not ask.
                    new = dag_api.is_published_since(store, published["snapshot"], begun)
                    return {**published, "new": new}
            except dag_api.PublicationHeld as fault:
                raise AirflowFailException(str(fault)) from fault  # a retry would be held too: a person decides

        @task(outlets=[board.snapshot])
        def announce(published: dict[str, object]) -> None:
            """Emit an event of the asset if this run has published a snapshot, with the snapshot's id and number."""
            if not published["new"]:
                raise AirflowSkipException("expected a new snapshot, got the one of an earlier run")
            extra = {name: published[name] for name in ("snapshot", "sequence", "log_size")}
            get_current_context()["outlet_events"][board.snapshot].extra = {"board": board.name, **extra}

        log_size = seal()
        candidate = rate(log_size)
        check(log_size) >> candidate
        published = publish(candidate)
        check_snapshot(candidate) >> published
        announce(published)

    refresh_ratings()


for one in read_boards():
    make_dag(one)
