"""Reads published leaderboards: tables with one row for each board, day and model.

Three kinds are read: the arena's dataset (a folder for each board, a file for each split), tables such as the ones that
fboulnois publishes, and our own exports (boards as JSON, histories, bundles). Files are CSV, TSV, JSON, JSON Lines or
Parquet, compressed or not.

Modules:
    read_boards      reads files as boards, oldest first
    published_board  represents a board on one day, and a conflict between two rows
    board_files      finds the files, and derives the board of a file from its path
    board_documents  reads our own exports as rows
    board_pieces     reads a file in pieces of columns
    board_columns    finds the columns by name, and reads cells by column
    board_cells      reads single cells: names, days, numbers, votes, margins
    board_table      collects the rows of all files as codes and numbers
    rename_file      reads a file in which a person states which models were renamed
    board_merging    drops repeated rows, rows that contradict an earlier file, and earlier snapshots of a day

The first row that cannot be read raises an error, which states its 0-based row. If the caller asks for it, such rows
are left out instead. If a row has no style rank, interval, organisation or licence, the value is missing and never
zero. Names stay as published, so two spellings of an organisation are two organisations. The same rows give the same
boards from every kind of file.

Not handled: more than one snapshot on a day. For each model, the last snapshot of the day counts.
"""

from pipeline.formats.published_boards.board_columns import SYNONYMS
from pipeline.formats.published_boards.published_board import BoardConflict, PublishedBoard
from pipeline.formats.published_boards.read_boards import (
    PublishedHistory,
    ReadFile,
    read_published_boards,
    read_published_history,
)

__all__ = [
    "SYNONYMS",
    "BoardConflict",
    "PublishedBoard",
    "PublishedHistory",
    "ReadFile",
    "read_published_boards",
    "read_published_history",
]
