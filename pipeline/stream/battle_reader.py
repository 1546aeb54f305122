"""Reads the topic of issued battles into the store.

An issued battle is a battle that the operator showed to a voter, whether or not the voter voted. Detectors that test
how models are sampled count issued battles, or votes if no issued battles are published. The topic is optional: a
worker goes on if the topic is missing, or if access rules hide it. `registry_reader` describes how topics are read.
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
    """Reads one topic of issued battles into one store, in a thread of the worker."""

    def follow(self, stopped: threading.Event, halt: Callable[[Exception], None]) -> None:
        """Read chunks of the topic until the caller ends the reading.

        If an access rule forbids reading the topic, the function returns without calling `halt`.

        Args:
            stopped: an event that the caller sets to end the reading.
            halt: a function that is called with any other error that ends the reading.
        """

        def end(error: Exception) -> None:
            if not isinstance(error, BrokerRefused):
                halt(error)

        super().follow(stopped, end)

    def catch_up(self) -> int:
        """Read the topic of issued battles up to its present end.

        Returns:
            The number of records that this reader stored in this call. 0 if an access rule forbids reading the topic.
        """
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
