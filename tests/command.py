"""The command in this process: the same `main`, without the second or two that a process takes to import.

For tests of what a verb answers. Where a process is what is tested (it is killed, it stays, it imports little),
start one.
"""

from __future__ import annotations

import io
import traceback
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess
from typing import Any

import pytest
import typer

from pipeline.cli.app import err, out
from pipeline.cli.main import main
from pipeline.cli.pasted_commands import remember_store

_made: dict[typer.Typer, tuple[int, Any]] = {}
_make = typer.main.get_command


def made_once(app: typer.Typer) -> Any:
    """The command of an application, which Typer makes anew at every call: that takes longer than most verbs run."""
    size = _size(app)
    if _made.get(app, (-1, None))[0] != size:  # a verb's module is imported when the verb is called first
        _made[app] = size, _make(app)
    return _made[app][1]


def _size(app: typer.Typer) -> int:
    groups = [group.typer_instance for group in app.registered_groups if group.typer_instance is not None]
    return len(app.registered_commands) + sum(1 + _size(group) for group in groups)


def called(*words: str, settings: Mapping[str, str]) -> CompletedProcess[str]:
    """What `integrity WORDS` prints and its exit status, with these variables in the environment."""
    printed, reported, status = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(reported):
        for name, value in settings.items():
            patch.setenv(name, value)
        if "COLUMNS" in settings:  # a console keeps the width that the environment had when it was made
            for console in (out, err):
                patch.setattr(console, "_width", int(settings["COLUMNS"]))
        patch.setattr("sys.argv", ["integrity", *words])
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        except Exception:  # nobody expected it: a process would print it and end like this
            traceback.print_exc()
            status = 1
        finally:
            remember_store(None)  # a process would forget the store of its command line, too
    return CompletedProcess(words, status, printed.getvalue(), reported.getvalue())
