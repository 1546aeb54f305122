"""Sends the messages in the outbox: those that were written with batches and that the broker has not acknowledged yet.

If a topic is missing, or access rules forbid us to write to it, its messages stay in the outbox. Other messages are
sent.
"""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

from pipeline.errors import BrokerUnavailable, TopicUnavailable
from pipeline.store.alerting import outbox
from pipeline.stream.retry import RetryPolicy
from pipeline.stream.topic_messages import Message

Send = Callable[[Sequence[Message]], None]
"""A function that delivers messages, and returns when all are acknowledged."""

_LIMIT = 1_000
# The outbox is read this often for messages of others, such as the monitor.
_CHECK_SECONDS = 1.0
# After a failure nothing is sent for this long: a try may take seconds, in which the worker does not read.
_PAUSE_SECONDS = 5.0
# A topic that was missing is asked for this often.
_TOPIC_SECONDS = 30.0

_log = logging.getLogger(__name__)


class OutboxSender:
    """Sends the outbox messages of one source, each at least once."""

    def __init__(self, send: Send | None, source_no: int, retry: RetryPolicy) -> None:
        """Create a sender.

        Args:
            send: delivers messages; None without a broker, then nothing is sent.
            source_no: the source number (source_no).
            retry: retry policy of the store.
        """
        self._send, self._source_no, self._retry = send, source_no, retry
        self._pending, self._next_check, self._paused_until = True, 0.0, 0.0
        self._closed: dict[str, tuple[float, str]] = {}  # topic → when to ask again, and what is wrong

    def notify(self) -> None:
        """Make the next `deliver` read the outbox, because there are new messages."""
        self._pending = True

    @property
    def problem(self) -> str:
        """Text that names the topics to which the last try failed, and why. "" if there are no such topics."""
        return "; ".join(f"{why}: messages wait in the outbox" for _, why in self._closed.values())

    def deliver(self) -> None:
        """Send the messages in the outbox, and delete those that were acknowledged.

        While the broker does not answer, the messages stay in the outbox. For a few seconds after a failure, nothing is
        sent. The outbox is read after `notify`, and otherwise about once a second.
        """
        if self._send is None or time.monotonic() < self._paused_until:
            return
        if time.monotonic() >= self._next_check:
            self._pending, self._next_check = True, time.monotonic() + _CHECK_SECONDS
        while self._pending:
            waiting = self._retry.read(
                partial(outbox.read_oldest, source_no=self._source_no, limit=_LIMIT, without=self._closed_topics())
            )
            if waiting and not self._sent([message[1:] for message in waiting]):
                continue
            if waiting:
                self._retry.write(partial(outbox.delete_delivered, numbers=[message[0] for message in waiting]))
            self._pending = len(waiting) == _LIMIT

    def _closed_topics(self) -> list[str]:
        """Return the topics to which nothing is sent now, because sending to them failed a short time ago."""
        return [topic for topic, (until, _) in self._closed.items() if until > time.monotonic()]

    def _sent(self, messages: Sequence[Message]) -> bool:
        """Send the messages. Return False if the sending failed."""
        assert self._send is not None  # noqa: S101 - `deliver` has checked it
        try:
            self._send(messages)
        except TopicUnavailable as error:
            if error.topic not in self._closed:
                _log.warning("%s: its messages wait in the outbox; `integrity publish --to` creates topics", error)
            self._closed[error.topic] = (time.monotonic() + _TOPIC_SECONDS, str(error))
            return False
        except BrokerUnavailable:
            self._pending, self._paused_until = False, time.monotonic() + _PAUSE_SECONDS
            self._next_check = self._paused_until
            return False
        for topic in {message[0] for message in messages} & self._closed.keys():
            del self._closed[topic]
        return True
