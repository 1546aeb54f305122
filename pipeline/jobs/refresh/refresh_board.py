"""All four steps of a refresh in a row."""

from __future__ import annotations

from typing import Any

from pipeline.jobs.refresh.check import check
from pipeline.jobs.refresh.publish import publish
from pipeline.jobs.refresh.rate import rate
from pipeline.jobs.refresh.seal import seal

# Another refresh may publish first: usually there are two, the scheduler's and a person's.
_TRIES = 3


def refresh_board(url: str) -> dict[str, Any]:
    """Seal, check, rate, publish; repeat if another refresh has published something else meanwhile.

    Returns:
        The newest snapshot, as `publish`.
    """
    for _ in range(_TRIES):
        size = seal(url)
        check(url, size)
        candidate = rate(url, size)
        result = publish(url, candidate)
        if result["snapshot"] == candidate:
            break
    return result
