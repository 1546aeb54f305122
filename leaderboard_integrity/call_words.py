"""Converts messages that name options of commands to messages that name arguments of functions.

The functions for notebooks raise errors and return notes that were written for the command line and name its options.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pipeline.errors import BadInput, IntegrityError

_PAIR = re.compile(r"--(columns|outcomes) ([\w.]+)=([\w.]*)(,[\w.]+=[\w.]*)*(,…)?")
_CHOICE = re.compile(r"--(method|group|winner-is) (none|arena|category|language|name)\b")
_SWITCH = re.compile(r"--(skip-bad|by-voter|style)\b(?!:)")
_OPTION = re.compile(
    r"--(columns|outcomes|winner-is|skip-bad|by-voter|method|level|seed|style|bootstrap|reweight|group|fragility|"
    r"influence|anchor|board|at)\b"
)


def in_call_words(text: str) -> str:
    """Replace the options of commands in a message by arguments of functions.

    >>> in_call_words("name it with --columns winner=HEADER; --skip-bad leaves such records out")
    'name it with columns={"winner": "HEADER"}; skip_bad=True leaves such records out'
    """
    text = _PAIR.sub(lambda found: f"{found[1]}={{{_pairs(found[0])}}}", text)
    text = _CHOICE.sub(lambda found: f'{_name(found[1])}="{found[2]}"', text)
    text = _SWITCH.sub(lambda found: f"{_name(found[1])}=True", text)
    return _OPTION.sub(lambda found: _name(found[1]), text)


@contextmanager
def with_notes(notes: Iterable[str]) -> Iterator[None]:
    """Add notes to an error about votes that a `with` block raises.

    The notes say how the votes were read, and which records were left out and why.
    """
    try:
        yield
    except BadInput as error:
        for note in notes:
            error.add_note(note)
        raise


@contextmanager
def errors_in_call_words() -> Iterator[None]:
    """Change the messages of errors that a `with` block raises: options of commands become arguments of functions."""
    try:
        yield
    except IntegrityError as error:
        error.args = (in_call_words(str(error)), *error.args[1:])
        raise


def _name(option: str) -> str:
    return option.replace("-", "_")


def _pairs(text: str) -> str:
    """Rewrite the pairs of an option in Python's words: `--option a=b,c=d` gives `"a": "b", "c": "d"`."""
    pairs = [part.split("=", 1) for part in text.split(" ", 1)[1].split(",") if "=" in part]
    return ", ".join(f'"{key}": "{value}"' for key, value in pairs) + (", …" if text.endswith("…") else "")
