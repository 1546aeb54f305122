"""Runs the last step of a refresh: signs a candidate (a snapshot before its publication) and publishes it."""

from datetime import datetime
from typing import Any

from pipeline.jobs.refresh import publication_hold, share_alert, snapshot_signing
from pipeline.jobs.refresh.prepare_answers import prepare_answers
from pipeline.jobs.refresh.signing_keys import end_rotation, load_signing_keys
from pipeline.jobs.refresh.step_times import step
from pipeline.open_store import existing_store, now
from pipeline.store.alerting import incident_grouping
from pipeline.store.boards import snapshots
from pipeline.store.read import store_figures
from pipeline.vocabulary.time import SECOND


def publish(url: str, candidate: str) -> dict[str, Any]:
    """Sign a candidate and publish it as the newest snapshot. From then on, new votes are evaluated by its reference.

    Nothing is published if the candidate is published already, or if another snapshot was published after the candidate
    was made. In every case, a rotation of the signing key is ended, answers of the API are stored, and alerts are
    grouped into incidents anew.

    Returns:
        The published candidate, or the newest snapshot if another one was published after the candidate was made. The
        dictionary has the keys that `integrity refresh --json` prints, such as "snapshot" (the id), "sequence" and
        "log_size".

    Raises:
        PublicationHeld: the candidate moves top models too far, and nobody has released the candidate.
        MissingKey: the key that signed the previous snapshot is missing.
        Usage: no candidate has this id.
    """
    with existing_store(url) as store:
        publication_hold.expect_no_hold(store, candidate)
        keys = load_signing_keys(store)
        with store.write() as connection:
            before = snapshots.newest_sequence(connection)
            snapshot = snapshot_signing.sign_and_publish(connection, store, keys, candidate, now())
            if snapshot.sequence > before:
                share_alert.record_share(connection, snapshot, now())
            store_figures.set_time(connection, "refresh_last_success", now())
        snapshot_signing.store_head(store, snapshot)
        end_rotation(store, keys)
        with step("answers"):
            prepare_answers(store)
        with store.write() as connection:
            incident_grouping.regroup(connection)  # incidents state ranks, and votes that are left out
    return {
        "snapshot": snapshot.snapshot_id,
        "sequence": snapshot.sequence,
        "log_size": snapshot.log_size,
        **{name: snapshot.body[name] for name in ("votes_counted", "votes_excluded")},
        "coverage": snapshot.body.get("coverage"),
        "votes_raw": snapshot.body["views"]["raw"]["votes"],
        "unrated": snapshot.body["views"]["defended"]["unrated"],
        "unregistered": snapshot.body.get("unregistered", []),
        "votes_unregistered": snapshot.body.get("votes_unregistered", 0),
        "method": snapshot.body.get("method"),
        "boards": sorted(snapshot.body.get("boards", {})),
        "boards_left_out": snapshot.body.get("boards_left_out", {}),
    }


def is_published_since(url: str, snapshot_id: str, since: datetime) -> bool:
    """Return whether a snapshot was published at `since` or later.

    Args:
        url: address of the store.
        snapshot_id: the id of a published snapshot.
        since: a time with a time zone.

    Raises:
        Usage: no snapshot with this id is published.
    """
    with existing_store(url, with_key=False) as store, store.read() as connection:
        return snapshots.find(connection, snapshot_id).published_at >= int(since.timestamp() * SECOND)
