"""Describes how far a log was read, in the form in which the state file stores it."""

import hashlib
from collections.abc import Sequence
from typing import Protocol

import msgspec

from pipeline.stream.follow.log_file import LogFile
from pipeline.stream.follow.prefix_digest import BLOCK, PrefixDigest

HEAD = 4096
"""Number of bytes at the beginning of logs that are compared first, before logs are hashed in full."""

_CHECKPOINTS = 4
LINE_ENDS = 300
"""Number of last lines of a log whose ends are stored. A copy that ends at one of the stored ends is recognised."""


class EarlierPosition(msgspec.Struct, frozen=True):
    """An earlier reading position of a log, by which a copy of the log that ends at this position is recognised.

    Attributes:
        offset: number of bytes before the position.
        records: number of lines before the position that are not blank.
        digest: `PrefixDigest` of the bytes before the position, in hexadecimal digits.
    """

    offset: int
    records: int
    digest: str


class LineEnd(msgspec.Struct, frozen=True, array_like=True):
    """The end of a line that was read. Another file is a copy of the log if it has the same bytes up to this end.

    Attributes:
        offset: number of bytes up to the end of the line.
        digest: first 16 hexadecimal digits of the `PrefixDigest` of these bytes.
    """

    offset: int
    digest: str

    @classmethod
    def of(cls, digest: PrefixDigest) -> "LineEnd":
        """Return the end of the last line among the bytes that a digest covers."""
        return cls(digest.size, digest.hexdigest()[:16])


class LogPosition(msgspec.Struct, frozen=True, kw_only=True):
    """Identifies a log, and says how far it was read.

    Attributes:
        name: path of the log below the followed folder, as it was last seen.
        device, inode: numbers that identify the file.
        offset: number of bytes whose votes the broker has confirmed, always whole lines.
        records: number of lines before the offset that are not blank.
        digest: `PrefixDigest` of the bytes before the offset, in hexadecimal digits.
        chain: the attribute `chain` of the same `PrefixDigest`, in hexadecimal digits.
        head: SHA-256 of the first HEAD bytes, or of the bytes before the offset if they are fewer.
        derived: number of records before the offset whose vote ids were derived.
        lineage: first name of the log. Logs that had the same name one after another have the same lineage.
        recent: key of a record → how often the record occurred in the logs of this lineage. Only the last records whose
            ids were derived are listed.
        checkpoints: earlier positions, oldest first.
        ends: the ends of the last LINE_ENDS lines before the offset.
        size, mtime: size and modification time of the file when it was read. While neither changes, the file has no new
            lines.
        gone: True if the file was deleted or truncated. Its position is kept so that a copy is recognised.
    """

    name: str
    device: int
    inode: int
    offset: int = 0
    records: int = 0
    digest: str = ""
    chain: str = ""
    head: str = ""
    derived: int = 0
    lineage: str = ""
    recent: dict[str, int] = {}
    checkpoints: tuple[EarlierPosition, ...] = ()
    ends: tuple[LineEnd, ...] = ()
    size: int = -1
    mtime: int = 0
    gone: bool = False

    @property
    def key(self) -> tuple[int, int]:
        """Key by which the file is identified: (device, inode)."""
        return self.device, self.inode

    def prefix(self, file: LogFile) -> PrefixDigest:
        """Return the digest of the bytes before the offset. Further bytes can be added to it."""
        whole = self.offset // BLOCK * BLOCK
        digest = PrefixDigest(whole, bytes.fromhex(self.chain))
        digest.update(file.read_at(whole, self.offset - whole))
        return digest

    def begins(self, file: LogFile) -> bool:
        """Return whether a file still begins with the bytes that were read.

        Only the first HEAD bytes and the last block before the offset are compared.
        """
        if not self.offset:
            return True
        if not file.compressed and file.stat().st_size < self.offset:
            return False
        return head_digest(file, self.offset) == self.head and self.prefix(file).hexdigest() == self.digest

    def points(self) -> tuple[EarlierPosition, ...]:
        """Return the present position and the earlier positions of the log, newest first.

        A file that may be a copy of the log is compared at these positions.
        """
        return EarlierPosition(self.offset, self.records, self.digest), *reversed(self.checkpoints)

    def advanced(self, digest: PrefixDigest, records: int, head: str, ends: Sequence[LineEnd]) -> "LogPosition":
        """Return the position after more lines were read.

        Args:
            digest: digest of all bytes before the new position.
            records: number of further lines that are not blank.
            head: the attribute `head` of the new position.
            ends: the ends of the last of these lines.
        """
        here = (EarlierPosition(self.offset, self.records, self.digest),) if self.offset else ()
        return msgspec.structs.replace(
            self,
            offset=digest.size,
            records=self.records + records,
            digest=digest.hexdigest(),
            chain=digest.chain.hex(),
            head=head,
            checkpoints=(*self.checkpoints, *here)[-_CHECKPOINTS:],
            ends=(*self.ends, *ends)[-LINE_ENDS:],
        )


class Positions(Protocol):
    """Stores how far each log was read. `PositionFile` implements this protocol."""

    def load(self) -> list[LogPosition]:
        """Return the stored positions of all logs."""

    def save(self, logs: list[LogPosition]) -> None:
        """Replace the stored positions of all logs."""


def head_digest(file: LogFile, size: int) -> str:
    """Return the SHA-256 of the first min(`size`, HEAD) bytes of a file; "" if the file is shorter than this."""
    wanted = min(HEAD, size)
    head = file.read_at(0, wanted)
    return hashlib.sha256(head).hexdigest() if len(head) == wanted else ""
