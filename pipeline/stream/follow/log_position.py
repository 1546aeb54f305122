"""How far a log was read: what the state file keeps of each log."""

import hashlib

import msgspec

from pipeline.stream.follow.log_file import LogFile
from pipeline.stream.follow.prefix_digest import BLOCK, PrefixDigest

HEAD = 4096
"""First bytes of a log by which logs are compared before anything is hashed in full."""

_CHECKPOINTS = 4


class EarlierPosition(msgspec.Struct, frozen=True):
    """An earlier position of a log: a copy may be a little shorter than what was read of the log since.

    Attributes:
        offset, records, digest: as in LogPosition.
    """

    offset: int
    records: int
    digest: str


class LogPosition(msgspec.Struct, frozen=True, kw_only=True):
    """A log and how far it was read.

    Attributes:
        name: path of the log below the followed folder, when it was seen last.
        device, inode: identity of the file.
        offset: bytes whose votes the broker has confirmed; a line ends there.
        records: lines with content before the offset.
        digest: `PrefixDigest` of the bytes before the offset.
        chain: its chain, hexadecimal.
        head: SHA-256 of the first HEAD bytes, or of all before the offset if they are fewer.
        derived: records before the offset whose vote id was derived.
        lineage: the name of the log when it was new; logs that had one name after each other share it.
        recent: occurrences of the last records whose ids were derived, in all logs of the lineage.
        checkpoints: earlier positions, oldest first.
        size, mtime: of the file when it was read; nothing is new while both are the same.
        gone: the file was deleted or truncated; the position is kept to recognise a copy.
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
    size: int = -1
    mtime: int = 0
    gone: bool = False

    @property
    def key(self) -> tuple[int, int]:
        """The identity of the file."""
        return self.device, self.inode

    def prefix(self, file: LogFile) -> PrefixDigest:
        """Return the digest of the bytes before the offset, to be continued."""
        whole = self.offset // BLOCK * BLOCK
        digest = PrefixDigest(whole, bytes.fromhex(self.chain))
        digest.update(file.read_at(whole, self.offset - whole))
        return digest

    def begins(self, file: LogFile) -> bool:
        """Return whether a file still begins with the bytes that were read; its first and last of them are compared."""
        if not self.offset:
            return True
        if not file.compressed and file.stat().st_size < self.offset:
            return False
        return head_digest(file, self.offset) == self.head and self.prefix(file).hexdigest() == self.digest

    def points(self) -> tuple[EarlierPosition, ...]:
        """Return the positions at which a copy may be continued, the furthest first."""
        return EarlierPosition(self.offset, self.records, self.digest), *reversed(self.checkpoints)

    def advanced(self, digest: PrefixDigest, records: int, head: str) -> "LogPosition":
        """Return the position after more lines."""
        here = (EarlierPosition(self.offset, self.records, self.digest),) if self.offset else ()
        return msgspec.structs.replace(
            self,
            offset=digest.size,
            records=self.records + records,
            digest=digest.hexdigest(),
            chain=digest.chain.hex(),
            head=head,
            checkpoints=(*self.checkpoints, *here)[-_CHECKPOINTS:],
        )


def head_digest(file: LogFile, size: int) -> str:
    """Return SHA-256 of the first bytes of a file, of HEAD of them at most; "" if the file is shorter."""
    wanted = min(HEAD, size)
    head = file.read_at(0, wanted)
    return hashlib.sha256(head).hexdigest() if len(head) == wanted else ""
