"""The command: its verbs, and our errors as an exit status and a sentence.

Exit 0: did its job, whatever it found. 1: a finding, from verbs that ask whether something is wrong.
2: usage, bad input. 3: something is unavailable, or a stop limit tripped. 4: verification failed.
"""

from __future__ import annotations

import sys

from pipeline.cli.app import app, emit, err
from pipeline.cli.lazy_group import load
from pipeline.errors import Halted, IntegrityError, Refuted, Unavailable, VerificationFailed


def main() -> None:
    """Run the command."""
    try:
        load(sys.argv[1:])
        app()
    except IntegrityError as error:
        if "--json" in sys.argv:
            place = {"reason": error.reason, "where": error.where} if isinstance(error, Refuted) else {}
            emit({"error": type(error).__name__, "message": str(error), **place})
        err.print(f"[bold red]{type(error).__name__}[/]: {error}", highlight=False, soft_wrap=True)
        sys.exit(_status(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _status(error: IntegrityError) -> int:
    if isinstance(error, VerificationFailed):
        return 4
    return 3 if isinstance(error, Unavailable | Halted) else 2
