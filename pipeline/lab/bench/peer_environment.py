"""Creates .venv-bench, the Python environment of the peers, from its own lock file. A peer is another rating package.

No peer is installed in the environment of this project, because one of them requires a fixed numpy and JAX.
"""

import shutil
import subprocess
from pathlib import Path

from pipeline.errors import Unavailable

_ROOT = Path(__file__).parents[3]
_TARGET = ".venv-bench/.synced"


def peers_python() -> Path:
    """Return the path of the Python interpreter in the environment of the peers, which is created if it is missing.

    Raises:
        Unavailable: this project is not a source checkout, or the packages could not be installed.
    """
    python = _ROOT / ".venv-bench" / "bin" / "python"
    if (_ROOT / _TARGET).exists():
        return python
    if not (_ROOT / "requirements-bench.lock").is_file() or shutil.which("make") is None:
        raise Unavailable(
            f"expected a checkout with requirements-bench.lock, and make, to install the peers; got none in {_ROOT}: "
            "run `make bench-ratings` in a checkout"
        )
    made = subprocess.run(["make", "-C", str(_ROOT), _TARGET], capture_output=True, text=True, check=False)
    if made.returncode:
        last = (made.stderr.strip().splitlines() or ["no message"])[-1]
        raise Unavailable(f"expected the peers' packages (`make bench-ratings`), got: {last}")
    return python
