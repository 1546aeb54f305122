"""Where events come from. A new source is one class here that keeps `contract.Source`."""

from pipeline.stream.source.contract import Source
from pipeline.stream.source.file import FileSource
from pipeline.stream.source.kafka import KafkaSource
from pipeline.stream.source.registry import RegistryTopic

__all__ = ["FileSource", "KafkaSource", "RegistryTopic", "Source"]
