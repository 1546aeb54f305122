"""Names voters for operators: words that are easier to say and to compare than a pseudonym.

A codename stands beside the pseudonym and never replaces it. It is for operators only and is never published. A person
who knows the codename of a voter can recognise the voter, as with the pseudonym.
"""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache
from threading import Lock
from typing import TYPE_CHECKING

from pipeline.events.pseudonym import parse_pseudonym

if TYPE_CHECKING:
    from coolname import RandomGenerator

_WORDS = 3
"""Number of words of a name. There are 366 million names, so the probability that any two of a hundred voters share a
name is 1 in 70,000."""

_one_at_a_time = Lock()


@lru_cache(maxsize=10_000)
def codename(voter: str) -> str:
    """Return the codename of a voter: three English words or more, joined by hyphens.

    The codename is computed from the pseudonym alone, so a voter has one codename everywhere. The words come from the
    library `coolname`, so a new version of the library may change codenames.

    Args:
        voter: the pseudonym, 16 hexadecimal digits. Any other text, such as the label of an erased voter, is returned
            unchanged.
    """
    try:
        number = parse_pseudonym(voter)
    except ValueError:
        return voter
    with _one_at_a_time:  # the generator keeps its source of random numbers
        generator = _generator()
        generator.random = _Draws(number & 0xFFFFFFFFFFFFFFFF)
        return str(generator.generate_slug(_WORDS))


class _Draws:
    """The source of random numbers for the library of names. A number is a hash of the pseudonym and a counter."""

    def __init__(self, number: int) -> None:
        self._text, self._drawn = f"{number:016x}", 0

    def seed(self, a: object = None, version: int = 2) -> None:
        """Do nothing, because the numbers depend only on the pseudonym that is being named."""

    def randrange(self, start: int, stop: int | None = None, step: int = 1, /) -> int:
        """Return a number from 0 to `start` − 1, as `random.randrange(start)` does.

        The library `coolname` never gives the other two arguments; they raise a NotImplementedError.
        """
        if stop is not None or step != 1:
            raise NotImplementedError(f"expected one argument, got {start}, {stop}, {step}")
        self._drawn += 1
        digest = hashlib.sha256(f"codename|{self._text}|{self._drawn}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % start


@cache
def _generator() -> RandomGenerator:
    # Imported here: reading the words takes 50 ms, which a command without codenames need not wait for.
    from coolname import RandomGenerator  # noqa: PLC0415
    from coolname.data import config  # noqa: PLC0415

    return RandomGenerator(config)  # type: ignore[arg-type]  # the library states the type of its own words too widely
