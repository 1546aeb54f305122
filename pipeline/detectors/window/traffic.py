"""`traffic` and `traffic_gap`: detect that the board gets more or fewer votes than usual at this hour of the week.

Formula: x is the number of sittings that begin in an hour (`scoring.sittings`): a voter's votes without a pause of half
an hour count once, since they are not independent. Null hypothesis: x is negative binomial with mean μ and size r.
Alternative: the mean is ρμ. The likelihood ratio is L_ρ = ρ^x ((r+μ)/(r+ρμ))^(r+x). The evidence is a mixture of
Shiryaev-Roberts e-detectors over ρ ∈ {1.25, 1.5, 2, 3, 5} for `traffic`, and over the inverse ratios for `traffic_gap`.
A step is an hour, since the five-minute windows within one hour are not independent. μ and r are learned. The estimate
μ̂ is the mean of the same hour of the week. Until two weeks are known, μ̂ is the mean of the same hour of the day. A
margin of a fifth then allows for the difference between weekdays and weekend. `traffic` uses μ̂ + 2 SE, which is valid
for every smaller mean; `traffic_gap` uses μ̂ − 2 SE, which is valid for every larger mean.

Source: Shin, Ramdas & Rinaldo 2024, "E-detectors". With μ̂ instead of its bounds, false alarms were too frequent by the
factors 13.9, 5.0, 2.1 and 1.2 after 1, 2, 4 and 8 weeks of learning. With the bounds there were none.

Blind spot: the first three days; a rise or fall of less than a quarter; more votes from the same number of voters; the
cause of a rise (`vote_burst` finds it). In the week after a release in the registry, three times as many sittings are
expected and nothing is learned. If all sources fall silent, the gap is found only when the monitor closes windows
without votes.

False alarms: at most the number per month that the operator tolerates (default 1), if the number of sittings in an hour
is negative binomial. This is measured by `integrity bench evidence`.

>>> from pipeline.registry import RegistryState
>>> from pipeline.scoring.window import MEASURES, GroupedModelCounts
>>> nothing, width = GroupedModelCounts((), (), np.zeros((0, len(MEASURES)), int)), 300_000_000
>>> detector, state, alarms = Traffic(), {}, []
>>> for k in range(11 * 288):
...     votes = 20 if k < 10 * 288 else 80  # on the eleventh day four times as many
...     window = Window(k * width, (k + 1) * width, votes, 0, (), nothing.counts, nothing, nothing, nothing, {})
...     state, signals = detector.observe(window, state, WindowContext(RegistryState()))
...     alarms += [(k, one.direction) for one in signals]
>>> alarms[0]
(2891, 'more votes than usual')
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pipeline.evidence import alert_policy, count_likelihoods
from pipeline.evidence.e_detectors import LOG_ZERO, log_mixture, shiryaev_roberts
from pipeline.evidence.fixed_point import from_log_units
from pipeline.scoring.detector_contracts import WindowContext, WindowState
from pipeline.scoring.signals import ClearedSignal, Signal
from pipeline.scoring.window import Window
from pipeline.vocabulary.time import HOUR

_WEEK = 168
# 1970 began on a Thursday.
_THURSDAY = 3 * 24
_MONTH = 720
_WEIGHTS = np.full(5, 0.2)

# Each week counts four fifths of the one after it: the mean lags a month behind.
_KEPT = 0.8
_LEAST_WEEKS, _LEAST_DAYS = 1.5, 2.5
# Days of the week differ by about a fifth (weekends are quieter), which the mean of the hour of the day ignores.
_WEEKDAYS = 0.2
# For a week after a release a board had three times its votes.
_RELEASE, _RELEASE_HOURS = 3.0, _WEEK
_QUIET_FOR, _NEW_NORMAL = 12, _WEEK
_OUTLIER = 3.0
# Relative variance of hourly shocks, 1/r: the prior, its minimum, and the hours that the prior counts as.
_SHOCK, _LEAST_SHOCK, _PRIOR_HOURS = 0.15, 0.02, 48.0

_EMPTY: dict[str, Any] = {
    "hour": np.full(1, -1, dtype=np.int64),
    "votes": np.zeros(1, dtype=np.int64),
    "sittings": np.zeros(1, dtype=np.int64),
    "windows": np.zeros(1, dtype=np.int64),
    "weeks": np.zeros(_WEEK),
    "sums": np.zeros(_WEEK),
    "days": np.zeros(24),
    "day_sums": np.zeros(24),
    "shock": np.zeros(2),
    "log_m": np.full((1, 5), LOG_ZERO, dtype=np.int64),
    "stood": np.zeros(1, dtype=np.int64),
    **{name: np.zeros(1, dtype=np.int64) for name in alert_policy.NO_ALERT},
}


@dataclass(frozen=True)
class _HourlyTraffic:
    """The common code of `traffic` and `traffic_gap`. The module docstring has formula and false-alarm rate."""

    name = ""
    direction = ""
    ratios: ClassVar[tuple[float, ...]] = ()
    sign = 0

    def observe(self, window: Window, state: WindowState, context: WindowContext) -> tuple[WindowState, list[Signal]]:
        """Return the state after a window, and the signals of the window. Arguments: see `WindowDetector.observe`."""
        now = dict(_EMPTY) | (dict(state) if "sittings" in state else _alerts_only(state))
        hour = window.start // HOUR
        if int(now["hour"][0]) != hour:
            now |= {"hour": np.array([hour])} | {name: _EMPTY[name] for name in ("votes", "sittings", "windows")}
        now["votes"] = now["votes"] + window.accepted
        now["sittings"] = now["sittings"] + window.arrivals
        now["windows"] = now["windows"] + 1
        whole = int(now["windows"][0]) == HOUR // (window.end - window.start)
        if window.end % HOUR or not whole:  # the hour is not over, or its beginning was not observed
            return now, []
        return self._close_hour(window, now, context, int(hour))

    def _close_hour(
        self, window: Window, now: dict[str, Any], context: WindowContext, hour: int
    ) -> tuple[WindowState, list[Signal]]:
        week, day, x = (hour + _THURSDAY) % _WEEK, hour % 24, int(now["sittings"][0])
        release = context.registry.last_release
        released = release is not None and 0 <= window.start - release < _RELEASE_HOURS * HOUR
        size = 1 / max((now["shock"][0] + _SHOCK * _PRIOR_HOURS) / (now["shock"][1] + _PRIOR_HOURS), _LEAST_SHOCK)
        mean, bound = _expected(now, week, day, size, self.sign)
        signals: list[Signal] = []
        if bound > 0:
            mean_bound = bound * (_RELEASE if released and self.sign > 0 else 1)
            ratio = count_likelihoods.negative_binomial(x, mean_bound, self.ratios, size)
            now["log_m"] = shiryaev_roberts(now["log_m"], ratio[None])
            mixed = alert_policy.log_e_over_horizon(log_mixture(now["log_m"], _WEIGHTS), _MONTH)
            decision = alert_policy.decide_alerts(
                mixed, now, alarms=context.false_alarms, share=context.false_share, quiet_for=_QUIET_FOR
            )
            now |= decision.columns
            signals = self._signals(window, decision, from_log_units(int(mixed[0])), now, mean_bound)
        now["stood"] = np.where(now["level"] > 0, now["stood"] + 1, 0)
        if not released and (int(now["level"][0]) == 0 or int(now["stood"][0]) > _NEW_NORMAL):
            _learn(now, week, day, x, mean)
        return now, signals

    def _signals(
        self,
        window: Window,
        decision: alert_policy.AlertDecision,
        e_value: float,
        now: dict[str, Any],
        mean_bound: float,
    ) -> list[Signal]:
        if len(decision.cleared):
            return [ClearedSignal(self.name, "board", self.direction, window.end, "twelve hours were normal")]
        if not len(decision.raised):
            return []
        level = int(decision.columns["level"][0])
        bound = "at most" if self.sign > 0 else "at least"
        evidence = {
            "what": f"{now['votes'][0]} votes in an hour, in {now['sittings'][0]} sittings, where {bound} "
            f"{mean_bound:.0f} sittings are expected at this hour of the week",
            "window": [window.end - HOUR, window.end],
            "votes": int(now["votes"][0]),
            "sittings": int(now["sittings"][0]),
            "expected": round(float(mean_bound), 1),
        }
        return [window.alert(self.name, "board", "board", self.direction, e_value, level, evidence)]


@dataclass(frozen=True)
class Traffic(_HourlyTraffic):
    """Detects more votes on the board than usual at this hour of the week. The module docstring has the formula.

    Attributes:
        ratios: the values of ρ, each above 1: the mean under an alternative divided by the usual mean.
    """

    name = "traffic"
    direction = "more votes than usual"
    ratios: ClassVar[tuple[float, ...]] = count_likelihoods.RISE_RATIOS
    sign = 1


@dataclass(frozen=True)
class TrafficGap(_HourlyTraffic):
    """Detects fewer votes on the board than usual at this hour of the week, or none. See the module docstring.

    Attributes:
        ratios: the values of ρ, each below 1: the mean under an alternative divided by the usual mean.
    """

    name = "traffic_gap"
    direction = "fewer votes than usual"
    ratios: ClassVar[tuple[float, ...]] = count_likelihoods.FALL_RATIOS
    sign = -1


def _alerts_only(state: WindowState) -> dict[str, Any]:
    """Return the open alert of an old state, without the state's counts, which are of votes and not of sittings."""
    return {name: state[name] for name in alert_policy.NO_ALERT if name in state}


