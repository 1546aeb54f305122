"""Reads events from sources. A new source is one class here that implements `event_source.Source`.

event_source.py          defines the protocol and its rules
file_source.py           reads a battle file, in the order of time
file_scan.py             reads the records of a file, their digest and times
record_sorter.py         sorts records by time in bounded memory
kafka_url.py             parses kafka://… into servers and topic
kafka_security.py        turns settings into the client's options for TLS and SASL
kafka_connection.py      connects a client, and says why it cannot
kafka_topics.py          finds which topics exist, and whether we may read and write them
kafka_client.py          creates Kafka clients with safe options, and turns records into a Chunk
kafka_source.py          reads the votes topic as a member of a consumer group
kafka_registry_topic.py  reads the registry topic without a group
"""

from typing import TYPE_CHECKING

from pipeline.vocabulary.lazy_names import lazy_names

if TYPE_CHECKING:
    from pipeline.stream.source.event_source import Source
    from pipeline.stream.source.file_source import FileSource
    from pipeline.stream.source.kafka_registry_topic import RegistryTopic
    from pipeline.stream.source.kafka_source import KafkaSource
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "event_source": "Source",
            "file_source": "FileSource",
            "kafka_registry_topic": "RegistryTopic",
            "kafka_source": "KafkaSource",
        },
    )

__all__ = ["FileSource", "KafkaSource", "RegistryTopic", "Source"]
