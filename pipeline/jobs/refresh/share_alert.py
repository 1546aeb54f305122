"""Opens the alert `rated_share` when a published board leaves out more votes than INTEGRITY_LEAST_SHARE allows.

A board has several connected components if some models met only each other. Only the component with the most votes is
published. A board is published even if many votes are left out, so that nobody can stop a publication by votes between
invented models. The alert tells a person that votes were left out.
"""

from sqlalchemy.engine import Connection

from pipeline.scoring.signals import NO_PARTITION, AlertSignal, ClearedSignal, Signal
from pipeline.store.alerting import alert_lifecycle
from pipeline.store.boards.snapshots import PublishedSnapshot

DETECTOR, SUBJECT, DIRECTION = "rated_share", "board", "low"
# Models that the alert names.
_SHOWN = 20


def record_share(connection: Connection, snapshot: PublishedSnapshot, now: int) -> None:
    """Open, update or clear the alert `rated_share` after a snapshot was published.

    Args:
        connection: a write transaction.
        snapshot: the published snapshot. Its view with the smallest share of rated votes decides about the alert.
        now: present time in microseconds since 1970 UTC.
    """
    least = float(snapshot.body["settings"]["least_share"])
    views = {view: shown for view, shown in snapshot.body["views"].items() if "rated_share" in shown}
    view = min(views, key=lambda name: float(views[name]["rated_share"]))
    share = float(views[view]["rated_share"])
    signal: Signal
    if share >= least:
        signal = ClearedSignal(DETECTOR, SUBJECT, DIRECTION, now, f"{share:.1%} of the votes are rated together")
    else:
        left_out = [one["model"] for one in views[view]["unrated"]]
        votes = round(views[view]["votes"] * (1 - share))
        evidence = {
            "what": f"{votes} of {views[view]['votes']} votes of the view {view} are not among the models that are "
            f"rated together ({share:.1%} are; INTEGRITY_LEAST_SHARE is {least:.1%})",
            "left_out": left_out[:_SHOWN],
            "models_left_out": len(left_out),
            "snapshot": snapshot.sequence,
        }
        place = (NO_PARTITION, snapshot.sequence, now)
        signal = AlertSignal(DETECTOR, "board", SUBJECT, DIRECTION, "warning", None, 1, *place, evidence)
    alert_lifecycle.record_signals(connection, [signal], {}, now)
