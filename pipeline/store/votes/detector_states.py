"""Stores the states that window detectors have after the last closed window."""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.scoring.detector_contracts import WindowState
from pipeline.store.db import dialect, schema
from pipeline.vocabulary.packing import pack_arrays, unpack_arrays


def read(connection: Connection) -> dict[str, WindowState]:
    """Return the stored state of each window detector, as name → state.

    A detector without a stored state is left out.
    """
    c = schema.detector_state.c
    return {name: unpack_arrays(bytes(raw)) for name, raw in connection.execute(sa.select(c.detector, c.state))}


def write(connection: Connection, states: Mapping[str, WindowState]) -> None:
    """Store the states of window detectors, given as name → state. Stored states of other detectors stay."""
    rows = [{"detector": name, "state": pack_arrays(state)} for name, state in sorted(states.items())]
    dialect.upsert(connection, schema.detector_state, ["detector"], rows)
