"""Decides when an alert opens, escalates and is cleared.

There are m keys with an e-value e each; a key is a voter, a model or another subject of evidence. The caller tolerates
c expected false alarms over all keys, and a share α of false alarms among alerts that open together. An alert about a
key opens by either of two rules. First, it opens if e ≥ m/c; so at most c false alarms are expected. Second, it opens
if e-BH at level α selects the key: k keys open together if e ≥ m/(αk) for each. An open alert escalates, which means
that it is emitted again, when its evidence has grown by a factor of 100. It is cleared when its evidence was below 1
for a given number of steps in a row.

The level of an alert is 0 before it opens, 1 when it opens, and one more for each factor of 100, up to 8.

For an e-detector M over a horizon of H steps, e is M/H. While nothing is wrong, an e-detector reaches M ≥ A at most
once in A steps on average. So at most c false alarms are expected in H steps.
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
"""The number of five-minute windows in thirty days."""

NO_ALERT: Mapping[str, Any] = {"told": np.int64(0), "level": np.int64(0), "quiet": np.int64(0)}
"""Name of a column of `AlertDecision` → its value for a key without an alert. Stored states use these names."""

_HUNDRED = math.ceil(math.log(100.0) / LOG_UNIT)
# A level is a factor of 100 and the second one is critical; more than eight add no information.
_MAX_LEVEL = 8
_NO_KEYS = np.zeros(0, dtype=np.int64)


def new_levels(level: Int64, key: Int64, emitted: npt.NDArray[Any]) -> list[int]:
    """Return the steps at which a key reached a level above all its earlier levels, and update `emitted`.

    A key is what evidence is about, such as a voter.

    Args:
        level: int64[n], the level of the step's key after each of n steps.
        key: int64[n], the position in `emitted` of the step's key.
        emitted: m integers, the highest level emitted so far for each key; updated in place.

    Returns:
        The positions of these steps, ascending.
    """
    steps = []
    for i in np.flatnonzero(level > emitted[key]).tolist():
        if level[i] > emitted[key[i]]:
            emitted[key[i]] = level[i]
            steps.append(i)
    return steps


def log_e_over_horizon(log_m: Int64, horizon: int) -> Int64:
    """Return the logarithm of the e-value of an e-detector M over a horizon of H steps: ln M − ln H.

    Args:
        log_m: int64 of any shape, ln M of each key, in units of 2⁻²⁰ nats.
        horizon: H, the number of steps.

    Returns:
        ln e of each key, in the unit and the shape of `log_m`, rounded down.
    """
    return np.asarray(log_m - math.ceil(math.log(horizon) / LOG_UNIT))


@dataclass(frozen=True, slots=True)
class AlertDecision:
    """The alerts to open, escalate or clear, and the new state of every key.

    Attributes:
        raised: int64, positions of the keys whose alert opens or escalates, ascending.
        cleared: int64, positions of the keys whose alert is cleared, ascending.
        columns: the state of each key after the decision, three columns of int64[m]. `told` is the value of ln e, in
            2⁻²⁰ nats, for which the alert was last emitted. `level` is the level of the open alert, 0 for none. `quiet`
            is the number of steps in a row with e below 1. All three are 0 for a key whose alert was cleared.
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
    """Decide which alerts of m keys open, escalate or are cleared. `before` is not changed.

    Args:
        log_e: int64[m], logarithm of the current e-value of each key, in 2⁻²⁰ nats.
        before: the state of each key before the step, in the columns of `AlertDecision`, int64[m] each.
        alarms: c, the tolerated expected number of false alarms over all keys.
        share: α of e-BH, the tolerated share of false alarms among alerts that open together.
        quiet_for: number of successive steps with an e-value below 1 after which an alert is cleared.
        stepped: bool[m], true for the keys whose evidence was updated in this step; None for all keys. Alerts of other
            keys neither open nor escalate, and their quiet steps stay.

    Returns:
        The keys whose alerts open, escalate or are cleared, and the state of all keys.
    """
    emitted, level, quiet = (before[name].copy() for name in NO_ALERT)
    found = (log_e >= math.ceil(math.log(max(len(log_e), 1) / alarms) / LOG_UNIT)) | e_bh(log_e, share)
    if not found.any() and not level.any():  # most windows: no alert is open, so that all three columns are 0
        return AlertDecision(_NO_KEYS, _NO_KEYS, {"told": emitted, "level": level, "quiet": quiet})
    now = np.ones(len(log_e), dtype=np.bool_) if stepped is None else stepped
    opens = now & (level == 0) & found
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
