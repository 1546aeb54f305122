"""Reports a voter with more than a fifth of all votes as a fault of the configuration.

Everybody behind one proxy, or a placeholder that a producer writes for an unknown voter, looks like one voter: the
evidence is then about nobody, and excluding "the voter" would exclude everybody, which the policy (`exclusion_list`)
never does.
"""

from sqlalchemy.engine import Connection

from pipeline.scoring.signals import NO_PARTITION, AlertSignal, ClearedSignal
from pipeline.store.alerting import alert_lifecycle, alert_queries
from pipeline.store.votes.dominant_voter import MAX_SHARE, DominantVoter, find_dominant_voter
from pipeline.vocabulary.time import DAY

DETECTOR = "voter_share"
_SUBJECT, _DIRECTION = "votes", "one voter has more than a fifth of the votes"


def update_alert(connection: Connection, now: int) -> DominantVoter | None:
    """Open the alert if a voter has more than a fifth of all votes, clear it if none has.

    Args:
        now: wall clock in microseconds.
    """
    found = find_dominant_voter(connection)
    is_open = any(detector == DETECTOR for _, detector, _ in alert_queries.list_unresolved(connection))
    if found is not None and not is_open:
        alert_lifecycle.record_signals(connection, [_signal(found, now)], {}, now)
    if found is None and is_open:
        reason = f"no voter has more than {MAX_SHARE:.0%} of the votes any more"
        alert_lifecycle.record_signals(
            connection, [ClearedSignal(DETECTOR, _SUBJECT, _DIRECTION, now, reason)], {}, now
        )
    return found


def describe(found: DominantVoter) -> str:
    """Return a text about the problem and its solution, without the voter."""
    return (
        f"one voter id has {found.votes:,} of {found.total:,} votes ({found.share:.0%}): most likely many people share "
        "it, so no voter can be told from another. Nothing is excluded because of it. If it is the address of a proxy, "
        "name that in INTEGRITY_PROXIES; otherwise give each voter an id of its own. See deploy/runbooks/voter-share.md"
    )


def _signal(found: DominantVoter, now: int) -> AlertSignal:
    evidence = {
        "what": f"one voter id has {found.votes:,} of {found.total:,} votes",
        "votes": found.votes,
        "total": found.total,
        "share": round(found.share, 4),
    }
    return AlertSignal(
        DETECTOR, "board", _SUBJECT, _DIRECTION, "critical", None, 1, NO_PARTITION, now - now % DAY, now, evidence
    )
