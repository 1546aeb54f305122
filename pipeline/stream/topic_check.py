"""Reports topics that are missing, or that access rules (ACLs) forbid us to use, before a worker begins."""

from typing import Any

from kafka.errors import KafkaError

from pipeline.errors import BrokerUnavailable
from pipeline.settings import Settings
from pipeline.stream.source.kafka_client import connect_admin
from pipeline.stream.source.kafka_connection import broker_error
from pipeline.stream.source.kafka_security import PLAINTEXT, Security, client_security
from pipeline.stream.source.kafka_topics import Access, topic_access, write_problem
from pipeline.stream.source.kafka_url import parse_kafka_url


def missing_topics(bootstrap: str, settings: Settings, security: Security = PLAINTEXT) -> list[str]:
    """Return a sentence for each optional topic that is missing or that the worker may not write to.

    The optional topics are those of registry events, alerts and rejects. A sentence names the topic, what is wrong with
    it, and the consequence. A registry topic that we may not read has no sentence, because it stops the worker:
    `RegistryReader` raises `BrokerRefused`. The topic of votes is not checked.

    Args:
        bootstrap: HOST:PORT of brokers, separated by commas.
        settings: settings, which name the topics.
        security: options for TLS and SASL, from `client_security`.

    Raises:
        BrokerUnavailable: no broker answers.
        BrokerRefused: the broker refuses our login.
    """
    written = (settings.topic_alerts, settings.topic_rejected)
    found = _access(bootstrap, {settings.topic_registry, *written}, security)
    sentences = []
    if found[settings.topic_registry] is Access.MISSING:
        sentences.append(f"topic {settings.topic_registry} is missing: there is no registry until it exists")
    problems = (write_problem(found[topic], topic) for topic in dict.fromkeys(written))
    return sentences + [f"{problem}: its messages wait in the outbox" for problem in problems if problem]


def describe(url: str, settings: Settings) -> dict[str, Any]:
    """Return facts about a Kafka cluster for `integrity doctor`: whether our login works, and which topics we may use.

    Returns:
        {"servers", "security_protocol", "healthy", "topics"}. "healthy" is True if all topics can be used. "topics" is
        name → "read and write", "read", "write", "missing" or "closed by ACLs". If no broker answers or our login is
        refused, "healthy" is False and "error" replaces "topics".

    Raises:
        Usage: `url` is not a kafka:// URL, or settings about TLS or login contradict each other.
    """
    bootstrap, topic = parse_kafka_url(url)
    read = (topic or settings.topic_votes, settings.topic_registry)
    written = (settings.topic_alerts, settings.topic_rejected)
    report: dict[str, Any] = {"servers": bootstrap, "security_protocol": settings.kafka_security_protocol}
    try:
        found = _access(bootstrap, {*read, *written}, client_security(settings))
    except BrokerUnavailable as error:
        return {**report, "healthy": False, "error": str(error)}
    healthy = all(found[name].may_read for name in read) and all(found[name].may_write for name in written)
    return {**report, "healthy": healthy, "topics": {name: _words(access) for name, access in sorted(found.items())}}


def _access(bootstrap: str, topics: set[str], security: Security) -> dict[str, Access]:
    admin = connect_admin(bootstrap, security)
    try:
        return topic_access(admin, sorted(topics))
    except KafkaError as error:
        raise broker_error(f"the Kafka broker at {bootstrap} did not list its topics", error) from error
    finally:
        admin.close()


def _words(access: Access) -> str:
    if access is Access.MISSING:
        return "missing"
    may = [word for word, allowed in (("read", access.may_read), ("write", access.may_write)) if allowed]
    return " and ".join(may) or "closed by ACLs"
