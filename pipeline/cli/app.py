"""Defines the parts that all commands share: the Typer application, common options, and printing."""

from typing import Annotated, Any

import typer

from pipeline.cli.pasted_commands import remember_option
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
    str | None,
    typer.Option(
        "--store",
        help="postgresql://…, sqlite:///FILE or a file; default: INTEGRITY_STORE.",
        callback=remember_option,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document to standard output.")]


def store_url(option: str | None) -> str:
    """Return the address of the store: the value of --store, or else the setting INTEGRITY_STORE."""
    if option:
        return option
    from pipeline import settings  # noqa: PLC0415  # takes longer to import than the help takes to print

    return settings.load().store


def emit(value: Any) -> None:
    """Print a value as one JSON document to standard output."""
    write_json(value)


def emit_or_print(as_json: bool, value: Any, text: str, console: Terminal = err, **options: Any) -> None:
    """Print the result of a command.

    Args:
        as_json: whether to print `value` as JSON to standard output instead of `text`.
        value: the result as data.
        text: the result as a text for people.
        console: the terminal for the text.
        options: options of rich's `print`.
    """
    if as_json:
        emit(value)
    else:
        console.print(text, **options)


__all__ = ["JsonOption", "StoreOption", "app", "emit", "emit_or_print", "err", "out", "store_url"]
