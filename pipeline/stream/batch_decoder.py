"""Decodes the batches of a worker, in the worker's process or in a process of its own.

Decoding takes a fifth of a worker's time, needs the interpreter lock, and depends on nothing but the records and four
settings. A second process decodes a batch while the worker's threads write the previous batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from pipeline.events.chunk import Chunk
from pipeline.events.pseudonym import pseudonym
from pipeline.stream.decoding import DecodedBatch, PseudonymCache, decode_chunks
from pipeline.stream.record_screening import RecordScreen
from pipeline.vocabulary.voter_identity import Network

if TYPE_CHECKING:  # the decoder's process needs no settings
    from pipeline.settings import Settings

Name = TypeVar("Name", str, "str | None")


@dataclass(frozen=True, slots=True)
class DecoderSetup:
    """What decoding depends on besides the records.

    Attributes:
        source: name of the source, kafka:CLUSTER/TOPIC or file:….
        publishers: INTEGRITY_PUBLISHERS, whose signatures the records of a topic need.
        voter_key: the voter key of the store.
        proxies: addresses and networks of proxies. An id that is such an address identifies nobody.
    """

    source: str
    publishers: str
    voter_key: bytes
    proxies: tuple[Network, ...]

    @classmethod
    def of(cls, source: str, voter_key: bytes, settings: "Settings") -> "DecoderSetup":
        """Return the setup for a source and the voter key of a store."""
        return cls(source, settings.publishers, voter_key, settings.proxy_networks)


class BatchDecoder(Protocol):
    """Decodes polled records."""

    def decode(self, chunks: Sequence[Chunk], partition_no: Mapping[int, int]) -> DecodedBatch:
        """Decode polled records.

        Args:
            chunks: polled records, at least one chunk, one for each partition.
            partition_no: number of a partition in its source → partition number of the store.

        Returns:
            The votes and the rejects, in the order (partition, offset).
        """
        ...

    def close(self) -> None:
        """Release what the decoder holds. It decodes nothing afterwards."""
        ...


class InlineDecoder:
    """A `BatchDecoder` that decodes in the thread of its caller."""

    def __init__(self, setup: DecoderSetup) -> None:
        self._pseudonyms = PseudonymCache(partial(pseudonym, setup.voter_key), setup.proxies)
        self._screen = RecordScreen.of(setup.source, setup.publishers, setup.voter_key)

    def decode(self, chunks: Sequence[Chunk], partition_no: Mapping[int, int]) -> DecodedBatch:
        """Decode polled records: see `BatchDecoder`."""
        return decode_chunks(chunks, partition_no, self._pseudonyms, self._screen)

    def close(self) -> None:
        """Do nothing."""


def with_shared_names(decoded: DecodedBatch) -> DecodedBatch:
    """Return the same batch, in which all equal names of a column are one object. Pickle then writes each name once."""
    v = decoded.votes
    votes = replace(
        v,
        model_a=_shared(v.model_a),
        model_b=_shared(v.model_b),
        language=_shared(v.language),
        category=_shared(v.category),
        network=_shared(v.network),
        categories=_shared(v.categories),
    )
    return replace(decoded, votes=votes)


def _shared(names: list[Name]) -> list[Name]:
    one_of: dict[Name, Name] = {}
    return [one_of.setdefault(name, name) for name in names]
