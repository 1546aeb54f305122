"""When to tell of evidence: open, escalate, clear.

An alert about one of m keys opens at e ≥ m/c, or where e-BH at level α rejects. The first is for what stands alone:
at most c false alarms are expected over all keys. The second is for what comes in company: k keys open together at
e ≥ m/(αk) each, and of what is told that way at most a share of α is false. (e-BH at level 1 would promise nothing.)
It is told again at 100 times more evidence than at the last time, and cleared when the evidence has been below 1 for a
number of steps in a row (hysteresis: between the two nothing happens).

For an e-detector M over a horizon of H steps the value that counts is e = M/H: alarms at M ≥ A come at most every A
steps on average, so "at most c" is within H steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.evidence.fixed import LOG_UNIT
from pipeline.evidence.many import e_bh
from pipeline.vocabulary.arrays import Bool, Int64

MONTH = 30 * 24 * 12
"""H of five-minute windows: thirty days."""

BLANK: Mapping[str, Any] = {"told": np.int64(0), "level": np.int64(0), "quiet": np.int64(0)}
"""What a key that nothing was told of has: see `decide`."""

_HUNDRED = math.ceil(math.log(100.0) / LOG_UNIT)
# Levels are steps of 100, and critical is the second one; more than eight tell nobody anything.
_MOST = 8


def reached(level: Int64, key: Int64, told: npt.NDArray[Any]) -> list[int]:
    """The steps at which a key first reached a level that was not told of before.

    Args:
        level: int64[n], the level that the key of each step stands at.
        key: int64[n], which one that is.
        told: integers[m], the highest level told of each; brought up to date in place.
    """
    found = []
    for i in np.flatnonzero(level > told[key]).tolist():
        if level[i] > told[key[i]]:
            told[key[i]] = level[i]
            found.append(i)
    return found


def over(log_m: Int64, horizon: int) -> Int64:
    """Give ln e = ln M − ln H: an e-detector's value over a horizon."""
    return np.asarray(log_m - math.ceil(math.log(horizon) / LOG_UNIT))


@dataclass(frozen=True, slots=True)
class Decision:
    """What to tell of.

    Attributes:
        raised: positions of keys that open or escalate, ascending.
        cleared: positions of keys that are over, ascending.
        columns: the columns `told` (ln e at the last telling), `level` (0 where no alert is open) and `quiet`
            (steps in a row with evidence below 1) after it.
    """

    raised: Int64
    cleared: Int64
    columns: dict[str, Int64]


def decide(
    log_e: Int64,
    before: Mapping[str, npt.NDArray[Any]],
    *,
    alarms: float,
    share: float,
    quiet_for: int,
    stepped: Bool | None = None,
) -> Decision:
    """Decide for m keys.

    Args:
        log_e: int64[m], current evidence in 2⁻²⁰ nats.
        before: the columns of BLANK, int64[m] each.
        alarms: c, the false alarms to be expected at most, over all keys.
        share: α of e-BH, the share of false ones among those that open together.
        quiet_for: steps below 1 after which an alert is cleared.
        stepped: keys whose evidence was brought up to date; by default all.
    """
    now = np.ones(len(log_e), dtype=np.bool_) if stepped is None else stepped
    told, level, quiet = (before[name].copy() for name in ("told", "level", "quiet"))
    alone = log_e >= math.ceil(math.log(max(len(log_e), 1) / alarms) / LOG_UNIT)
    opens = now & (level == 0) & (alone | e_bh(log_e, share))
    again = now & (level > 0) & (level < _MOST) & (log_e >= told + _HUNDRED)
    told = np.where(opens, log_e, told)
    level = np.where(opens, 1, level)
    steps = np.where(again, (log_e - told) // _HUNDRED, 0)
    level, told = np.minimum(level + steps, _MOST), told + steps * _HUNDRED
    quiet = np.where(now, np.where((level > 0) & (log_e < 0), quiet + 1, 0), quiet)
    over_now = quiet >= quiet_for
    columns = {
        "told": np.where(over_now, 0, told),
        "level": np.where(over_now, 0, level),
        "quiet": np.where(over_now, 0, quiet),
    }
    return Decision(np.flatnonzero(opens | again), np.flatnonzero(over_now), columns)
