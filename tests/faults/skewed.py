"""The command under a clock that libfaketime sets wrong: `python -m tests.faults.skewed VERB …`.

Debian's libfaketime (0.9.10) hands the kernel a negative time when Python sleeps (wolfcw/libfaketime#426). Waiting for
something that never comes is as long, and goes another way.
"""

from __future__ import annotations

import threading
import time

time.sleep = lambda seconds: threading.Event().wait(seconds) and None

from pipeline.cli.main import main  # noqa: E402  # whoever imports `sleep` gets the one above

if __name__ == "__main__":
    main()
