"""Creates the topics of the project that are missing."""

from collections.abc import Mapping
from typing import Any

from kafka.errors import AuthorizationError, KafkaError, TopicAlreadyExistsError

from pipeline.errors import BrokerRefused
from pipeline.settings import Settings
from pipeline.stream.source.kafka_client import connect_admin
from pipeline.stream.source.kafka_connection import broker_error
from pipeline.stream.source.kafka_security import PLAINTEXT, Security
from pipeline.stream.source.kafka_topics import Access, topic_access, write_problem

# An oversized event must reach the topic to be counted as rejected, so topics accept more than the 64 KiB that a
# valid event may have.
MAX_MESSAGE = 16 * 1024 * 1024
"""Largest size in bytes of a message in a topic."""


def create_topics(
    bootstrap: str, settings: Settings, topic: str, partitions: int, security: Security = PLAINTEXT
) -> list[str]:
    """Create the topics of the project that do not exist. Existing topics are not changed.

    In a created topic, the broker sets the append times. The topics of votes, registry events and issued battles never
    delete a record.

    Args:
        bootstrap: HOST:PORT of brokers, separated by commas.
        settings: settings, which name the topics of registry events, issued battles, alerts and rejects.
        topic: the topic of votes.
        partitions: number of partitions of `topic`, if it is created.
        security: options for TLS and SASL, from `client_security`.

    Returns:
        One sentence for each topic other than `topic` that has a problem: an access rule hides the topic, or the topic
        is missing and an access rule forbids us to create it.

    Raises:
        BrokerUnavailable: no broker answers.
        BrokerRefused: the broker refuses our login, or forbids us to create `topic` or to write to it.
    """
    wanted = _wanted_topics(settings, topic, partitions)
    problems: list[str] = []
    admin = connect_admin(bootstrap, security)
    try:
        for name, found in sorted(topic_access(admin, list(wanted)).items()):
            if found is Access.MISSING:
                problem = _create(admin, name, wanted[name])
            else:
                problem = write_problem(found, name) if name == topic else _unseen(found, name)
            if problem and name == topic:
                raise BrokerRefused(f"{bootstrap}: {problem}")
            problems += [problem] if problem else []
    except KafkaError as error:
        raise broker_error(f"the Kafka broker at {bootstrap} did not create the topics", error) from error
    finally:
        admin.close()
    return problems


def _unseen(found: Access, name: str) -> str | None:
    return f"no ACL lets us see topic {name} (DESCRIBE on the topic)" if found is Access.HIDDEN else None


def _wanted_topics(settings: Settings, topic: str, partitions: int) -> dict[str, dict[str, Any]]:
    # With CreateTime the broker refuses records of a producer whose clock is fast.
    append_time = {"message.timestamp.type": "LogAppendTime"}
    forever = {**append_time, "retention.ms": "-1", "max.message.bytes": str(MAX_MESSAGE)}
    return {
        topic: {"num_partitions": partitions, "replication_factor": -1, "configs": forever},
        settings.topic_registry: {"num_partitions": 1, "replication_factor": -1, "configs": forever},
        settings.topic_battles: {"num_partitions": 1, "replication_factor": -1, "configs": forever},
        settings.topic_alerts: {"num_partitions": 1, "replication_factor": -1, "configs": append_time},
        settings.topic_rejected: {"num_partitions": 1, "replication_factor": -1, "configs": append_time},
    }


def _create(admin: Any, name: str, how: Mapping[str, Any]) -> str | None:
    """Create one topic. Return the reason if an ACL forbids this, otherwise None."""
    try:
        admin.create_topics({name: how}, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        return None  # another publisher created it meanwhile
    except AuthorizationError:
        return f"topic {name} is missing, and no ACL lets us create it (CREATE on the topic or the cluster)"
    return None
