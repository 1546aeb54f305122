"""Reads the state of the store for the metrics exporter."""

from dataclasses import asdict

from sqlalchemy.engine import Connection

from pipeline import settings as configuration
from pipeline.jobs.incident_status import OPEN_STATES, read_incident_figures
from pipeline.jobs.refresh.rating_input import VIEWS
from pipeline.metrics import StoreStatus
from pipeline.store import Store
from pipeline.store.alerting import operators_log, voter_share
from pipeline.store.boards import publication_holds, snapshots, verdicts
from pipeline.store.boards.hidden_models import HiddenModels
from pipeline.store.cold import cold_files
from pipeline.store.read import store_figures
from pipeline.store.votes import arrow_reader, closed_windows, partitions, unchecked_votes
from pipeline.vocabulary.fates import FATES
from pipeline.vocabulary.time import SECOND


def read_store_status(store: Store) -> StoreStatus:
    """Return the current values of all metrics that the exporter reads from the store."""
    with store.read() as connection:
        places = {(p["source"], str(p["number"])): p for p in store_figures.list_partitions(connection)}
        fates = store_figures.count_fates(connection)
        newest = snapshots.latest(connection)
        # As the newest board hides them: metrics must not depend on the registry, which may hold a broken event.
        hidden = HiddenModels.of_body(newest.body if newest else {})
        rows = {v: snapshots.read_rows(connection, newest.snapshot_id, v) if newest else [] for v in VIEWS}
        named = {view: [row for row in of_view if row["model"] not in hidden] for view, of_view in rows.items()}
        by_state = store_figures.count_alerts_by(connection, "detector", "severity", "state")
        halts = store_figures.count_alerts_by(connection, "detector", "direction", "state")
        dominant = voter_share.read_reported(connection)
        gate = verdicts.all_passed(connection)
        archived = cold_files.count_archived(connection)
        incidents = read_incident_figures(connection, {row["model"] for row in named["raw"]}, hidden)
        return StoreStatus(
            alerts_open=_open(by_state),
            alerts_opened=_opened(connection),
            **asdict(incidents),
            decisions={(action,): float(n) for action, n in operators_log.count_decisions(connection).items()},
            halts_open={
                **{
                    (reason,): float(n)
                    for (detector, reason, state), n in halts.items()
                    if detector == "worker_halted" and state in OPEN_STATES
                },
                ("quality_gate",): float(gate is False),
            },
            votes={(fate,): float(fates[fate]) for fate in FATES},
            votes_kept={("hot",): float(sum(fates[fate] for fate in FATES) - archived), ("cold",): float(archived)},
            archive_bytes=float(cold_files.total_bytes(connection)),
            unchecked_votes=float(unchecked_votes.count_unchecked(connection)),
            rejects={(reason,): float(n) for reason, n in store_figures.count_rejects(connection).items()},
            next_offset={key: float(p["next_offset"]) for key, p in places.items()},
            unsealed_offsets={key: float(p["next_offset"] - p["sealed_offset"]) for key, p in places.items()},
            watermark=_watermarks(connection),
            monitor_position=_seconds(closed_windows.closed_until(connection)),
            last_ingest=max((p["updated_at"] / SECOND for p in places.values()), default=None),
            refresh_last_success=_seconds(store_figures.get_time(connection, "refresh_last_success")),
            audit_last_success=_seconds(store_figures.get_time(connection, "audit_last_success")),
            quality_gate_success=None if gate is None else float(gate),
            quality_warnings={(s,): float(n) for s, n in verdicts.count_warnings(connection).items()},
            publications_held=float(len(publication_holds.list_open(connection))),
            snapshot_sequence=float(newest.sequence) if newest else None,
            snapshot_votes={(v,): sum(r["votes"] for r in rows[v]) / 2 for v in VIEWS if newest},
            snapshot_excluded_votes=float(newest.body["votes_excluded"]) if newest else None,
            dominant_voter_share=dominant.share if dominant else 0.0,
            unrated_models=float(len(newest.body["views"]["defended"]["unrated"])) if newest else None,
            rating_points={(r["model"], v): r["rating"] for v in VIEWS for r in named[v]},
            rating_rank={(r["model"], v): float(r["rank"]) for v in VIEWS for r in named[v]},
        )


def _watermarks(connection: Connection) -> dict[tuple[str, ...], float]:
    """Return (source, partition) → its watermark, in seconds since 1970 UTC.

    Only partitions that are not yet read to their end are included. If all are read to their end, all are included.
    """
    lateness = configuration.load().lateness
    names = arrow_reader.partition_sources(connection)
    known = partitions.read_progress(connection)
    still_open = [one for one in known if not one.finished]
    return {
        (names[one.partition_no][0], str(names[one.partition_no][1])): (
            one.event_time - (0 if one.finished else lateness)
        )
        / SECOND
        for one in still_open or known
    }


def _open(by_state: dict[tuple[str, ...], int]) -> dict[tuple[str, ...], float]:
    """Return (detector, severity) → number of open alerts. The number is 0 if all alerts of a pair are closed."""
    total: dict[tuple[str, ...], float] = {}
    for (detector, severity, state), count in by_state.items():
        total[detector, severity] = total.get((detector, severity), 0.0) + count * (state in OPEN_STATES)
    return total


def _opened(connection: Connection) -> dict[tuple[str, ...], float]:
    """Return (detector, severity) → number of alerts that have ever had this severity, so that no counter falls.

    An alert that was escalated to critical counts under "warning" too.
    """
    opened = {k: float(n) for k, n in store_figures.count_alerts_by(connection, "detector", "severity").items()}
    for (detector,), count in store_figures.count_escalated(connection).items():
        opened[detector, "warning"] = opened.get((detector, "warning"), 0.0) + count
    return opened


def _seconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / SECOND
