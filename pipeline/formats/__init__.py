"""Readers of public battle files and published leaderboards.

Modules:
    record_reader     every record of a battle file as one vote event in bytes
    json_pieces       the elements of a JSON array and the lines of a file, in pieces
    bounded_parquet   rows of a Parquet file, in memory that its size bounds
    field_mapping     one function for each format: a record → the fields of a vote event
    time_parsing      the times of public files → RFC 3339
    battle_records    a battle file as columns, record by record
    battle_tables     a battle file as columns, by column where it is a plain table
    published_boards  tables of published leaderboard snapshots

Laws: record i of a file is event i of the result. A record that cannot be mapped is passed on unchanged, and the
decoder rejects it with its row. The same records give the same bytes from every kind of file, derived ids included.
"""

from pipeline.formats.published_boards import PublishedBoard, read_published_boards
from pipeline.formats.record_reader import ColumnMapping, is_registry_event, read_records

__all__ = ["ColumnMapping", "PublishedBoard", "is_registry_event", "read_published_boards", "read_records"]
