"""Reads the complete lines of a log after a position, block by block, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.events.strict_checks import MAX_BYTES
from pipeline.formats.json_pieces import MAX_RECORD
from pipeline.stream.follow.log_file import LogFile
from pipeline.stream.follow.log_position import LINE_ENDS, LineEnd
from pipeline.stream.follow.prefix_digest import PrefixDigest

_BLOCK = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LineBlock:
    """Some consecutive lines of a log, with the digest of the log up to their end.

    Attributes:
        lines: the lines that are not blank, without line ends. A line of more than MAX_RECORD bytes is cut to MAX_BYTES
            + 1 bytes. This is one byte more than a record may have, so the line is rejected later.
        digest: digest of the log from its beginning to the end of the last line.
        ends: positions of the ends of the last LINE_ENDS lines, blank ones included.
    """

    lines: list[bytes]
    digest: PrefixDigest
    ends: list[LineEnd]


def line_blocks(file: LogFile, digest: PrefixDigest, *, complete: bool = False) -> Iterator[LineBlock]:
    """Yield the lines of a log after a position, block by block.

    A last line without a newline is not yielded, unless the log is complete. If a line is too long for a record, only
    its beginning is yielded, so that the record is rejected.

    Args:
        file: the file of the log.
        digest: digest of the bytes before the position. The object is not changed.
        complete: True if the log does not grow any more.
    """
    digest, rest, cut = digest.copy(), b"", b""
    at = digest.size
    while data := file.read_at(at, _BLOCK):
        at += len(data)
        end = data.rfind(b"\n") + 1
        if not end:
            rest += data
            if len(rest) > MAX_RECORD:  # nobody reads such a line: its beginning is enough to reject it
                digest.update(rest)
                cut, rest = cut or rest[: MAX_BYTES + 1], b""
            continue
        whole, rest = rest + data[:end], data[end:]
        ends = _add(digest, whole)
        yield LineBlock(_lines(cut, whole), digest.copy(), ends)
        cut = b""
    if complete and (cut or rest):
        digest.update(rest)
        yield LineBlock(_lines(cut, rest), digest, [LineEnd.of(digest)])


def _add(digest: PrefixDigest, text: bytes) -> list[LineEnd]:
    """Add lines to a digest, and return the ends of the last LINE_ENDS lines."""
    first, *others = text[:-1].rsplit(b"\n", LINE_ENDS - 1)
    ends = []
    for line in (first, *others):
        digest.update(line + b"\n")
        ends.append(LineEnd.of(digest))
    return ends


def _lines(cut: bytes, text: bytes) -> list[bytes]:
    lines = text.split(b"\n")
    if cut:
        lines[0] = cut
    return [line.rstrip(b"\r") if len(line) <= MAX_RECORD else line[: MAX_BYTES + 1] for line in lines if line.strip()]
