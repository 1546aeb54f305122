"""Public battle files in: every record of a file becomes one event as bytes.

    files.py      which reader a file needs, and the loop over its records
    foreign.py    one function a foreign format: a record → the fields of our vote event
    history.py    published leaderboard snapshots, a row a model
    times.py      the ways in which public files write a time

Laws: record i of a file is row i of what comes out, whatever is wrong with it (a record that
cannot be mapped goes on as it is, and the decoder rejects it with its row); the same file gives
the same bytes on every road, missing ids included.
"""

from pipeline.formats.published_boards import PublishedBoard, read_published_boards
from pipeline.formats.record_reader import ColumnMapping, is_registry_event, read_records

__all__ = ["ColumnMapping", "PublishedBoard", "is_registry_event", "read_published_boards", "read_records"]
