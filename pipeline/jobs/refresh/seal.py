"""Runs the first step of a refresh: appends committed votes to the vote log."""

from pipeline.open_store import existing_store, now
from pipeline.store.cold import cold_files
from pipeline.store.log import seals, tile_cache


def seal(url: str) -> int:
    """Append the committed votes and the pending retractions to the vote log, and write the hashes of the log.

    Missing hashes of earlier segments are written too. Files of the archive that were replaced are deleted.

    Returns:
        The size of the vote log afterwards. It is unchanged if there was nothing to append.
    """
    with existing_store(url) as store:
        with store.write() as connection:
            sealed = seals.seal(connection, store.files, now())
            cold_files.delete_unnamed(connection)
        tile_cache.write(store.files, sealed.growth)
        with store.read() as connection:
            tile_cache.catch_up(connection, store.files)
    return sealed.size
