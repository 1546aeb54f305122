"""Sources of events. A new source is one class here that implements `event_source.Source`.

event_source.py          the protocol and its laws
file_source.py           a battle file, in the order of time
file_scan.py             the records of a file, their digest and times
record_sorter.py         sorts records by time in bounded memory
kafka_url.py             kafka://… → servers and topic
kafka_security.py        settings → the client's options for TLS and SASL
kafka_connection.py      connects a client, and says why it cannot
kafka_topics.py          which topics exist, and whether we may read and write them
kafka_client.py          kafka-python's consumer with safe defaults, records → Chunk
kafka_source.py          the votes topic, read as a member of a consumer group
kafka_registry_topic.py  the registry topic, read without a group
"""

from pipeline.stream.source.event_source import Source
from pipeline.stream.source.file_source import FileSource
from pipeline.stream.source.kafka_registry_topic import RegistryTopic
from pipeline.stream.source.kafka_source import KafkaSource

__all__ = ["FileSource", "KafkaSource", "RegistryTopic", "Source"]
