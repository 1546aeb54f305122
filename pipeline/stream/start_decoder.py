"""Chooses the decoder of a worker."""

from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.db.dialect import has_server
from pipeline.stream.batch_decoder import BatchDecoder, DecoderSetup, InlineDecoder
from pipeline.stream.decoder_process import DecoderProcess
from pipeline.stream.source.event_source import Source


def start_decoder(source: Source, store: Store, settings: Settings, *, apart: bool) -> BatchDecoder:
    """Return the decoder of a worker: a process of its own where this is faster, else one in this process.

    A second process is faster if the worker reads from Kafka and writes to PostgreSQL. With SQLite the worker waits for
    each write. A file is often read completely before a second process has started.

    Args:
        source: the source that the worker reads.
        store: the store that the worker writes.
        settings: the settings of the worker.
        apart: whether a second process may be used. INTEGRITY_DECODER_PROCESS=false forbids it too.
    """
    setup = DecoderSetup.of(source.name, store.voter_key, settings)
    if apart and settings.decoder_process and source.name.startswith("kafka:") and has_server(store.engine):
        return DecoderProcess(setup)
    return InlineDecoder(setup)
