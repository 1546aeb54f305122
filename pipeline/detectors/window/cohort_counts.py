"""Adds a window's votes to the counts that `cohort_bias` keeps for each cohort and model."""

import numpy as np

from pipeline.detectors.window import cohort_baseline as baseline
from pipeline.evidence import to_log_units
from pipeline.evidence.keyed_state import KeyedColumns
from pipeline.vocabulary.arrays import Float64, Int64

# Below M = 50 the counts shown to people restart.
_IDLE = to_log_units(np.log(np.array([50.0])))[0]


def with_episode(columns: KeyedColumns, at: Int64, table: Float64, start: int) -> KeyedColumns:
    """Add a window to the counts that an alert shows; a key's counts restart when its evidence is near zero.

    Args:
        columns: the state of the kind of cohort, one row for each key.
        at: int64[r], the row of each key that has votes in the window.
        table: float64[r, 5], the counts of these keys in the window, as `table_of` returns them.
        start: start of the window in microseconds since 1970 UTC.
    """
    begin = (columns["votes"] == 0) | (columns["mixed"] < _IDLE)
    after = {"since": np.where(begin, start, columns["since"])}
    for name in ("votes", "won", "lost", "expected"):
        after[name] = columns[name] * ~begin
    if len(at):
        won, lost = table[:, baseline.WON], table[:, baseline.LOST]
        after["votes"][at] += table[:, baseline.N]
        after["won"][at] += won
        after["lost"][at] += lost
        after["expected"][at] += (won + lost) * baseline.decided_share(table)
    return columns | after


def with_own_ties(columns: KeyedColumns, at: Int64, table: Float64) -> KeyedColumns:
    """Add a window's votes to the columns `own_votes` and `own_ties`, whose earlier votes count less in each window.

    They have, for each key, the number of votes and of ties of the cohort on the key's model.

    Args:
        columns: the state of the kind of cohort, one row for each key.
        at: int64[r], the row of each key that has votes in the window.
        table: float64[r, 5], the counts of these keys in the window, as `table_of` returns them.
    """
    votes, ties = columns["own_votes"] * baseline.KEPT, columns["own_ties"] * baseline.KEPT
    votes[at] += table[:, baseline.N]
    ties[at] += table[:, baseline.N] - table[:, baseline.WON] - table[:, baseline.LOST]
    return columns | {"own_votes": votes, "own_ties": ties}
