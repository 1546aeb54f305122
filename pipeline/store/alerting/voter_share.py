"""Reports a voter with more than a fifth of all votes as a fault of the configuration.

Such a voter is most likely many people with one id: everybody behind a proxy, or everybody for whom a producer writes
the same placeholder. Evidence about such an id says nothing about any one person, so the policy `auto-voter/1`
(`exclusion_list`) never excludes it.
"""

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.scoring.signals import NO_PARTITION, AlertSignal, ClearedSignal
from pipeline.store.alerting import alert_lifecycle
from pipeline.store.db import schema
from pipeline.store.votes.dominant_voter import MAX_SHARE, DominantVoter, find_dominant_voter
from pipeline.vocabulary.time import DAY

DETECTOR = "voter_share"
_SUBJECT, _DIRECTION = "votes", "one voter has more than a fifth of the votes"


def update_alert(connection: Connection, now: int) -> DominantVoter | None:
    """Open, update or clear the alert about a voter with more than a fifth of all votes.

    Nothing happens if there is no such voter and no such alert.

    Args:
        connection: the transaction.
        now: present time in microseconds since 1970 UTC.

    Returns:
        The voter with more than a fifth of all votes, None if there is none.
    """
    found, reported = find_dominant_voter(connection), read_reported(connection)
    if found is not None and reported is None:
        alert_lifecycle.record_signals(connection, [_signal(found, now)], {}, now)
    if found is not None and reported is not None:
        a, evidence = schema.alert.c, json.dumps(_evidence(found), sort_keys=True)
        update = sa.update(schema.alert).where(a.detector == DETECTOR, a.state != "resolved")
        connection.execute(update.values(evidence=evidence))
    if found is None and reported is not None:
        reason = f"no voter has more than {MAX_SHARE:.0%} of the votes any more"
        alert_lifecycle.record_signals(
            connection, [ClearedSignal(DETECTOR, _SUBJECT, _DIRECTION, now, reason)], {}, now
        )
    return found


def read_reported(connection: Connection) -> DominantVoter | None:
    """Return the numbers of votes in the unresolved alert about a voter with a large share of all votes.

    The function is for database roles that may not read voters, so the field `voter` of the result is 0.

    Returns:
        None if there is no unresolved alert.
    """
    a = schema.alert.c
    query = sa.select(a.evidence).where(a.detector == DETECTOR, a.state != "resolved").limit(1)
    text = connection.scalar(query)
    if text is None:
        return None
    figures = json.loads(text)
    return DominantVoter(0, int(figures["votes"]), int(figures["total"]))


def describe(found: DominantVoter) -> str:
    """Return a text that tells operators that one voter id has too many votes, and what to do.

    It does not name the voter.
    """
    return (
        f"one voter id has {found.votes:,} of {found.total:,} votes ({found.share:.0%}): most likely many people share "
        "it, so no voter can be told from another. Nothing is excluded because of it. If it is the address of a proxy, "
        "name that in INTEGRITY_PROXIES; otherwise give each voter an id of its own. See deploy/runbooks/voter-share.md"
    )


def _signal(found: DominantVoter, now: int) -> AlertSignal:
    return AlertSignal(
        DETECTOR, "board", _SUBJECT, _DIRECTION, "critical", None, 1, NO_PARTITION, now - now % DAY, now,
        _evidence(found),
    )  # fmt: skip


def _evidence(found: DominantVoter) -> dict[str, Any]:
    what = f"one voter id has {found.votes:,} of {found.total:,} votes"
    return {"what": what, "votes": found.votes, "total": found.total, "share": round(found.share, 4)}
