"""Reads the columns of votes that a report needs as numbers: times, sessions, networks, turns.

A time that cannot be read is taken as missing, because a vote without a time can still be rated. Names of sessions and
networks are hashed, so that the names themselves do not stay in memory. `ratings.battle_columns.NUMBERS` lists the
columns.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.formats.battle_format import BattleFormat
from pipeline.formats.cell_values import turn_value
from pipeline.formats.column_pieces import Piece
from pipeline.formats.column_values import distinct, text_column
from pipeline.formats.text_codes import placeholders
from pipeline.formats.text_hashes import hash_texts
from pipeline.formats.time_parsing import MILLISECONDS_BELOW, SECONDS_BELOW, to_time
from pipeline.vocabulary.arrays import Float64, Int64
from pipeline.vocabulary.time import END_TIME, FIRST_TIME, NO_TIME, SECOND

TIMES = ("cast_at", "voter_since")
_TURN = "turn"
_MICROSECONDS = pa.timestamp("us", "UTC")


def number_columns(form: BattleFormat, piece: Piece, names: Collection[str]) -> dict[str, Int64]:
    """Read some of the columns in NUMBERS from a piece of a battle file.

    Args:
        form: the format of the file.
        piece: n rows of the file.
        names: names of the columns (of NUMBERS).

    Returns:
        Name → int64[n]. Times are microseconds since 1970 UTC, NO_TIME for none. A turn is its number, 0 for none. A
        session or a network is a hash of its name, 0 for none. A column that the format lacks has NO_TIME or 0 in each
        row.

    Raises:
        Undecided: a session or a network is not a plain text, for example a map.
    """
    found = {}
    for name in sorted(names):
        if name in TIMES:
            source = form.times.get(name)
            found[name] = no_times(len(piece)) if source is None else time_column(piece.values(source))
        elif name == _TURN:
            zero = np.zeros(len(piece), dtype=np.int64)
            found[name] = zero if form.turn is None else _turn_column(piece.values(form.turn))
        else:
            place = form.texts.get(name)
            texts = pa.nulls(len(piece), pa.string()) if place is None else piece.values(place)
            found[name] = name_numbers(text_column(texts))
    return found


def vote_numbers(name: str, values: Sequence[Any]) -> Int64:
    """Return one field of decoded votes as a column of numbers, int64[n].

    Times are microseconds since 1970 UTC, NO_TIME for none. A turn is its number, 0 for none. A session or a network is
    a hash of its name, 0 for none.

    Args:
        name: name of the field.
        values: the value of the field in each of the n votes; None for none.
    """
    if name in TIMES:
        return time_column(pa.array(values, _MICROSECONDS))
    if name == _TURN:
        return np.array([value or 0 for value in values], dtype=np.int64)
    return name_numbers(pa.array(values, pa.string()).dictionary_encode())


def no_times(rows: int) -> Int64:
    """Return a column of missing times: int64[rows], NO_TIME in each row."""
    return np.full(rows, NO_TIME, dtype=np.int64)


def time_column(array: pa.Array) -> Int64:
    """Return int64[n], each time in microseconds since 1970 UTC; NO_TIME for a value that is no time.

    Values are read as `to_rfc3339` reads single ones. The first instant of 2000 is a placeholder for a missing time and
    gives NO_TIME, too.
    """
    kind = array.type
    if pa.types.is_dictionary(kind):
        array, kind = array.cast(kind.value_type), kind.value_type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return _in_range(_from_timestamps(array))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _in_range(_from_numbers(array))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _in_range(_from_texts(array.cast(pa.large_string())))
    return no_times(len(array))


def name_numbers(column: pa.DictionaryArray) -> Int64:
    """Return the hash of each row's name, int64[n]. The names are those of sessions or of networks.

    The result is 0 for a row without a name, and for a placeholder of a missing name, such as "NaN".
    """
    texts = column.dictionary.cast(pa.string())
    numbers = np.append(hash_texts(texts)[0].view(np.int64), 0)
    empty = pc.equal(pc.fill_null(pc.binary_length(texts), 0), 0).to_numpy(zero_copy_only=False)
    numbers[:-1][empty | placeholders(texts)] = 0
    return np.asarray(numbers[pc.fill_null(column.indices, len(texts)).to_numpy(zero_copy_only=False)])


def _in_range(times: Int64) -> Int64:
    """Replace times outside the years 2000 to 2099 by NO_TIME.

    The first instant of 2000 is replaced too, because it is a placeholder for a missing time.
    """
    return np.where((times > FIRST_TIME) & (times < END_TIME), times, NO_TIME)


def _from_timestamps(array: pa.Array) -> Int64:
    values = array.cast(pa.timestamp("us", getattr(array.type, "tz", None)), safe=False).cast(pa.int64())
    return np.asarray(pc.fill_null(values, NO_TIME).to_numpy(zero_copy_only=False))


def _from_numbers(array: pa.Array) -> Int64:
    """Convert numbers to times in microseconds since 1970 UTC; NO_TIME for a number that is not a time.

    The size of a number decides whether its unit is seconds, milliseconds or microseconds.
    """
    number: Float64 = pc.fill_null(array.cast(pa.float64(), safe=False), np.nan).to_numpy(zero_copy_only=False)
    unit = np.where(number >= MILLISECONDS_BELOW, 1e6, np.where(number >= SECONDS_BELOW, 1e3, 1.0))
    seconds = number / unit
    usable = np.isfinite(seconds) & (seconds >= 0) & (seconds < END_TIME / SECOND)
    return np.where(usable, np.rint(np.where(usable, seconds, 0) * SECOND), NO_TIME).astype(np.int64)


def _from_texts(array: pa.Array) -> Int64:
    """Convert texts to times in microseconds since 1970 UTC; NO_TIME for a text that is not a time.

    The first of these ways that fits all texts is used: as times with a zone, as times without a zone, as numbers. If
    none fits, each distinct text is read by itself.
    """
    array = pc.if_else(pc.equal(array, ""), None, array)
    for kind in (_MICROSECONDS, pa.timestamp("us")):
        try:
            return _from_timestamps(array.cast(kind))
        except pa.ArrowException:
            continue
    if (pc.min(pc.binary_length(array)).as_py() or 0) > len("20240615"):  # four digits are a year, eight a day
        try:
            return _from_numbers(array.cast(pa.float64()))
        except pa.ArrowException:
            pass
    texts, positions = distinct(array)
    table = [NO_TIME if (time := to_time(text)) is None else time for text in texts]
    return np.asarray(np.array([*table, NO_TIME], dtype=np.int64)[positions])


def _turn_column(array: pa.Array) -> Int64:
    texts, positions = distinct(array)
    return np.asarray(np.array([*(turn_value(text) or 0 for text in texts), 0], dtype=np.int64)[positions])
