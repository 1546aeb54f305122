"""Decides which keys `cohort_bias` follows.

A cohort is all new accounts, the voters of one network, or the votes under one prompt. A cell is a cohort with a model.
A key is a cell with a verb: the votes promote or demote the model. A key has evidence of its own.

A cohort of new accounts is followed from its first vote on a model. There are many networks and prompts, so their keys
open only at the second vote on the model. If the second vote is in a later window than the first, the first vote is no
evidence. Cells with one vote are remembered by a hash, at most the newest 20,000.

If there are too many keys, the keys with the least evidence per step are dropped. This can only lose evidence.
"""

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.evidence.keyed_state import KEY, KeyedColumns, merge_rows, take_rows
from pipeline.scoring.window import GroupedModelCounts
from pipeline.vocabulary.arrays import Bool, Float64, Int64

SEPARATOR = "\x1f"
VERBS = ("promoted", "demoted")
MAX_KEYS = 4_000
"""Largest number of keys of a kind of cohort."""

_MAX_SINGLE = 20_000


@lru_cache(maxsize=200_000)
def _hash(stem: str) -> int:
    return int.from_bytes(hashlib.blake2b(stem.encode(), digest_size=8).digest(), "big", signed=True)


def stems(cells: GroupedModelCounts, rows: Int64) -> list[str]:
    """Return the stem of each cell in `rows`: the text that names the cohort and the model of the cell.

    Both keys of a cell begin with the stem. The verb, "promoted" or "demoted", follows.
    """
    return [f"{cells.group[i]}{SEPARATOR}{cells.model[i]}{SEPARATOR}" for i in rows.tolist()]


def cells_to_follow(
    cells: list[str], votes: Float64, columns: KeyedColumns, single: KeyedColumns, start: int
) -> tuple[Bool, KeyedColumns]:
    """Decide which cells of a window are evidence, and remember the cells that have had only one vote so far.

    A cell is evidence if its keys are followed already, or if it has had at least two votes.

    Args:
        cells: the stem of each of n cells (`stems`).
        votes: float64[n], number of votes of each cell in this window, at least 1.
        columns: the keys that are followed.
        single: the remembered cells, as two columns: `hash`, ascending, and `since`, the start of the window that has
            the cell's only vote.
        start: start of the window, microseconds since 1970 UTC.

    Returns:
        Two values: bool[n], true for cells that are evidence; and `single` after the window. If more than 20,000 cells
            would be remembered, only the newest 15,000 are kept.
    """
    hashes = np.array([_hash(stem) for stem in cells], dtype=np.int64)
    seen = single.get("hash", np.zeros(0, dtype=np.int64))
    since = single.get("since", np.zeros(0, dtype=np.int64))
    again = _contains(seen, hashes)
    known = _contains(columns[KEY], np.array([stem + VERBS[0] for stem in cells])) if KEY in columns else again
    follow = known | again | (votes > 1)
    if again.any():
        kept = np.ones(len(seen), dtype=np.bool_)
        kept[np.searchsorted(seen, hashes[again])] = False
        seen, since = seen[kept], since[kept]
    first = np.sort(hashes[~follow])
    if len(first):
        is_first = np.zeros(len(seen) + len(first), dtype=np.bool_)
        is_first[np.searchsorted(seen, first) + np.arange(len(first))] = True
        seen, since = merge_rows(seen, first, is_first), merge_rows(since, start, is_first)
    if len(seen) > _MAX_SINGLE:
        newest = np.sort(np.lexsort((seen, -since))[: _MAX_SINGLE * 3 // 4])
        seen, since = seen[newest], since[newest]
    return follow, {"hash": seen, "since": since}


def _contains(ascending: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> Bool:
    """Return whether each of the wanted values is in an ascending array."""
    if not len(ascending) or not len(wanted):
        return np.zeros(len(wanted), dtype=np.bool_)
    place = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return np.asarray(ascending[place] == wanted)


def without_weakest(columns: KeyedColumns, mixed: Int64) -> KeyedColumns:
    """Keep at most MAX_KEYS keys: those with an open alert first, then those with the largest evidence per step.

    A cohort and a model have two keys, "promoted" and "demoted". Both are kept, or both are dropped.

    Args:
        columns: the k keys.
        mixed: int64[k], ln of the evidence of each key, in units of 2⁻²⁰ nats.
    """
    if len(mixed) <= MAX_KEYS:
        return columns
    weight = mixed * 2.0**-20 - np.log1p(columns["steps"]) + np.where(columns["level"] > 0, 1e9, 0)
    cell = np.arange(len(weight)) // 2  # the keys of a cell are neighbours
    best = np.maximum.reduceat(weight, np.arange(0, len(weight), 2))
    kept = np.zeros(len(best), dtype=np.bool_)
    kept[np.argsort(-best, kind="stable")[: MAX_KEYS // 2]] = True
    return take_rows(columns, kept[cell])
