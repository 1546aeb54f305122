"""How a command reads the texts of records: the functions that check them, and when these are opened.

The checks (`text_checks`) import scipy, which takes a second. A delayed reading opens them when the first text is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.formats.battle_format import Fields, Record
from pipeline.formats.record_reader import RecordCheck


@dataclass(frozen=True)
class TextReading:
    """The functions that check the texts of records.

    Attributes:
        check: returns what the text of a record shows; None if texts are not checked.
        flush: writes the state that the next run needs to disk.
        close: closes the files of the state.
        count: returns the number of battles with text, and of those with an identity leak.
        notes: returns sentences for people about the check.
    """

    check: RecordCheck | None = None
    flush: Callable[[], None] = lambda: None
    close: Callable[[], None] = lambda: None
    count: Callable[[], tuple[int, int]] = lambda: (0, 0)
    notes: Callable[[], tuple[str, ...]] = lambda: ()


def delayed_text_reading(open_reading: Callable[[], TextReading]) -> TextReading:
    """Return a text reading that is opened when the first record with text is read."""
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
