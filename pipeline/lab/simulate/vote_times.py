"""Draws the times of votes: first a rate for each hour, then times with these rates.

The rate of an hour is the product of a daily sinusoid, a factor of the weekday, and a random factor with a gamma
distribution and mean 1. With the random factor, hourly counts are negative binomial with size r = 1/burstiness, and
vary more than Poisson counts, as real counts do. With Poisson counts, detectors of rates would seem better than they
are.
"""

import math
from datetime import datetime, timedelta

import numpy as np

from pipeline.vocabulary.arrays import Float64, Int64
from pipeline.vocabulary.time import HOUR

# Round figures for a board used world-wide: three times as many votes at 15:00 UTC as at 03:00, and a quieter
# weekend. No figure was published. Detectors learn the rhythm, so only its presence matters.
_SWING, _PEAK_HOUR = 0.5, 15
_WEEKEND = 0.8


def hourly_rates(rng: np.random.Generator, start: datetime, days: float, burstiness: float) -> Float64:
    """Draw the relative rate of votes in every hour of a stream, float64[hours].

    Args:
        rng: random number generator.
        start: time of the first hour.
        days: length of the stream in days.
        burstiness: variance of the random factor; 0 for no random factor.
    """
    moments = [start + timedelta(hours=k) for k in range(math.ceil(days * 24))]
    hour = np.array([m.hour + m.minute / 60 for m in moments])
    weekend = np.array([m.weekday() >= 5 for m in moments])
    rhythm = 1 + _SWING * np.cos(2 * np.pi * (hour - _PEAK_HOUR) / 24)
    shock = rng.gamma(1 / burstiness, burstiness, len(moments)) if burstiness else 1.0
    return np.asarray(rhythm * np.where(weekend, _WEEKEND, 1.0) * shock, dtype=np.float64)


def draw_times(rng: np.random.Generator, n: int, *, rates: Float64, start: int, begin: float, end: float) -> Int64:
    """Draw times of votes whose density is proportional to hourly rates.

    Args:
        rng: random number generator.
        n: number of times.
        rates: float64[hours], rate of each hour from `start` on.
        start: start of the stream, in microseconds since 1970 UTC.
        begin: first possible time, in days after `start`.
        end: end of the possible times (not included), in days after `start`.

    Returns:
        int64[n], microseconds since 1970 UTC, not sorted.
    """
    edges = np.arange(len(rates) + 1, dtype=np.float64)
    cumulated = np.concatenate([[0.0], np.cumsum(rates)])
    low, high = np.interp([begin * 24, end * 24], edges, cumulated)
    hours = np.interp(rng.uniform(low, high, n), cumulated, edges)
    # Rounding must not give `end`, which belongs to the next interval.
    latest = start + math.ceil(end * 24 * HOUR) - 1
    return np.minimum(start + (hours * HOUR).astype(np.int64), latest)
