"""Decides what a file is that was not seen before: a new log, the rest of a known one, or a copy of one."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from pipeline.stream.follow.log_file import LogFile
from pipeline.stream.follow.log_position import EarlierPosition, LogPosition, head_digest
from pipeline.stream.follow.prefix_digest import BLOCK, PrefixDigest

_PIECE = 16 * BLOCK


@dataclass(frozen=True, slots=True)
class Continuation:
    """A file that begins with what was read of a log.

    Attributes:
        log: position of that log.
        point: the furthest known position up to which both are the same.
        chain: chain of the digest there.
    """

    log: LogPosition
    point: EarlierPosition
    chain: str

    def moved_to(self, name: str, device: int, inode: int) -> LogPosition:
        """Return the position from which the file is read."""
        return msgspec.structs.replace(
            self.log,
            name=name,
            device=device,
            inode=inode,
            offset=self.point.offset,
            records=self.point.records,
            digest=self.point.digest,
            chain=self.chain,
            checkpoints=tuple(one for one in self.log.checkpoints if one.offset < self.point.offset),
            size=-1,
            mtime=0,
            gone=False,
        )


def similar_logs(file: LogFile, logs: Sequence[LogPosition]) -> list[LogPosition]:
    """Return the logs with the same first bytes as a file, and those whose first bytes it is too short to have."""
    heads: dict[int, str] = {}
    return [
        log
        for log in logs
        if log.offset and heads.setdefault(log.offset, head_digest(file, log.offset)) in ("", log.head)
    ]


def find_continuation(file: LogFile, logs: Sequence[LogPosition]) -> Continuation | None:
    """Return the log that a file continues, the one of which most was read; None if it continues none."""
    points = sorted({point.offset for log in logs for point in log.points()})
    digest, found = PrefixDigest(), {}
    for offset in points:
        while digest.size < offset and (data := file.read_at(digest.size, min(_PIECE, offset - digest.size))):
            digest.update(data)
        if digest.size < offset:
            break
        found[offset] = (digest.hexdigest(), digest.chain.hex())
    matches = [
        Continuation(log, point, found[point.offset][1])
        for log in logs
        for point in log.points()
        if point.offset in found and found[point.offset][0] == point.digest
    ]
    return max(matches, key=lambda match: match.point.offset, default=None)


def is_prefix(file: LogFile, whole: LogFile) -> bool:
    """Return whether all bytes of a file are the first bytes of another."""
    at = 0
    while data := file.read_at(at, _PIECE):
        if whole.read_at(at, len(data)) != data:
            return False
        at += len(data)
    return True
