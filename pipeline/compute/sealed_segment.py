"""Describes a segment of a log by the paths of its public files, and reads them.

A function that is mapped over segments takes such a description, which can be sent to another machine.
"""

from dataclasses import dataclass
from hashlib import sha256

import pyarrow as pa

from pipeline.compute.ledger_place import read_file
from pipeline.errors import Refuted
from pipeline.ledger import leaf_labels, segment


@dataclass(frozen=True, slots=True)
class SealedSegment:
    """The place of a segment in the vote log, and the paths of its public files.

    Attributes:
        first: index of the segment's first leaf.
        leaves: number of leaves.
        place: folder or address of the ledger's files.
        rows: path, relative to the place, of the file with the leaves.
        rows_sha256: SHA-256 of the file with the leaves.
        labels: path, relative to the place, of the file with the labels of the votes; None if no vote has a label.
        labels_sha256: SHA-256 of the file of labels; "" if there is none.
    """

    first: int
    leaves: int
    place: str
    rows: str
    rows_sha256: str
    labels: str | None
    labels_sha256: str

    @property
    def name(self) -> str:
        """The name of the segment in messages."""
        return f"segment of leaves {self.first} to {self.first + self.leaves - 1}"

    @property
    def sent_bytes(self) -> int:
        """0, the number of bytes that are sent to a worker with the segment: the worker reads the files itself."""
        return 0

    def read_rows(self) -> pa.Table:
        """Return the leaves of the segment, a table with `ledger.leaf.SCHEMA`.

        Raises:
            Refuted: the content of the file is not what was sealed, or is no segment.
            Unavailable: the file is missing.
        """
        return segment.read(self._read("segment", "leaves", self.rows, self.rows_sha256), self.name)[0]

    def read_labels(self) -> pa.Table:
        """Return the labels of the votes: a table with `ledger.leaf_labels.SCHEMA`, empty if no vote has a label.

        Raises:
            Refuted: the content of the file is not what was sealed.
            Unavailable: the file is missing.
        """
        if self.labels is None:
            return leaf_labels.SCHEMA.empty_table()
        data = self._read("labels", "labels", self.labels, self.labels_sha256)
        return leaf_labels.read(data, self.name, self.first, self.leaves)

    def _read(self, reason: str, what: str, path: str, digest: str) -> bytes:
        data = read_file(self.place, path)
        if sha256(data).hexdigest() != digest:
            raise Refuted(reason, self.name, f"expected {what} with SHA-256 {digest}, got another file")
        return data
