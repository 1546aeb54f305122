"""Chooses whether a worker decodes in its own process or in a second one."""

from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.db.dialect import has_server
from pipeline.stream.batch_decoder import BatchDecoder, DecoderSetup, InlineDecoder
from pipeline.stream.decoder_process import DecoderProcess
from pipeline.stream.source.event_source import Source


def start_decoder(source: Source, store: Store, settings: Settings, *, apart: bool) -> BatchDecoder:
    """Start the decoder of a worker, in a second process where this is faster.

    A second process is faster if the worker reads from Kafka and writes to PostgreSQL. With SQLite, the worker waits
    for each write anyway. A file is often read completely before a second process has started.

    Args:
        source: the source that the worker reads.
        store: the store that the worker writes.
        settings: the settings of the worker. INTEGRITY_DECODER_PROCESS=false forbids a second process.
        apart: whether the caller allows a second process.
    """
    setup = DecoderSetup.of(source.name, store.voter_key, settings)
    if apart and settings.decoder_process and source.name.startswith("kafka:") and has_server(store.engine):
        return DecoderProcess(setup)
    return InlineDecoder(setup)
