"""Builds the functions with which a command checks the texts of records.

The checks (`text_checks`) import scipy, which takes a second. `delayed_text_reading` therefore imports them only when
the first text must be checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.formats.battle_format import Fields, Record
from pipeline.formats.record_reader import RecordCheck


@dataclass(frozen=True)
class TextReading:
    """Bundles the functions with which a command checks the texts of records.

    Attributes:
        check: computes fields from the texts of a record. None if texts are not checked.
        flush: writes to the disk the state that the next run needs.
        close: closes the files of the state.
        count: returns two numbers: the number of battles with text, and how many of these have an identity leak.
        notes: returns sentences for people about the check.
    """

    check: RecordCheck | None = None
    flush: Callable[[], None] = lambda: None
    close: Callable[[], None] = lambda: None
    count: Callable[[], tuple[int, int]] = lambda: (0, 0)
    notes: Callable[[], tuple[str, ...]] = lambda: ()


def delayed_text_reading(open_reading: Callable[[], TextReading]) -> TextReading:
    """Return functions that check texts, and that call `open_reading` only when the first record is checked.

    If no record is checked, `open_reading` is never called, and the functions do nothing.
    """
    opened: list[TextReading] = []

    def current() -> TextReading:
        return opened[0] if opened else TextReading()

    def check(record: Record, fields: Fields) -> Fields:
        if not opened:
            opened.append(open_reading())
        checks = opened[0].check
        return {} if checks is None else checks(record, fields)

    return TextReading(
        check,
        lambda: current().flush(),
        lambda: current().close(),
        lambda: current().count(),
        lambda: current().notes(),
    )
