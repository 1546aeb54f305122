"""Counts the votes of every segment again from its public files, and compares the result with the stored counts.

A refresh reads only the stored counts, so they must be right. The module `reverification` checks that the public files
agree with the stored votes.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.compute import board_cells, board_counts, ledger_place
from pipeline.compute.board_cells import ALL, MAX_LABELS, Label
from pipeline.compute.runner import Runner
from pipeline.compute.sealed_segment import SealedSegment
from pipeline.errors import Refuted
from pipeline.store.db import schema
from pipeline.store.db.ledger_files import LedgerFiles
from pipeline.store.log import sealed_boards
from pipeline.store.votes.dictionary import model_names


def sealed_segments(connection: Connection, files: LedgerFiles, place: str = "") -> list[SealedSegment]:
    """Return the segments of the log with the paths of their public files, in the order of their leaves.

    Args:
        connection: reads the store.
        files: the files of the ledger.
        place: folder or address at which workers find the ledger's files; "" for the folder of `files`.
    """
    s = schema.segment.c
    query = sa.select(s.log_size, s.leaves, s.sha256, s.labels).order_by(s.log_size)
    folder = ledger_place.join(place, files.folder.name) if place else str(files.folder)

    def path(digest: str) -> str:
        return files.path(digest).relative_to(files.folder).as_posix()

    return [
        SealedSegment(
            first=int(row.log_size - row.leaves),
            leaves=int(row.leaves),
            place=folder,
            rows=path(row.sha256),
            rows_sha256=row.sha256,
            labels=None if row.labels is None else path(row.labels),
            labels_sha256=row.labels or "",
        )
        for row in connection.execute(query)
    ]


def compare_counts(connection: Connection, files: LedgerFiles, runner: Runner | None = None, place: str = "") -> None:
    """Check the stored counts of every segment against counts of its public files.

    Args:
        connection: reads the store.
        files: the files of the ledger.
        runner: runs the reading of the segments, for example in other processes; None for threads of this process.
        place: folder or address at which workers find the ledger's files; "" for the folder of `files`.

    Raises:
        Refuted: the reason is `counts` if a stored count is wrong; the message names the segment and the board. The
            reason is `labels` or `segment` if a public file is wrong.
        Unavailable: a public file is missing.
    """
    s, r = schema.segment.c, schema.retraction.c
    numbers = {name: number for number, name in model_names(connection).items()}
    retracted = [int(leaf) for leaf in connection.scalars(sa.select(r.retracts).where(r.leaf.is_not(None)))]
    recounted = board_counts.recount(sealed_segments(connection, files, place), numbers, retracted, runner)
    known: set[Label] = set()
    for segment, boards in recounted:
        end = segment.first + segment.leaves
        row = connection.execute(sa.select(s.boards, s.counts).where(s.log_size == end)).one()
        stored = sealed_boards.of_segment(row.boards, row.counts)
        known |= stored.keys() - {ALL}
        expected = boards
        if len(known) >= MAX_LABELS:  # labels beyond the limit have no counts
            expected = {label: cells for label, cells in boards.items() if label == ALL or label in known}
        wrong = board_cells.first_difference(stored, expected)
        if wrong is not None:
            board = f"{wrong.kind} {wrong.text}".strip()
            raise Refuted("counts", segment.name, f"its counts of the board {board} are not those of its files")
