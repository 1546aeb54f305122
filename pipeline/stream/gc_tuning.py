"""How often a worker's process looks for garbage that refers to itself.

A batch makes a hundred thousand tuples and lists, and next to none of them refers to itself: reference counts free
them. At its default, after every 700 new objects, the collector takes a third of what polling costs.
"""

from __future__ import annotations

import gc

# Young objects before they are looked at: a few batches. What lives longer is looked at 50 times as rarely, and again.
_THRESHOLDS = (100_000, 50, 100)


def collect_rarely() -> None:
    """Set this process's collector up for a worker; what exists now is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
