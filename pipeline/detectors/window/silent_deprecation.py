"""`silent_deprecation`: detects that a model no longer appears although the policy declares that it is sampled.

Formula: by the policy in force a battle includes the model with probability π. The likelihood ratio of a window with n
battles is L(π) = (1 − π)^−n if the model does not appear, and 0 if it appears. Two kinds of silence are tested:

    a silence that begins in any window        Shiryaev-Roberts e-detector: M ← (M + 1) L(π⁻)
    a silence that begins with the policy      E ← E L(π), from the first whole window of the policy on; E stays 0
                                               after the model has appeared once

π⁻ is a lower bound of the model's share in the votes: 0.85 times the smaller of the two declared shares that
`sampling_bounds` computes, since voters complete battles with some models less often. M can raise a false alarm
after each appearance of a model, so an error of π would add up over months. E can raise a false alarm only once under
each policy, so E is computed with π itself. If a model's true share in the votes is below π, E raises more false alarms
(see below).

The evidence is 0.9 M/H + 0.1 E, where H is the number of windows in a month. E is not divided by H, so a model that
never appears is found sooner: E reaches 10⁴ after 917 battles if the declared share is 1%, and after 303 if it is 3%.
The detector also raises an alert without an e-value, by the published definition: a model has at most 10 votes in 52
days, although it is registered and neither deprecated nor retracted.

Source: Shin, Ramdas & Rinaldo 2024, "E-detectors". E is a likelihood ratio with a start that is known before the votes,
so Ville's inequality applies. The definition comes from Singh et al. 2025, "The Leaderboard Illusion", section 5: 205
of 243 models were silently deprecated, 47 were listed as deprecated.

Blind spot: a model that appears more rarely but still appears (`sampling_skew` finds it). A policy weight of 0 declares
the silence; the alert by the published definition is then raised after 52 days if the registry has no event
`model.deprecated` for the model.

False alarms: at most a tenth of the number per month that the operator tolerates (default 1), over all models, while
the policy is true and changes once a month. Each further change adds a hundredth. The actual rate is close to this
bound; other detectors have lower rates than their bounds. Example: 67 models appear in 3% of the battles each. A model
that is never drawn is found after about 290 battles, and a model that falls silent later after about 500. By chance, N
battles contain Nπ(1 − π)^n runs of n battles without a given model. So no rule with one false alarm a month is much
faster (`least_battles`). If the share in the votes is 0.85 π for one of these models, E raises a false alarm for it
with 3.8 times the chance that the bound assumes. The alert by the published definition has no false alarms.

>>> from pipeline.registry import PolicyInForce, RegisteredModel, RegistryState
>>> from pipeline.scoring.window import GroupedModelCounts
>>> names, width = ("a", "b", "c", "d"), 300_000_000
>>> registry = RegistryState({n: RegisteredModel(n) for n in names}, {}, PolicyInForce(0, dict.fromkeys(names, 1.0)))
>>> votes = np.ones((4, len(MEASURES)), int)
>>> nothing = GroupedModelCounts((), (), votes[:0])
>>> detector, state, alarms = SilentDeprecation(), {}, []
>>> for k in range(30):
...     shown = 4 if k < 20 else 3  # from window 20 on "d" does not appear
...     window = Window(k * width, (k + 1) * width, 3, 0, names[:shown], votes[:shown], nothing, nothing, nothing, {})
...     state, signals = detector.observe(window, state, WindowContext(registry))
...     alarms += [(k, one.subject, one.direction) for one in signals]
>>> alarms[0]
(27, 'd', 'no longer sampled')
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.detectors.window.sampling_bounds import TOLERANCE, other_rule
from pipeline.evidence import alert_policy, to_log_units
from pipeline.evidence.e_detectors import LOG_ZERO, MAX_LOG_M, log_mixture, shiryaev_roberts
from pipeline.evidence.fixed_point import from_log_units
from pipeline.evidence.keyed_state import KEY, KeyedColumns, add_keys
from pipeline.scoring.detector_contracts import WindowContext, WindowState
from pipeline.scoring.signals import ClearedSignal, Signal
from pipeline.scoring.window import MEASURES, Window
from pipeline.vocabulary.arrays import Float64, Int64
from pipeline.vocabulary.time import DAY

_APPEARANCES = MEASURES.index("appearances")
_DAYS, _FEW = 52, 10
# Share of the operator's false alarms that this detector uses.
_SHARE = 0.1
# Weights of a silence that may begin at any time, and of one since the policy began.
_WEIGHTS = (0.9, 0.1)
_SILENT, _DEPRECATED = "no longer sampled", "at most 10 votes in 52 days"

_NEW_KEY: dict[str, Any] = {
    **alert_policy.NO_ALERT,
    "log_m": np.int64(LOG_ZERO),
    "log_e": np.int64(0),
    "battles": np.int64(0),
    "since": np.int64(0),
    "days": np.zeros(_DAYS, dtype=np.int32),
    "first": np.int64(0),
    "gone": False,
}


@dataclass(frozen=True)
class SilentDeprecation:
    """Detects that a model no longer appears although the policy declares that it is sampled.

    The module docstring has formula, source, blind spot and false-alarm rate.
    """

    name = "silent_deprecation"

    def observe(self, window: Window, state: WindowState, context: WindowContext) -> tuple[WindowState, list[Signal]]:
        """Compute the state of the detector after a window, and the signals that the window causes.

        Silences are not tested in a window without accepted votes, nor in a window in which the policy changes.

        Args:
            window: the next window, in order of time.
            state: the state after the previous window, as named arrays.
            context: the registry and the settings for this window.

        Returns:
            Two values: the state after the window; and the signals.
        """
        policy = context.registry.policy
        declared = {m: share for m, share in (policy.appearance if policy else {}).items() if share > 0}
        day = np.array([window.start // DAY])
        new_day = int(state.get("day", day)[0]) != int(day[0])
        columns = {name: column for name, column in state.items() if name not in {"day", "policy"}}
        names = sorted(set(window.models) | declared.keys())
        columns, rows = add_keys(columns, names, _NEW_KEY | {"first": window.start, "since": window.start})
        columns = dict(columns)
        since = np.array([policy.since if policy else 0])
        if int(state.get("policy", since)[0]) != int(since[0]):
            columns["log_e"] = np.zeros_like(columns["log_e"])
        appearances = np.zeros(len(columns[KEY]), dtype=np.int64)
        appearances[rows] = _appearances(window, names)
        share = np.zeros(len(appearances))
        share[rows] = [min(declared.get(name, 0.0), 0.999) for name in names]
        least = np.zeros(len(share))
        least[rows] = _least_shares(declared, names, context)
        signals = self._few_votes(columns, window, context, int(day[0])) if new_day else []
        columns["days"] = _with_day(columns["days"], appearances, int(day[0]), int(state.get("day", day)[0]))
        if context.steady and window.accepted:
            signals += self._silences(columns, appearances, (share, least), window, context)
        return columns | {"day": day, "policy": since}, signals

    def _silences(
        self,
        columns: KeyedColumns,
        appearances: Int64,
        shares: tuple[Float64, Float64],
        window: Window,
        context: WindowContext,
    ) -> list[Signal]:
        """Return the signals about silences. `shares` has two arrays by key: declared shares and their lower bounds."""
        share, least = shares
        absent = (appearances == 0) & (share > 0)
        ratio = np.where(absent, to_log_units(-window.accepted * np.log1p(-share)), 2 * LOG_ZERO)
        careful = np.where(absent, to_log_units(-window.accepted * np.log1p(-least)), 2 * LOG_ZERO)
        columns["log_m"] = shiryaev_roberts(columns["log_m"], careful)
        columns["log_e"] = np.clip(columns["log_e"] + ratio, LOG_ZERO, MAX_LOG_M)
        columns["battles"] = np.where(absent, columns["battles"] + window.accepted, 0)
        columns["since"] = np.where(absent, columns["since"], window.end)
        monthly = alert_policy.log_e_over_horizon(columns["log_m"], alert_policy.WINDOWS_PER_MONTH)
        log_e = log_mixture(np.column_stack([monthly, columns["log_e"]]), _WEIGHTS)
        tested = np.flatnonzero(share > 0)
        before = {name: columns[name][tested] for name in alert_policy.NO_ALERT}
        decision = alert_policy.decide_alerts(
            log_e[tested], before, alarms=context.false_alarms * _SHARE, share=context.false_share * _SHARE, quiet_for=1
        )
        for name, values in decision.columns.items():
            columns[name] = columns[name].copy()
            columns[name][tested] = values
        signals: list[Signal] = []
        for i in tested[decision.raised].tolist():
            battles, model = int(columns["battles"][i]), str(columns[KEY][i])
            evidence = {
                "what": f"not in one of the last {battles} battles, where {battles * share[i]:.0f} are declared",
                "window": [int(columns["since"][i]), window.end],
                "battles": battles,
                "declared": round(float(share[i]), 6),
            }
            e_value, level = from_log_units(int(log_e[i])), int(columns["level"][i])
            signals.append(window.alert(self.name, "model", model, _SILENT, e_value, level, evidence))
        again = [str(columns[KEY][i]) for i in tested[decision.cleared].tolist()]
        return signals + [ClearedSignal(self.name, name, _SILENT, window.end, "it appeared again") for name in again]

    def _few_votes(self, columns: KeyedColumns, window: Window, context: WindowContext, day: int) -> list[Signal]:
        """Return, once a day, the signals about models with at most 10 votes in 52 days and no `model.deprecated`."""
        votes = columns["days"].sum(axis=1)
        old = window.start - columns["first"] >= _DAYS * DAY
        signals: list[Signal] = []
        gone = columns["gone"].copy()
        for i in np.flatnonzero(old & ((votes <= _FEW) != gone)).tolist():
            name = str(columns[KEY][i])
            model = context.registry.models.get(name)
            offered = model is not None and model.deprecated_at is None and model.retracted_at is None
            if gone[i]:
                signals.append(ClearedSignal(self.name, name, _DEPRECATED, window.start, "it has votes again"))
            elif offered:
                evidence = {
                    "what": f"{votes[i]} votes in 52 days, and the registry holds no deprecation of it",
                    "window": [(day - _DAYS) * DAY, window.start],
                    "votes": int(votes[i]),
                }
                signals.append(window.alert(self.name, "model", name, _DEPRECATED, None, 1, evidence))
            gone[i] = not gone[i] if gone[i] or offered else gone[i]
        columns["gone"] = gone
        return signals


def _least_shares(declared: Mapping[str, float], names: Sequence[str], context: WindowContext) -> list[float]:
    """Return the smallest expected share of each model in the votes, under the sampling policy in force."""
    policy = context.registry.policy
    if policy is None or not declared:
        return [0.0] * len(names)
    other = dict(zip(declared, other_rule(declared, policy.weights, context.registry).tolist(), strict=True))
    return [
        min(share, other[name], 0.999) * (1 - TOLERANCE) if (share := declared.get(name, 0.0)) > 0 else 0.0
        for name in names
    ]


def _appearances(window: Window, names: list[str]) -> list[int]:
    found = dict(zip(window.models, window.totals[:, _APPEARANCES].tolist(), strict=True))
    return [found.get(name, 0) for name in names]


def _with_day(days: Any, appearances: Any, day: int, before: int) -> Any:
    """Return the votes of each model on each of the last 52 days, with today's votes added.

    Args:
        days: int32[m, 52], the votes before; day d is in column d mod 52.
        appearances: [m], votes to add for today.
        day: number of today.
        before: number of the day of the last update. The columns of the days since then are set to 0 first.
    """
    ring = days.copy()
    for passed in range(before + 1, min(day, before + _DAYS) + 1):
        ring[:, passed % _DAYS] = 0
    ring[:, day % _DAYS] += appearances.astype(np.int32)
    return ring


def battles_until(share: float, evidence: float) -> int:
    """Return the smallest number n of battles without the model for which (1 − share)^−n is at least `evidence`.

    Args:
        share: share of battles in which the model is declared to appear.
        evidence: the e-value to reach.

    >>> battles_until(0.01, 1e4), battles_until(0.03, 1e4)
    (917, 303)
    """
    return math.ceil(math.log(evidence) / -math.log1p(-share))


def least_battles(share: float, battles: float, models: int, alarms: float = 1.0) -> int:
    """Return the least number of battles without a model after which any rule may raise an alert.

    A rule that raises an alert sooner has more than `alarms` false alarms, since such runs of battles occur by chance.

    Args:
        share: share of battles in which the model is declared to appear.
        battles: number of battles over which the false alarms are counted.
        models: number of watched models, each with this share.
        alarms: tolerated number of false alarms in these battles.

    >>> least_battles(0.03, 86_400, 67)
    397
    """
    return math.ceil(math.log(models * battles * share / alarms) / -math.log1p(-share))
