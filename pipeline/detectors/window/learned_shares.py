"""Learns the shares of the board's votes that models, providers and networks have at each hour of the day.

`vote_burst` tests keys without a declared share against these shares. A share is learned from windows without an alert
about the key, and a window counts half after two weeks.
"""

import numpy as np

from pipeline.evidence.keyed_state import KeyedColumns
from pipeline.vocabulary.arrays import Bool, Float64, Int64

# A learned share is used after a day and so many votes; it loses half of its weight in two weeks.
_LEAST_WINDOWS, _LEAST_VOTES = 288, 2_000
KEPT = 0.5 ** (1 / (14 * 288))
# Votes of the overall share that are mixed into that of an hour of the day.
_SHRINK = 500.0
# The least expected share of a network: one busy voter of a small one is no burst.
_LEAST_NETWORK = 0.01
# Least and largest spread of a share: 1/k with k at most 2,000 and at least 20.
_SPREAD = (1 / 2_000, 1 / 20)
# Windows: after a week, an open alert is the new normal and is learned.
_NEW_NORMAL = 7 * 288


def learned_shares(columns: KeyedColumns, hour: int, kind: Int64, spread: Float64) -> tuple[Float64, Float64]:
    """Compute the learned share of each of k keys at an hour of the day.

    Args:
        columns: the state, one row for each key.
        hour: the hour of the day, from 0 to 23.
        kind: int64[k], the kind of each key: 0 for models, 1 for providers, 2 for networks.
        spread: the sums by kind that `_spread` returns.

    Returns:
        Two arrays, float64[k] each: an upper bound of the share, NaN without enough data; and the estimate.
    """
    hits, seen = columns["hits"], columns["seen"]
    total = seen.sum(axis=1)
    overall = hits.sum(axis=1) / np.maximum(total, 1)
    weight = np.maximum(seen[:, hour] + _SHRINK, 1)
    share = (hits[:, hour] + _SHRINK * overall) / weight
    windows = np.maximum(columns["windows"], 1)
    inflation = 1 + total / windows * concentration(spread)[kind]
    error = np.sqrt((share * weight + 1) * inflation) / weight
    upper = np.minimum(share + 2 * error, 0.95)
    upper = np.where(kind == 2, np.maximum(upper, _LEAST_NETWORK), upper)
    ready = (columns["windows"] >= _LEAST_WINDOWS) & (total >= _LEAST_VOTES)
    ready |= (kind == 2) & (total >= _LEAST_VOTES)  # a new network has no shares to learn from, only the board's votes
    return np.where(ready, upper, np.nan), share


def concentration(spread: Float64) -> Float64:
    """Return 1/k for each kind of key, limited to _SPREAD. 1/k is the quotient of the two sums in `spread`."""
    return np.clip(spread[..., 0] / np.maximum(spread[..., 1], 1), *_SPREAD)


def learn_shares(columns: KeyedColumns, x: Float64, n: Int64, hour: int) -> None:
    """Add a window to the learned shares, except of keys with an alert that is open for at most _NEW_NORMAL windows.

    Args:
        columns: the state, one row for each of k keys; changed in place.
        x: float64[k], count of each key in the window.
        n: int64[k], number of votes (of sittings, for a network) of which `x` is a part.
        hour: the hour of the day, from 0 to 23.
    """
    alerted = columns["level"] > 0
    columns["stood"] = np.where(alerted, columns["stood"] + 1, 0)
    learns = ~alerted | (columns["stood"] > _NEW_NORMAL)
    for name, more in (("hits", x), ("seen", n)):
        kept = columns[name] * KEPT
        kept[:, hour] += np.where(learns, more, 0)
        columns[name] = kept
    columns["windows"] = columns["windows"] + (learns & (n > 0))


def learn_spread(spread: Float64, x: Float64, n: Int64, share: Float64, kind: Int64, quiet: Bool) -> Float64:
    """Return `spread` with a window added: float64[3, 2], sums by kind of key, over the keys without an alert.

    The first column is the sum of (x − μ)²/μ − 1, where μ = share · n is the expected count. The second column is the
    sum of n. A key with μ below 1 is left out.

    Args:
        spread: the sums before the window; not changed.
        x, n: the counts of each of k keys, as for `_learn`.
        share: float64[k], estimated share.
        kind: int64[k], kind of key, from 0 to 2.
        quiet: bool[k], true for a key without an alert.
    """
    after = spread.copy()
    for one in range(3):
        rows = quiet & (kind == one) & (share * n >= 1)
        if rows.any():
            mean = share[rows] * n[rows]
            after[one] += ((x[rows] - mean) ** 2 / mean - 1).sum(), n[rows].sum()
    return after
