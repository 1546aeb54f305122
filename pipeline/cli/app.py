"""What every command shares: the Typer application, its options, and how it prints."""

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from pipeline import settings

app = typer.Typer(
    name="integrity",
    help="Watch a model leaderboard: account for every vote, flag manipulation, publish ratings anybody can recompute.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
err = Console(stderr=True, highlight=False)
out = Console(highlight=False)

StoreOption = Annotated[
    str | None, typer.Option("--store", help="postgresql://…, sqlite:///FILE or a file; default: INTEGRITY_STORE.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document to standard output.")]


def store_url(option: str | None) -> str:
    """The value of --store, else of the setting INTEGRITY_STORE."""
    return option or settings.load().store


def emit(value: Any) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")


def emit_or_print(as_json: bool, value: Any, text: str, console: Console = err, **options: Any) -> None:
    """Print a result: one JSON document, or a text for people."""
    if as_json:
        emit(value)
    else:
        console.print(text, **options)
