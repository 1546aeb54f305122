"""Packs the counts and the voters of a window as bytes in the format of zlib.

ISA-L compresses them in a third of zlib's time. With zlib, compression took a twentieth of the whole time per vote.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from isal import isal_zlib

from pipeline.scoring.sittings import WindowVoters
from pipeline.scoring.window_counter import COLUMNS
from pipeline.vocabulary.arrays import Int64

# Types of kind, group, model, the seven counts and the two expectations; the first line that is wide enough is used.
_LAYOUTS = (("u1", "<u4", "<u2", "u1", "<u2"), ("u1", "<u4", "<u4", "<u4", "<u4"), ("u1", "<u4", "<u4", "<i8", "<i8"))
_LIMITS = np.array([[np.iinfo(kind).max for kind in kinds] for kinds in _LAYOUTS], dtype=np.int64)
_PARTS = (slice(0, 1), slice(1, 2), slice(2, 3), slice(3, 10), slice(10, 12))


def pack_counts(windows: Sequence[Int64]) -> list[bytes]:
    """Pack the counts of windows, one item for each.

    The first byte of an item is the number of the layout, which sets the integer types. The compressed columns follow,
    because columns compress better than rows. Columns of one type form one block, because unpacking each column on its
    own takes 1.2 to 2 times as long.

    All windows are converted together, because a call of numpy for each window takes longer than the conversion.

    Args:
        windows: counts of each window, int64[rows, 12] in the order of COLUMNS.

    Raises:
        OverflowError: a count fits no layout.
    """
    if not windows:
        return []
    lengths = np.array([len(counts) for counts in windows], dtype=np.int64)
    ends = np.cumsum(lengths)
    columns = np.concatenate([counts.T for counts in windows], axis=1)
    layouts = _layouts(columns, ends - lengths, lengths)
    packed = [b""] * len(windows)
    for layout in np.unique(layouts).tolist():
        blocks = [columns[part].astype(kind) for part, kind in zip(_PARTS, _LAYOUTS[layout], strict=True)]
        for i in np.flatnonzero(layouts == layout).tolist():
            rows = slice(ends[i] - lengths[i], ends[i])
            body = b"".join([block[:, rows].tobytes() for block in blocks])
            packed[i] = b"%d" % layout + isal_zlib.compress(body, 1)
    return packed


def _layouts(columns: Int64, starts: Int64, lengths: Int64) -> Int64:
    """Return int64[w], the first layout whose types are wide enough for the counts of each of w windows.

    Args:
        columns: int64[12, rows], the counts of all windows.
        starts, lengths: int64[w], the first row and the number of rows of each window.
    """
    highest = np.zeros((len(COLUMNS), len(lengths)), dtype=np.int64)
    filled = np.flatnonzero(lengths)
    if len(filled):
        highest[:, filled] = np.maximum.reduceat(columns, starts[filled], axis=1)
    by_part = np.stack([highest[part].max(axis=0) for part in _PARTS], axis=1)
    fits = np.asarray((by_part[:, None] <= _LIMITS).all(axis=2))
    without = np.flatnonzero(~fits.any(axis=1))
    if len(without):
        raise OverflowError(f"expected counts that fit a layout, got {by_part[without[0]].tolist()}")
    return np.asarray(fits.argmax(axis=1), dtype=np.int64)


def unpack_counts(raw: bytes) -> Int64:
    """Return the counts of a window, int64[rows, 12], given the bytes from `pack_counts`."""
    body, kinds = zlib.decompress(raw[1:]), _LAYOUTS[int(raw[:1])]
    widths = [np.dtype(kind).itemsize * (part.stop - part.start) for part, kind in zip(_PARTS, kinds, strict=True)]
    rows = len(body) // sum(widths)
    counts, at = np.empty((rows, len(COLUMNS)), dtype=np.int64), 0
    for part, kind, width in zip(_PARTS, kinds, widths, strict=True):
        column = np.frombuffer(body, dtype=kind, count=rows * (part.stop - part.start), offset=at)
        counts[:, part] = column.reshape(-1, rows).T if rows else 0
        at += rows * width
    return counts


def pack_voters(voters: WindowVoters) -> bytes:
    """Pack the voters of a window as bytes: one byte for `bits`, then the compressed columns of `rows`."""
    columns = (voters.rows[:, 0], voters.rows[:, 1], np.minimum(voters.rows[:, 2], 0xFFFFFFFF))
    body = b"".join(column.astype("<u4").tobytes() for column in columns)
    return bytes([voters.bits]) + isal_zlib.compress(body, 1)


def unpack_voters(raw: bytes) -> WindowVoters:
    """Return the voters of a window, given the bytes from `pack_voters`."""
    columns = np.frombuffer(zlib.decompress(raw[1:]), dtype="<u4").reshape(3, -1)
    return WindowVoters(raw[0], np.ascontiguousarray(columns.T).astype(np.int64))
