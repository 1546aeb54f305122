"""Decodes the batches of a worker, either in the worker's process or in a second process.

Decoding takes a fifth of a worker's time and needs the interpreter lock. It depends only on the records and on four
settings. A second process can therefore decode a batch while the worker's threads write the previous batch and poll the
next one.
"""

from collections import deque
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
    """The settings that a decoder needs. A decoder in a second process receives them in its first message.

    Attributes:
        source: name of the source, kafka:CLUSTER/TOPIC or file:….
        publishers: the setting INTEGRITY_PUBLISHERS. Records of a topic need the signature of one of these publishers.
        voter_key: the voter key of the store.
        proxies: addresses and networks of proxies. A voter id that is such an address identifies nobody.
    """

    source: str
    publishers: str
    voter_key: bytes
    proxies: tuple[Network, ...]

    @classmethod
    def of(cls, source: str, voter_key: bytes, settings: "Settings") -> "DecoderSetup":
        """Return the setup for a source, from the settings of a worker and the voter key of its store."""
        return cls(source, settings.publishers, voter_key, settings.proxy_networks)


class BatchDecoder(Protocol):
    """Decodes polled records into votes and rejects, for a worker. Calls of `start` and `result` alternate."""

    def start(self, chunks: Sequence[Chunk], partition_no: Mapping[int, int]) -> None:
        """Begin to decode polled records into votes and rejects.

        Args:
            chunks: polled records, one chunk for each partition and at least one chunk.
            partition_no: source's number of a partition → store's number of the partition.
        """
        ...

    def result(self) -> DecodedBatch:
        """Return the votes and the rejects of the records that `start` took, in the order of partition_no and offset.

        Another thread may call this than the one that called `start`.
        """
        ...

    def close(self) -> None:
        """Release the resources of the decoder. It must not be used afterwards."""
        ...


class InlineDecoder:
    """Decodes in the thread that calls `start`; implements `BatchDecoder`."""

    def __init__(self, setup: DecoderSetup) -> None:
        self._pseudonyms = PseudonymCache(partial(pseudonym, setup.voter_key), setup.proxies)
        self._screen = RecordScreen.of(setup.source, setup.publishers, setup.voter_key)
        self._decoded: deque[DecodedBatch] = deque()

    def start(self, chunks: Sequence[Chunk], partition_no: Mapping[int, int]) -> None:
        """Decode polled records in the calling thread. `result` returns them."""
        self._decoded.append(decode_chunks(chunks, partition_no, self._pseudonyms, self._screen))

    def result(self) -> DecodedBatch:
        """Return what the last call of `start` decoded."""
        return self._decoded.popleft()

    def close(self) -> None:
        """Do nothing: this decoder has no resources to release."""


def with_shared_names(decoded: DecodedBatch) -> DecodedBatch:
    """Return a copy of a batch in which equal names of a column are one object. Pickle then writes each name once."""
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
