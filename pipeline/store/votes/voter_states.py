"""What detectors remember of voters: read by batch, written behind, with the offset up to which it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Fenced
from pipeline.store.db import dialect, schema


def read(connection: Connection, partition_no: int, voters: Sequence[int]) -> dict[int, bytes]:
    """Voter → state, of those voters that have one."""
    found: dict[int, bytes] = {}
    for start in range(0, len(voters), dialect.CHUNK):
        where, parameters = dialect.any_of(connection, "voter", voters[start : start + dialect.CHUNK], partition_no)
        query = f"SELECT voter, state FROM voter_state WHERE {where}"  # noqa: S608
        found.update((voter, bytes(state)) for voter, state in connection.exec_driver_sql(query, parameters))
    return found


def write(connection: Connection, states: Mapping[int, Mapping[int, bytes]]) -> None:
    """Put each state in the place of the one before; by partition, then by voter."""
    for part, by_voter in sorted(states.items()):
        if by_voter:
            rows, parameters = dialect.value_rows(connection, part, sorted(by_voter.items()))
            connection.exec_driver_sql(
                f"INSERT INTO voter_state (partition_no, voter, state) {rows}"
                " ON CONFLICT (partition_no, voter) DO UPDATE SET state = excluded.state",
                parameters,
            )


def hold_to(connection: Connection, partition_no: int, epoch: int, offset: int) -> None:
    """The stored voter states of a partition hold up to this offset now.

    Raises:
        Fenced: somebody else claimed it.
    """
    table = schema.partition
    moved = connection.execute(
        sa.update(table).where(table.c.partition_no == partition_no, table.c.epoch == epoch).values(state_offset=offset)
    )
    if moved.rowcount != 1:
        raise Fenced(f"partition {partition_no}, epoch {epoch}: another worker owns it now")
