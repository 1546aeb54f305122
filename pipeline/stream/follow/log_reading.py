"""Reads a log from a position on, and detects that the log is truncated while it is read."""

from collections.abc import Iterator

from pipeline.stream.follow.line_reader import line_blocks
from pipeline.stream.follow.log_file import LogFile
from pipeline.stream.follow.log_position import HEAD, LogPosition, head_digest


class LogTruncated(Exception):
    """Raised if a log was truncated while it was read.

    The last bytes may then come from two logs, so they must not be used.
    """


def read_on(log: LogPosition, file: LogFile, *, complete: bool) -> Iterator[tuple[list[bytes], LogPosition]]:
    """Yield the lines after a position of a log, block by block, each block with the position after it.

    A log may be truncated while a block is read. The beginning of the file is therefore compared again before the block
    is yielded. If it is unchanged, all bytes come from one log, because a truncated log does not get its old content
    again. A compressed file is not compared.

    Args:
        log: the log, with the position after which lines are read.
        file: the file of the log.
        complete: True if the log does not grow any more.

    Raises:
        LogTruncated: the file does not begin, or no longer begins, with the bytes before the position.
    """
    prefix = log.prefix(file)
    if log.offset and prefix.hexdigest() != log.digest:
        raise LogTruncated
    for block in line_blocks(file, prefix, complete=complete):
        head = log.head if log.offset >= HEAD else head_digest(file, block.digest.size)
        log = log.advanced(block.digest, len(block.lines), head, block.ends)
        if not (file.compressed or log.begins(file)):  # to check a compressed log means to unpack it again
            raise LogTruncated
        yield block.lines, log
