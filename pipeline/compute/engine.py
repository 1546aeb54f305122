"""Parses the setting INTEGRITY_COMPUTE, which names the engine on which passes over segments run."""

from __future__ import annotations

import re
from dataclasses import dataclass

LOCAL = "local"
PROCESSES = "processes"
CLUSTERS = ("dask", "ray", "spark")

EXPECTED = (
    "local, processes, processes://N (a number from 1 to 1,024), dask:// or dask://HOST:PORT, "
    "ray:// or ray://HOST:PORT, spark:// or spark://HOST:PORT"
)
_MOST_PROCESSES = 1_024
_ADDRESS = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that applies functions to segments.

    Attributes:
        kind: "local" for threads of this process, "processes" for processes of this machine, else the kind of cluster:
            "dask", "ray" or "spark".
        address: HOST:PORT of a cluster that runs already; "" to start one on this machine.
        workers: number of processes; None for one for each processor.
    """

    kind: str = LOCAL
    address: str = ""
    workers: int | None = None

    @classmethod
    def parse(cls, text: str) -> Engine:
        """Return the engine that a value of INTEGRITY_COMPUTE names.

        Raises:
            ValueError: the value names no engine. The message has what was expected.
        """
        kind, separator, rest = text.partition("://")
        if kind == LOCAL and not separator:
            return cls()
        if kind == PROCESSES and (not separator or re.fullmatch("[0-9]{1,4}", rest)):
            workers = int(rest) if separator else None
            if workers is None or 1 <= workers <= _MOST_PROCESSES:
                return cls(PROCESSES, workers=workers)
        if kind in CLUSTERS and separator and (not rest or _is_address(rest)):
            return cls(kind, address=rest)
        raise ValueError(EXPECTED)

    def __str__(self) -> str:
        """Return the value of INTEGRITY_COMPUTE that names this engine."""
        if self.kind in CLUSTERS:
            return f"{self.kind}://{self.address}"
        return self.kind if self.workers is None else f"{self.kind}://{self.workers}"


def _is_address(text: str) -> bool:
    found = _ADDRESS.fullmatch(text)
    return found is not None and 1 <= int(found[1]) <= 65_535
