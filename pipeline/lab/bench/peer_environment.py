"""The peers' environment, .venv-bench: a folder beside ours with a lock of its own.

Law: no peer is ever installed where our code runs; one of them pins numpy and brings JAX.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from pipeline.errors import Unavailable

_ROOT = Path(__file__).parents[3]
_TARGET = ".venv-bench/.synced"


def peers_python() -> Path:
    """The interpreter of the peers' environment, which is made if it is not there.

    Raises:
        Unavailable: this is no checkout, or the packages cannot be had.
    """
    python = _ROOT / ".venv-bench" / "bin" / "python"
    if (_ROOT / _TARGET).exists():
        return python
    if not (_ROOT / "requirements-bench.lock").is_file() or shutil.which("make") is None:
        raise Unavailable(
            "expected a checkout with requirements-bench.lock and make, to set up the peers that we are measured "
            "beside; `make bench-ratings` does it"
        )
    made = subprocess.run(["make", "-C", str(_ROOT), _TARGET], capture_output=True, text=True, check=False)
    if made.returncode:
        last = (made.stderr.strip().splitlines() or ["no message"])[-1]
        raise Unavailable(f"expected the peers' packages (`make bench-ratings`), got: {last}")
    return python
