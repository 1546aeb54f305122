"""Runs a command of `integrity`, and converts errors to an exit status and a message. This is the entry point.

Exit statuses:

    0      done
    1      a command that checks something has found a fault
    2      wrong usage or bad input
    3      a service is unavailable, or a stop limit was reached
    4      verification failed
    70     unexpected error of this program
    130    interrupted
    141    the program that read the output has ended
"""

import errno
import os
import sys
from typing import TextIO

import typer

from pipeline.cli.app import emit, err
from pipeline.cli.command_table import app
from pipeline.cli.terminal import CRASHED, guard_output, print_crash, styled
from pipeline.errors import Halted, IntegrityError, Refuted, Unavailable, Usage, VerificationFailed
from pipeline.vocabulary.url_passwords import without_passwords

# Typer has its own copy of click's errors, of which only the subclasses have public names.
_UsageError = next(one for one in typer.BadParameter.__mro__ if one.__name__ == "ClickException")
# A disk is full or broken, or this machine lacks something else.
_OF_THE_MACHINE = frozenset(
    {
        errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ESTALE, errno.EMFILE, errno.ENFILE,
        errno.ENOMEM,
    }
)  # fmt: skip
_INTERRUPTED, _BROKEN_PIPE = 130, 141
_IN_ARGUMENTS = (
    "warning: a password in a command is visible to every process of this machine; give the URL in INTEGRITY_STORE, or "
    "as a file of the secrets directory"
)


def main() -> None:
    """Run the command line, and exit with its status."""
    guard_output()
    try:
        status = _run()
    except SystemExit as ended:
        # Typer and rich turn a broken pipe into status 1, which would mean that a check has found a fault.
        if not isinstance(ended.__context__, BrokenPipeError):
            raise
        status = _BROKEN_PIPE
        _discard(sys.stdout, sys.stderr)
    sys.exit(status)


def _discard(*streams: TextIO) -> None:
    """Discard what is still to be written to streams. Python flushes them at the end, which would fail again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())


def _run() -> int:
    if any(without_passwords(word) != word for word in sys.argv[1:]):
        err.print(_IN_ARGUMENTS, soft_wrap=True)
    try:
        status = int(app(standalone_mode=False) or 0)
        _flush()
        return status
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            err.lines(error.format_message().splitlines())  # type: ignore[attr-defined]
            return 2
        return _report(error)


def _flush() -> None:
    """Write what is left of the output now, so that a failure is reported and gives its status."""
    try:
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise SystemExit(1) from error


def _report(error: Exception) -> int:
    """Print an error and return its exit status."""
    known = _known(error)
    if known is None:
        print_crash(error)
        known, status = IntegrityError(f"{type(error).__name__}: {error}"), CRASHED
    else:
        status = _exit_status(known)
        err.print(styled((type(known).__name__, "bold red"), f": {known}"), soft_wrap=not err.is_terminal)
    if "--json" in sys.argv:
        place = {"reason": known.reason, "where": known.where} if isinstance(known, Refuted) else {}
        _emit_error({"error": type(known).__name__, "message": str(known), **place})
    elif isinstance(error, OSError):
        _emit_error(None)
    return status


def _emit_error(document: dict[str, str] | None) -> None:
    """Print an error as JSON, or nothing for None, and flush standard output. A failure of the output is ignored."""
    try:
        if document is not None:
            emit(document)
        sys.stdout.flush()
    except OSError:
        _discard(sys.stdout)


def _known(error: Exception) -> IntegrityError | None:
    """Return the error as one of the errors that this program expects; None if it is a bug."""
    if isinstance(error, IntegrityError):
        return error
    if isinstance(error, _UsageError):
        context = getattr(error, "ctx", None)
        advice = f"; try '{context.command_path} --help'" if context is not None else ""
        return Usage(f"{error.format_message()}{advice}")  # type: ignore[attr-defined]
    if _is_database_error(error):
        from pipeline.store.db.engine import explain  # noqa: PLC0415  # slow to import; here it is imported already

        return explain(error, "the store")  # type: ignore[arg-type]
    if isinstance(error, UnicodeEncodeError) and any(not _is_unicode(word) for word in sys.argv):
        return Usage(f"expected words in UTF-8, got {error.object!r}")
    return _of_system(error) if isinstance(error, OSError) else None


def _of_system(error: OSError) -> IntegrityError | None:
    """Return the error that the operating system gave for a file; None without a file name and a known cause."""
    if error.errno in _OF_THE_MACHINE:
        return Unavailable(f"{error.filename or 'the output, or a file that is read'}: {error.strerror}")
    return None if error.filename is None else Usage(f"{error.filename}: {error.strerror}")


def _is_unicode(word: str) -> bool:
    """Return whether an argument of the command line is valid UTF-8. Python keeps other bytes as lone surrogates."""
    return not any("\ud800" <= char <= "\udfff" for char in word)


def _is_database_error(error: Exception) -> bool:
    """Return whether a database refused a statement. SQLAlchemy is imported only here, because the import is slow."""
    library = sys.modules.get("sqlalchemy.exc")
    return library is not None and isinstance(error, library.DBAPIError)


def _exit_status(error: IntegrityError) -> int:
    if isinstance(error, VerificationFailed):
        return 4
    return 3 if isinstance(error, Unavailable | Halted) else 2
