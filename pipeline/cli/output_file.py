"""Writes a file that is complete or absent, for commands whose output a person names."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import Usage

ForceOption = Annotated[bool, typer.Option("--force", help="Replace the output file if it exists.")]
# What open() gives a new file, less the umask.
_MODE = 0o666


def require_new(path: Path, force: bool) -> None:
    """Check that a file may be written.

    Raises:
        Usage: it exists and may not be replaced, or its folder does not exist.
    """
    if path.is_dir() or not path.name:
        raise Usage(f"expected the name of a file to write, got the folder {path}")
    if not path.parent.is_dir():
        raise Usage(f"expected a folder that exists for {path.name}, got {path.parent}")
    if path.exists() and not force:
        raise Usage(f"expected a new file, got {path}, which exists; --force replaces it")


@contextmanager
def new_file(path: Path, *, force: bool = False, private: bool = False) -> Iterator[Path]:
    """Yield the path of a temporary file beside `path` that takes its name at the end; after an error nothing is left.

    Args:
        path: the file's name.
        force: replace a file that has this name.
        private: nobody but the owner may read the file.

    Raises:
        Usage: as in `require_new`; also at the end, if somebody has made the file meanwhile.
    """
    require_new(path, force)
    number, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".partial", dir=path.parent)
    draft = Path(name)
    try:
        yield draft
        os.fsync(number)
        if not private:
            draft.chmod(_MODE & ~_umask())
        require_new(path, force)
        draft.replace(path)
    finally:
        os.close(number)
        draft.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
