"""Decides when an alert opens, escalates and is cleared.

Let e be the e-value of one of m keys. An alert opens at e ≥ m/c, or where e-BH at level α rejects. The first rule tests
each key alone: at most c false alarms are expected over all keys. The second rule opens k keys together at e ≥ m/(αk)
each: the expected share of false alarms among them is at most α. An open alert is emitted again when the evidence has
grown by a factor of 100. It is cleared after the evidence was below 1 for a number of steps in a row (hysteresis).

For an e-detector M over a horizon of H steps, e = M/H. Alarms at M ≥ A come at most once in A steps on average, so at
most c alarms are expected in H steps.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.evidence.fixed_point import LOG_UNIT
from pipeline.evidence.multiple_testing import e_bh
from pipeline.vocabulary.arrays import Bool, Int64

WINDOWS_PER_MONTH = 30 * 24 * 12
"""H: the five-minute windows of thirty days."""

NO_ALERT: Mapping[str, Any] = {"told": np.int64(0), "level": np.int64(0), "quiet": np.int64(0)}
"""The columns of a key without an alert; see `AlertDecision`. Their names are stored with a detector's state."""

_HUNDRED = math.ceil(math.log(100.0) / LOG_UNIT)
# A level is a factor of 100 and the second one is critical; more than eight add no information.
_MAX_LEVEL = 8


def new_levels(level: Int64, key: Int64, emitted: npt.NDArray[Any]) -> list[int]:
    """Return the steps at which a key first reached a level above all levels emitted before.

    Args:
        level: int64[n], the level of the step's key after the step.
        key: int64[n], the key of each step.
        emitted: integers[m], the highest level emitted for each key; updated in place.
    """
    steps = []
    for i in np.flatnonzero(level > emitted[key]).tolist():
        if level[i] > emitted[key[i]]:
            emitted[key[i]] = level[i]
            steps.append(i)
    return steps


def log_e_over_horizon(log_m: Int64, horizon: int) -> Int64:
    """Return ln e = ln M − ln H of an e-detector over a horizon of H steps."""
    return np.asarray(log_m - math.ceil(math.log(horizon) / LOG_UNIT))


@dataclass(frozen=True, slots=True)
class AlertDecision:
    """The alerts to open, escalate or clear.

    Attributes:
        raised: positions of keys that open or escalate, ascending.
        cleared: positions of keys whose alert ends, ascending.
        columns: the columns of NO_ALERT after the decision: `told` (ln e when the alert was last emitted), `level` (0
            without an open alert) and `quiet` (steps in a row with evidence below 1).
    """

    raised: Int64
    cleared: Int64
    columns: dict[str, Int64]


def decide_alerts(
    log_e: Int64,
    before: Mapping[str, npt.NDArray[Any]],
    *,
    alarms: float,
    share: float,
    quiet_for: int,
    stepped: Bool | None = None,
) -> AlertDecision:
    """Decide which alerts of m keys open, escalate or end.

    Args:
        log_e: int64[m], logarithm of the current e-value, in 2⁻²⁰ nats.
        before: the columns of NO_ALERT, int64[m] each.
        alarms: c, the tolerated expected number of false alarms over all keys.
        share: α of e-BH, the tolerated share of false alarms among alerts that open together.
        quiet_for: number of steps with an e-value below 1 after which an alert is cleared.
        stepped: bool[m], the keys whose evidence was updated; all by default.
    """
    now = np.ones(len(log_e), dtype=np.bool_) if stepped is None else stepped
    emitted, level, quiet = (before[name].copy() for name in ("told", "level", "quiet"))
    alone = log_e >= math.ceil(math.log(max(len(log_e), 1) / alarms) / LOG_UNIT)
    opens = now & (level == 0) & (alone | e_bh(log_e, share))
    again = now & (level > 0) & (level < _MAX_LEVEL) & (log_e >= emitted + _HUNDRED)
    emitted = np.where(opens, log_e, emitted)
    level = np.where(opens, 1, level)
    steps = np.where(again, (log_e - emitted) // _HUNDRED, 0)
    level, emitted = np.minimum(level + steps, _MAX_LEVEL), emitted + steps * _HUNDRED
    quiet = np.where(now, np.where((level > 0) & (log_e < 0), quiet + 1, 0), quiet)
    cleared = quiet >= quiet_for
    columns = {
        "told": np.where(cleared, 0, emitted),
        "level": np.where(cleared, 0, level),
        "quiet": np.where(cleared, 0, quiet),
    }
    return AlertDecision(np.flatnonzero(opens | again), np.flatnonzero(cleared), columns)
