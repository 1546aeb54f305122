"""Reads public battle files and published leaderboards, and writes votes in other formats.

Modules:
    battle_formats    declare the formats that are recognised, one module each
    battle_format     defines how a format is declared
    containers        opens files by kind: compressed files, folders and globs
    first_bytes       finds out from the first bytes of a file what it contains
    format_notes      writes sentences about how a file was read
    column_names      parses how a user names columns and outcomes: --columns, --outcomes, --winner-is
    battle_file       finds the format of a battle file, and the columns that are not read
    csv_rows          reads the rows of CSV and TSV, and keeps an open quote from taking in other rows
    element_scan      finds where an element of a JSON array ends that is too large to be decoded
    json_pieces       reads the elements of a JSON array and the lines of a file, in pieces
    bounded_parquet   reads rows of a Parquet file, in memory that its size bounds
    plain_texts       finds the columns of a Parquet file whose texts hardly repeat
    tables            reads CSV, TSV and Parquet as records
    cell_values       reads single values: texts, flags, counts, labels, outcomes
    time_parsing      converts the times of public files to RFC 3339
    row_mapping       maps a record to the fields of a vote event, as its format declares
    line_events       maps the lines of a growing log to vote events
    vote_ids          gives an id to each vote that has none
    record_shapes     finds JSON files whose records are not one object each
    record_text       finds the texts of a battle: the question and the answers
    plain_words       reduces text to words without case, width, spaces and punctuation
    identity_table    reads the names of providers and families of models
    identity_leaks    finds answers that reveal the name of a model
    leak_screen       finds the answers that may reveal a name, many answers at once
    record_reader     reads every record of a battle file as one vote event in bytes
    battle_records    reads a battle file as columns, record by record
    piece_reader      reads a battle file in pieces of columns
    column_pieces     represents a piece of a file: Arrow columns or decoded JSON records
    vote_piece        reads votes in our own JSON Lines as a piece
    column_values     reads whole columns of values, as `cell_values` reads single ones
    number_columns    reads the columns that a report needs as numbers: times, sessions, networks, turns
    text_codes        assigns codes to names, groups and voters, piece by piece
    repeated_ids      finds votes whose id an earlier vote has
    text_hashes       hashes the texts of a column
    column_buffer     collects the values of a column piece by piece
    vote_collector    collects votes as columns of codes, piece by piece
    accepted_names    checks whether the decoder of events accepts texts as names
    column_mapping    maps pieces to columns of votes, as the format declares
    battle_tables     reads a battle file as columns: by column if possible, which is fast, else record by record
    record_estimate   estimates the number of records of a file, for a progress bar
    vote_columns      represents votes as Arrow columns, one for each field
    vote_reader       reads votes with all of their fields, so that they can be written in another format
    output_schemas    defines what is written: our vote event, a flat table, arena-human-preference-140k
    vote_writer       writes JSON, JSON Lines, CSV, TSV and Parquet, compressed or not
    record_places     finds the file and the record of a row
    row_estimate      estimates the number of rows of a file
    left_out          counts the records that are left out of a rating
    published_boards  reads published leaderboards: the arena's dataset, tables of snapshots, our own exports

Record i of a file is event i of the result. A record that cannot be mapped is passed on unchanged; the decoder rejects
it, and the error states its row. The same records give the same bytes, including derived ids, from every kind of file.
"""

from typing import TYPE_CHECKING

from pipeline.vocabulary.lazy_names import lazy_names

if TYPE_CHECKING:
    from pipeline.formats.column_names import ColumnMapping
    from pipeline.formats.published_boards import PublishedBoard, read_published_boards
    from pipeline.formats.record_reader import RecordCheck, is_registry_event, read_records
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "column_names": "ColumnMapping",
            "published_boards": "PublishedBoard read_published_boards",
            "record_reader": "RecordCheck is_registry_event read_records",
        },
    )

__all__ = [
    "ColumnMapping",
    "PublishedBoard",
    "RecordCheck",
    "is_registry_event",
    "read_published_boards",
    "read_records",
]
