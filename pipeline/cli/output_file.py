"""Writes the output files of commands. A file is either complete or absent."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import Unavailable, Usage

ForceOption = Annotated[bool, typer.Option("--force", help="Replace the output file if it exists.")]
# What open() gives a new file, less the umask.
_MODE = 0o666
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def require_new(path: Path, force: bool) -> None:
    """Raise an error if a command may not write this output file.

    Args:
        path: name of the file.
        force: whether an existing file may be replaced.

    Raises:
        Usage: the file exists and `force` is false, its folder does not exist, or the path is a folder.
    """
    if path.is_dir() or not path.name:
        raise Usage(f"expected the name of a file to write, got the folder {path}")
    if not path.parent.is_dir():
        raise Usage(f"expected a folder that exists for {path.name}, got {path.parent}")
    if path.exists() and not force:
        raise Usage(f"expected a new file, got {path}, which exists; --force replaces it")


@contextmanager
def new_file(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Provide a temporary file for the duration of a `with` block, and rename it to `path` at the end.

    After an error, the temporary file is deleted instead.

    Args:
        path: name of the output file.
        force: whether to replace an existing file.

    Yields:
        The path of the temporary file, in the folder of `path`.

    Raises:
        Usage: the file exists and `force` is false, or its folder does not exist. Both are checked again at the end of
            the block.
        Unavailable: the disk is full, or a limit on files is reached.
    """
    require_new(path, force)
    number, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".partial", dir=path.parent)
    draft = Path(name)
    try:
        yield draft
        os.fsync(number)
        draft.chmod(_MODE & ~_umask())
        require_new(path, force)
        draft.replace(path)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise Unavailable(f"expected room for {path}, got: {os.strerror(error.errno)}; nothing was written") from None
    finally:
        os.close(number)
        draft.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
