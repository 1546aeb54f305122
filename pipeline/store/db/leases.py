"""Gives leases: only the process that has the lease of a job does the job.

A lease expires after some seconds. Another process may then take it.
"""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import dialect, schema
from pipeline.vocabulary.time import SECOND


def acquire(connection: Connection, name: str, owner: str, now: int, seconds: float) -> bool:
    """Acquire a lease, or renew the lease that this owner has.

    Args:
        connection: the transaction.
        name: name of the lease.
        owner: name of this process.
        now: present time in microseconds since 1970 UTC.
        seconds: time from now after which the lease expires.

    Returns:
        True if this owner has the lease now. False if another owner's lease has not expired.
    """
    c = schema.lease.c
    until = now + int(seconds * SECOND)
    statement = dialect.insert(connection, schema.lease).values(name=name, owner=owner, epoch=1, expires_at=until)
    taken = connection.execute(
        statement.on_conflict_do_update(
            index_elements=["name"],
            set_={"owner": owner, "epoch": c.epoch + 1, "expires_at": until},
            where=sa.or_(c.owner == owner, c.expires_at < now),
        ).returning(c.owner)
    ).scalar_one_or_none()
    return taken == owner


def holder(connection: Connection, name: str) -> str | None:
    """Return the owner of a lease, even if the lease has expired; None if nobody has it."""
    found: str | None = connection.scalar(sa.select(schema.lease.c.owner).where(schema.lease.c.name == name))
    return found


def release(connection: Connection, name: str, owner: str) -> None:
    """Release a lease, so that any process can acquire it. Nothing happens if this owner does not have the lease."""
    c = schema.lease.c
    connection.execute(sa.delete(schema.lease).where(c.name == name, c.owner == owner))
