"""Decides whether an unknown file is a new log, the continuation of a known log, or a copy of one."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from pipeline.stream.follow.line_reader import line_blocks
from pipeline.stream.follow.log_file import LogFile
from pipeline.stream.follow.log_position import EarlierPosition, LogPosition, head_digest
from pipeline.stream.follow.prefix_digest import BLOCK, PrefixDigest

_PIECE = 16 * BLOCK


@dataclass(frozen=True, slots=True)
class Continuation:
    """A known log with whose bytes an unknown file begins.

    Attributes:
        log: position of the known log.
        point: the last recorded position of the log up to which the file has the same bytes as the log.
        chain: `PrefixDigest.chain` at this position, in hexadecimal digits.
    """

    log: LogPosition
    point: EarlierPosition
    chain: str

    def moved_to(self, name: str, device: int, inode: int) -> LogPosition:
        """Return the position of the known log at `point`, as a position of the file.

        Args:
            name: path of the file below the followed folder.
            device, inode: numbers that identify the file.
        """
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
    """Return the known logs that a file may continue or copy, because their first bytes are equal.

    A log is also returned if the file is too short to compare. A log of which nothing was read is never returned.
    """
    heads: dict[int, str] = {}
    return [
        log
        for log in logs
        if log.offset and heads.setdefault(log.offset, head_digest(file, log.offset)) in ("", log.head)
    ]


def find_continuation(file: LogFile, logs: Sequence[LogPosition]) -> Continuation | None:
    """Return the known log that a file continues, with the position from which the file has new lines.

    The beginning of the file is compared with the known positions of the logs. If several positions match, the largest
    is returned. The result is None if none matches.
    """
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


def is_known(file: LogFile, log: LogPosition, original: LogFile | None) -> bool:
    """Return whether a file has no new line because it is a copy of a known log, or of the beginning of the log.

    Args:
        file: the unknown file.
        log: the position of the log.
        original: the file of the log, which may have been truncated meanwhile; None if it is gone.
    """
    if original is not None and log.begins(original) and _is_prefix(file, original):
        return True
    if file.read_at(log.offset - 1, 1):
        return False
    end = None
    for block in line_blocks(file, PrefixDigest(), complete=file.compressed):
        end = block.ends[-1]
    return end in log.ends


def _is_prefix(file: LogFile, whole: LogFile) -> bool:
    """Return whether the file `whole` begins with all bytes of `file`."""
    at = 0
    while data := file.read_at(at, _PIECE):
        if whole.read_at(at, len(data)) != data:
            return False
        at += len(data)
    return True
