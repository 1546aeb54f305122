"""The entry point `integrity`: runs a command and turns our errors into an exit status and a message.

Exit 0: done, whatever was found. 1: a command that checks something has found a fault.
2: wrong usage or bad input. 3: a service is unavailable, or a stop limit tripped. 4: verification failed.
"""

import sys

from pipeline.cli.app import app, emit, err
from pipeline.cli.lazy_group import load
from pipeline.errors import Halted, IntegrityError, Refuted, Unavailable, VerificationFailed


def main() -> None:
    """Run the command line."""
    try:
        load(sys.argv[1:])
        app()
    except IntegrityError as error:
        if "--json" in sys.argv:
            place = {"reason": error.reason, "where": error.where} if isinstance(error, Refuted) else {}
            emit({"error": type(error).__name__, "message": str(error), **place})
        err.print(f"[bold red]{type(error).__name__}[/]: {error}", soft_wrap=True)
        sys.exit(_exit_status(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _exit_status(error: IntegrityError) -> int:
    if isinstance(error, VerificationFailed):
        return 4
    return 3 if isinstance(error, Unavailable | Halted) else 2
