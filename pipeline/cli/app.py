"""What every verb shares: the command itself, its options, and how it prints."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

app = typer.Typer(
    name="integrity",
    help="Watch a model leaderboard: every vote accounted for, manipulation flagged, ratings recomputable.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
err = Console(stderr=True)
out = Console()

StoreOption = Annotated[
    str | None,
    typer.Option("--store", help="postgresql://…, sqlite:///FILE or a file; default: INTEGRITY_STORE."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Exactly one JSON document on stdout.")]


def emit(value: Any) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")