def _expected(now: dict[str, Any], week: int, day: int, size: float, sign: int) -> tuple[float, float]:
    """Return the estimated mean count of an hour, and a bound on this mean; (0, 0) without enough data.

    The bound is an upper bound for `sign` +1, and a lower bound for `sign` −1. `size` is the r of the negative binomial
    distribution in the module docstring.
    """
    weeks, days = float(now["weeks"][week]), float(now["days"][day])
    if weeks >= _LEAST_WEEKS:
        mean, number, slack = float(now["sums"][week]) / weeks, weeks, 0.0
    elif days >= _LEAST_DAYS:
        mean, number, slack = float(now["day_sums"][day]) / days, days, _WEEKDAYS
    else:
        return 0.0, 0.0
    error = ((mean + mean * mean / size) / number) ** 0.5
    return mean, max(mean * (1 + sign * slack) + sign * 2 * error, 0.0)


def _learn(now: dict[str, Any], week: int, day: int, x: int, mean: float) -> None:
    """Add an hour's sittings to the baseline, limited to between a third and three times the expected number.

    `traffic` also learns from hours about which only `traffic_gap` alerts, and `traffic_gap` from hours about which
    only `traffic` alerts. The limits keep such an hour from weighing more than a few ordinary hours.

    Args:
        now: the state, changed in place.
        week, day: position of the hour in its week, and in its day.
        x: number of sittings that began in the hour.
        mean: the number of sittings that the baseline expected; 0 if it could not expect any yet.
    """
    if mean > 0:
        x = round(min(max(x, mean / _OUTLIER), mean * _OUTLIER))
    for weight, total, at, kept in (("weeks", "sums", week, _KEPT), ("days", "day_sums", day, _KEPT ** (1 / 7))):
        for name, more in ((weight, 1.0), (total, float(x))):
            after = now[name].copy()
            after[at] = after[at] * kept + more
            now[name] = after
    if mean > 0:
        # (x − μ)² − μ has mean μ²/r
        shock = min(((x - mean) ** 2 - mean) / mean**2, 1.0)
        now["shock"] = now["shock"] * (1 - 1 / (4 * _WEEK)) + np.array([shock, 1.0])
