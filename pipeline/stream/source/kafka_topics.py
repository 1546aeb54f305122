"""Asks the broker which topics exist, and whether we may read and write them, in one request."""

from collections.abc import Sequence
from enum import Flag
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import KafkaError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError, for_code


class Access(Flag):
    """States what we may do with a topic.

    MISSING: the topic does not exist. HIDDEN: access rules hide whether it exists. SEEN: the topic exists. READ and
    WRITE are added to SEEN if we may read and write it.
    """

    MISSING = 0
    HIDDEN = 1
    SEEN = 2
    READ = 4
    WRITE = 8

    @property
    def may_read(self) -> bool:
        """True if we may read records of the topic."""
        return Access.READ in self

    @property
    def may_write(self) -> bool:
        """True if we may write records to the topic."""
        return Access.WRITE in self


def topic_access(admin: KafkaAdminClient, topics: Sequence[str]) -> dict[str, Access]:
    """Ask the broker what this process may do with each topic.

    Args:
        admin: an administration client.
        topics: names of the topics.

    Returns:
        Name of a topic → our access to it. It may be `Access.MISSING` or `Access.HIDDEN`.

    Raises:
        kafka.errors.KafkaError: the broker does not answer, or it reports an error that means neither that a topic is
            missing nor that it is hidden.
    """
    if not topics:
        return {}
    return {str(one["name"]): _access(one) for one in admin.describe_topics(list(topics))}


def write_problem(found: Access, topic: str) -> str | None:
    """Return a text that says why we cannot write to a topic, or None if we can.

    Args:
        found: our access to the topic.
        topic: name of the topic.
    """
    if found is Access.MISSING:
        return f"topic {topic} is missing"
    if not found.may_write:
        return f"no ACL lets us write to topic {topic} (WRITE and DESCRIBE on the topic)"
    return None


def _access(described: dict[str, Any]) -> Access:
    error = for_code(described.get("error_code", 0))
    if error is UnknownTopicOrPartitionError:
        return Access.MISSING
    if error is TopicAuthorizationFailedError:
        return Access.HIDDEN
    if error is not for_code(0) and not getattr(error, "retriable", False):
        raise _named(error, described)
    operations = described.get("authorized_operations")
    if operations is None:
        return Access.SEEN | Access.READ | Access.WRITE  # an old broker does not say: the first request will
    found = Access.SEEN
    for flag, name in ((Access.READ, "READ"), (Access.WRITE, "WRITE")):
        if name in operations or "ALL" in operations:
            found |= flag
    return found


def _named(error: type[KafkaError], described: dict[str, Any]) -> KafkaError:
    return error(str(described.get("name")))
