"""The parts that every command shares: the Typer application, its options, and printing."""

from typing import Annotated, Any

import typer

from pipeline import settings
from pipeline.cli.terminal import Terminal, err, out, write_json

app = typer.Typer(
    name="integrity",
    help="Watch a model leaderboard: account for every vote, flag manipulation, publish ratings anybody can recompute.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help strings such as kafka://…[/TOPIC] are text, not markup
    context_settings={"help_option_names": ["-h", "--help"]},
)
StoreOption = Annotated[
    str | None, typer.Option("--store", help="postgresql://…, sqlite:///FILE or a file; default: INTEGRITY_STORE.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document to standard output.")]


def store_url(option: str | None) -> str:
    """Return the value of --store, else of the setting INTEGRITY_STORE."""
    return option or settings.load().store


def emit(value: Any) -> None:
    """Print one JSON document."""
    write_json(value)


def emit_or_print(as_json: bool, value: Any, text: str, console: Terminal = err, **options: Any) -> None:
    """Print a result as one JSON document, or as a text for people."""
    if as_json:
        emit(value)
    else:
        console.print(text, **options)


__all__ = ["JsonOption", "StoreOption", "app", "emit", "emit_or_print", "err", "out", "store_url"]
