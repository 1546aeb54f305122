"""Sends the outbox: messages that were written with batches and that the broker has not acknowledged yet."""

import time
from collections.abc import Callable, Sequence
from functools import partial

from pipeline.errors import BrokerUnavailable
from pipeline.store.alerting import outbox
from pipeline.stream.retry import RetryPolicy
from pipeline.stream.topic_messages import Message

Send = Callable[[Sequence[Message]], None]
"""Delivers messages and returns when they are acknowledged."""

_LIMIT = 1_000
# The outbox is read this often for messages of others, such as the monitor.
_CHECK_SECONDS = 1.0


class OutboxSender:
    """Sends the messages of one source, at least once each."""

    def __init__(self, send: Send | None, source_no: int, retry: RetryPolicy) -> None:
        """Create a sender; without a broker `send` is None, and nothing is sent.

        Args:
            source_no: the store's number of the source.
            retry: retry policy of the store.
        """
        self._send, self._source_no, self._retry = send, source_no, retry
        self._pending, self._next_check = True, 0.0

    def notify(self) -> None:
        """Remember that there are new messages."""
        self._pending = True

    def deliver(self) -> None:
        """Send the messages in the outbox. They stay there while the broker is away."""
        if self._send is None:
            return
        if time.monotonic() >= self._next_check:
            self._pending, self._next_check = True, time.monotonic() + _CHECK_SECONDS
        while self._pending:
            waiting = self._retry.read(partial(outbox.read_oldest, source_no=self._source_no, limit=_LIMIT))
            if waiting:
                try:
                    self._send([message[1:] for message in waiting])
                except BrokerUnavailable:
                    return
                self._retry.write(partial(outbox.delete_delivered, numbers=[message[0] for message in waiting]))
            self._pending = len(waiting) == _LIMIT
