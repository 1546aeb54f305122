"""Finds the answers that may contain a name among many answers at once, so that only these need to be read closely.

`identity_leaks` takes 100 microseconds to decide whether an answer reveals a name. Few answers contain a name, and an
answer without any name reveals nothing. So Arrow first searches all answers with one regular expression of all names.

The search may find too much, but never misses a name that `identity_leaks` would find. It searches the text in NFKC and
in lower case. For names of ASCII letters and digits, every other character of the text is replaced by a space. For
names with other letters, the text is not changed further. Between the words of such a name, the search accepts any
characters that may separate words.
"""

import re
import unicodedata
from collections.abc import Collection, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.vocabulary.arrays import Bool

# More names would make an expression that takes longer than to read the answers.
_MOST_NAMES, _MOST_OTHER_NAMES = 3_000, 100
_KEPT = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789")
_WORDS = bytes(code if code in _KEPT else ord(" ") for code in range(256))
# Between the words of a name with other letters: no ASCII letter or digit, and no sign of a script without spaces.
_BETWEEN = "[^a-z0-9\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]*"


def may_have_name(answers: Sequence[str], names: Collection[str]) -> Bool:
    """Return bool[n], false for each answer that certainly contains none of the names.

    Args:
        answers: the texts of n answers.
        names: names as `plain_words` makes them, with one space between two words and none around them.
    """
    ascii_names = sorted(name for name in names if name and name.isascii())
    others = sorted(name for name in names if not name.isascii())
    if len(ascii_names) > _MOST_NAMES or len(others) > _MOST_OTHER_NAMES:
        return np.ones(len(answers), dtype=bool)
    folded = [_fold(answer) for answer in answers]
    try:
        return _found_as_words(folded, ascii_names) | _found_anywhere(folded, others)
    except pa.ArrowInvalid:  # the expression is too large
        return np.ones(len(answers), dtype=bool)


def _fold(text: str) -> str:
    """Return a text in NFKC and without case, as `plain_words` does."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _found_as_words(folded: Sequence[str], names: Sequence[str]) -> Bool:
    if not names:
        return np.zeros(len(folded), dtype=bool)
    words = pa.array([text.encode("utf-8", "surrogatepass").translate(_WORDS) for text in folded], pa.large_binary())
    spelled = "|".join(" *".join(name.split()) for name in names)
    return np.asarray(pc.match_substring_regex(words, f"(?:^| )(?:{spelled})(?: |$)"))


def _found_anywhere(folded: Sequence[str], names: Sequence[str]) -> Bool:
    """Return bool[n], true for each text that may contain one of the names. Every name has a letter outside ASCII."""
    found = np.zeros(len(folded), dtype=bool)
    rows = [row for row, text in enumerate(folded) if not text.isascii()]
    if names and rows:
        texts = pa.array([folded[row].encode("utf-8", "replace").decode() for row in rows], pa.large_string())
        spelled = "|".join(_BETWEEN.join(map(re.escape, name.split())) for name in names)
        found[rows] = np.asarray(pc.match_substring_regex(texts, spelled))
    return found


__all__ = ["may_have_name"]
