"""The command: exit status, --json, errors in plain words.

Exit 0: did its job, whatever it found. 1: a finding, from verbs that ask whether something is wrong.
2: usage, bad input. 3: something is unavailable, or a stop limit tripped. 4: verification failed.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from pipeline.errors import BadInput, Halted, IntegrityError, Unavailable, Usage, VerificationFailed

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


def main() -> None:
    """Run the command, and turn our errors into an exit status and a sentence."""
    from pipeline.cli import alerts, bench, board, demo, operate, stream  # noqa: F401, PLC0415  # they register verbs

    try:
        app()
    except IntegrityError as error:
        if "--json" in sys.argv:
            emit({"error": type(error).__name__, "message": str(error)})
        err.print(f"[bold red]{type(error).__name__}[/]: {error}", highlight=False, soft_wrap=True)
        sys.exit(_status(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _status(error: IntegrityError) -> int:
    if isinstance(error, VerificationFailed):
        return 4
    if isinstance(error, Unavailable | Halted):
        return 3
    if isinstance(error, BadInput | Usage):
        return 2
    return 2
