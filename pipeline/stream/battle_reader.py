"""Reads the topic of issued battles into the store, as `registry_reader` reads the registry topic.

The topic is optional: while it is missing, or if an access rule hides it, sampling tests count votes.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.errors import BrokerRefused
from pipeline.events.chunk import Chunk
from pipeline.events.decode import decode_battles
from pipeline.store.votes import issued_battles
from pipeline.stream.registry_reader import RegistryReader


class BattleReader(RegistryReader):
    """Reads one topic of issued battles into one store."""

    def follow(self, stopped: threading.Event, halt: Callable[[Exception], None]) -> None:
        """Read chunks until stopped. If we may not read the topic, the reading ends, but the worker is not halted.

        Args:
            stopped: an event that the caller sets to end the reading.
            halt: called with any other error that ends the reading.
        """

        def end(error: Exception) -> None:
            if not isinstance(error, BrokerRefused):
                halt(error)

        super().follow(stopped, end)

    def catch_up(self) -> int:
        """Read up to the current end of the topic; return the number of records stored, 0 if we may not read it."""
        try:
            return super().catch_up()
        except BrokerRefused:
            return 0

    def _decode(self, values: Sequence[bytes | None]) -> Any:
        return decode_battles(values)

    def _next_offset(self, connection: Connection) -> int:
        return issued_battles.next_offset(connection, self._topic.name)

    def _append(self, connection: Connection, chunk: Chunk, decoded: Any) -> list[dict[str, Any]] | None:
        return issued_battles.append_chunk(connection, self._topic.name, chunk, decoded)
