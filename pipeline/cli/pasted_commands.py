"""Completes the commands in messages with the option --store, so that a person can paste them.

A message names the next command, such as "`integrity alerts` lists them". The message may come from a package that does
not know how the command line was called. So the commands are completed where text is printed (`terminal`).
"""

import re
import shlex
from contextvars import ContextVar

import typer

from pipeline.vocabulary.url_passwords import without_passwords

VERBS = (
    "alerts", "archive", "audit", "backfill", "doctor", "drill", "incidents", "leaderboard", "migrate", "provider",
    "pseudonym", "refresh", "rejects", "replay", "rotate-key", "sweep", "tokens", "verify", "work",
)  # fmt: skip
"""Commands that messages may name and that have the option --store. A test compares this list with the command line."""

_VERB = f"integrity (?:{'|'.join(VERBS)})"
# A command is between backticks, or it is a whole line. `verify DIR` reads files and no store.
_COMMAND = re.compile(rf"(?m)(?<=`){_VERB}(?: [^`\n]*)?(?=`)|^ *{_VERB}(?: .*)?$")
_ON_FILES = re.compile(r" *integrity verify [^-]")
_given: ContextVar[str | None] = ContextVar("store of the command line", default=None)


def remember_store(value: str | None) -> str | None:
    """Remember the value of --store, for the commands in messages. Without --store, `value` is None."""
    _given.set(value)
    return value


def remember_option(context: typer.Context, value: str | None) -> str | None:
    """Remember the value of --store. Typer calls this with the value, also when it only completes a command."""
    return value if context.resilient_parsing else remember_store(value)


def with_store(text: str) -> str:
    """Return a text in which every command that reads a store has the remembered --store.

    A password in the address of the store is replaced by ***.

    >>> _ = remember_store("my board.db")
    >>> with_store("2 alerts; `integrity alerts show ID` tells one")
    "2 alerts; `integrity alerts show ID --store 'my board.db'` tells one"
    >>> _ = remember_store(None)
    >>> with_store("`integrity alerts`")
    '`integrity alerts`'
    """
    store = _given.get()
    if not store or "integrity " not in text:
        return text
    option = f" --store {shlex.quote(without_passwords(store))}"
    return _COMMAND.sub(lambda found: _with_option(found[0], option), text)


def _with_option(command: str, option: str) -> str:
    return command if " --store " in command or _ON_FILES.match(command) else command + option
