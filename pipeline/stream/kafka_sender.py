"""Delivers messages of the outbox to their topics on Kafka, or fails within seconds.

A topic is checked before messages are sent to it. Without this check, client and worker would wait a minute for a
missing topic.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from kafka.errors import KafkaError

from pipeline.errors import BrokerUnavailable, TopicUnavailable
from pipeline.stream.kafka_publisher import create_producer
from pipeline.stream.source.kafka_client import connect_admin
from pipeline.stream.source.kafka_connection import broker_error
from pipeline.stream.source.kafka_security import PLAINTEXT, Security
from pipeline.stream.source.kafka_topics import topic_access, write_problem
from pipeline.stream.topic_messages import Message

# The worker waits meanwhile, and must end within seconds when it is asked to.
_SECONDS = 5.0


class KafkaSender:
    """Sends messages to Kafka. A call returns when all its messages are acknowledged.

    Args:
        bootstrap: HOST:PORT of brokers, separated by commas.
        security: options for TLS and SASL, from `client_security`.
    """

    def __init__(self, bootstrap: str, security: Security = PLAINTEXT) -> None:
        self._bootstrap, self._security = bootstrap, security
        self._client: Any = None
        self._known: set[str] = set()

    def __call__(self, messages: Sequence[Message]) -> None:
        """Send messages (topic, key, value).

        Raises:
            TopicUnavailable: a topic is missing, or an access rule forbids us to write to it; nothing was sent.
            BrokerUnavailable: not all messages were acknowledged.
        """
        self.expect_topics({topic for topic, _, _ in messages})
        try:
            self._client = self._client or create_producer(
                self._bootstrap, self._security, max_block_ms=int(_SECONDS * 1000)
            )
            futures = [self._client.send(name, value=value, key=key) for name, key, value in messages]
            self._client.flush(timeout=_SECONDS)
            for future in futures:
                future.get(timeout=_SECONDS)
        except BrokerUnavailable:
            self._forget()
            raise
        except Exception as error:  # the client raises many types; each means that the broker did not confirm
            self._forget()
            raise broker_error("outbox", error) from error

    def expect_topics(self, topics: set[str]) -> None:
        """Check that some topics exist and that we may write to them.

        Raises:
            TopicUnavailable: a topic is missing, or we may not write to it. The message names the first such topic.
            BrokerUnavailable: the broker does not answer.
        """
        wanted = sorted(topics - self._known)
        if not wanted:
            return
        admin = connect_admin(self._bootstrap, self._security)
        try:
            found = topic_access(admin, wanted)
        except KafkaError as error:
            raise broker_error(f"the Kafka broker at {self._bootstrap} did not list its topics", error) from error
        finally:
            admin.close()
        for topic, access in found.items():
            if problem := write_problem(access, topic):
                raise TopicUnavailable(problem, topic)
            self._known.add(topic)

    def close(self) -> None:
        """Close the connection to the broker."""
        self._forget()

    def _forget(self) -> None:
        """Drop the client with its unsent messages, which stay in the outbox."""
        client, self._client = self._client, None
        self._known.clear()
        if client is not None:
            with suppress(KafkaError):
                client.close(timeout=0)
