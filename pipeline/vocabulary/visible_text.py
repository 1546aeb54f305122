"""Makes foreign text safe to show: hidden characters are written as escapes.

Foreign text is names, reasons, file names, headers and messages of other programs. It may contain characters that
control a terminal (ESC), reorder text (bidirectional overrides) or are invisible (zero width). Everything that prints,
renders or logs foreign text passes it through `visible`. JSON is written by `json_text`, whose escapes a JSON parser
decodes.
"""

import json
import re
from typing import Any

# The Unicode categories Cc, Cf, Cs, Zl and Zp, which decoded events may not contain, letters that look like a
# space, and U+FFFE and U+FFFF, which XML cannot carry. A test compares the ranges with the Unicode tables of Python.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u180e\u200b-\u200f"
    "\u2028-\u202e\u2060-\u2064\u2066-\u206f\u2800\u3164\ud800-\udfff\ufeff\uffa0\ufff9-\ufffb\ufffe\uffff"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001"
    "\U000e0020-\U000e007f]"
)
_HIDDEN_BUT_NEWLINE = re.compile("(?!\n)" + _HIDDEN.pattern)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: object, *, lines: bool = False) -> str:
    r"""Return a text with every hidden character as an escape.

    Args:
        text: any object; its `str` is used.
        lines: keep line breaks. Only for text whose line breaks are the project's own.

    >>> visible("red \x1b[31m, right to left \u202e, [/bold]")
    'red \\x1b[31m, right to left \\u202e, [/bold]'
    """
    return (_HIDDEN_BUT_NEWLINE if lines else _HIDDEN).sub(_escape, str(text))


def json_text(value: Any) -> str:
    """Return a value as JSON in one line. Hidden characters are written as JSON escapes, so a parser restores them.

    Raises:
        ValueError: the value contains a NaN or an infinity.
    """
    return _HIDDEN.sub(_json_escape, json.dumps(value, ensure_ascii=False, allow_nan=False))


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    if char in _SHORT:
        return _SHORT[char]
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]
