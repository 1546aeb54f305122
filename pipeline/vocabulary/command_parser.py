"""Defines an argument parser whose messages show hidden characters of the command line as escapes."""

import argparse
from typing import IO, NoReturn

from .visible_text import visible


class CommandParser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` that shows hidden characters in its usage and errors as escapes."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and the message to stderr, and exit with status 2."""
        super().error(visible(message))

    def _print_message(self, message: str, file: IO[str] | None = None) -> None:  # type: ignore[override]
        super()._print_message(visible(message, lines=True), file)
