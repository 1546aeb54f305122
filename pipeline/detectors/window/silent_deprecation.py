"""`silent_deprecation`: has a model that is declared to be sampled stopped appearing?

Formula: a battle holds the model with probability π by the policy in force. A window of n battles without it is
evidence of L = (1 − π)^−n, one with it of 0. A silence may begin with any window, Shiryaev-Roberts, M ← (M + 1) L, the
sum over the windows since the one it last appeared in; or with the policy, E ← E L from its first whole window on, 0
for good when the model appears. The value that counts is .9 M/H + .1 E, with H the windows of a month: who never
appears needs no H. A declared share of 1% is silent for 917 battles at E = 10⁴, one of 3% for 303. And a fact, by the
published definition: at most 10 votes in 52 days, for a model that the registry knows and does not hold deprecated or
retracted.

Source: Shin, Ramdas & Rinaldo 2024, "E-detectors"; E is a likelihood ratio from a start that is known before
its votes, so Ville's inequality holds; the definition, Singh et al. 2025, "The Leaderboard Illusion", section 5: 205
of 243 models were silently deprecated, 47 were listed as deprecated.

Blind spot: a model that fades without falling silent (`sampling_skew`); a policy of weight 0 is a declared silence,
and is told of after 52 days if the registry holds no `model.deprecated`.

False alarms: at most a tenth of the operator's number a month (default 1), over all models, while the policy is true
and changes once a month; a hundredth more with every further change. Of a silence the bound is nearly the rate itself,
where other detectors stay far below theirs. Where 67 models are in 3% of the battles each, one that a policy declares
and never draws is told of after some 290 battles, one that falls silent in its midst after some 450. Runs of n battles
without a model come Nπ(1 − π)^n times in N battles by themselves, so no rule with one false alarm a month can tell of
it much earlier (`least_battles`). The fact has none.

>>> from pipeline.lab.simulate.simulated_board import SimulatedBoard, WindowEffect
>>> board = SimulatedBoard(days=1, votes=40, seed=2, effects=[WindowEffect(first=100, end=288, sampling={"m005": 0.0})])
>>> detector, state, alarms = SilentDeprecation(), {}, []
>>> for number, window in enumerate(board.windows()):
...     state, said = detector.observe(window, state, board.context(number))
...     alarms += [(number, one.subject, one.direction) for one in said]
>>> alarms[0]
(109, 'm005', 'no longer sampled')
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.evidence import alert_policy, keyed_state, to_log_units
from pipeline.evidence.e_detectors import LOG_ZERO, MAX_LOG_M, log_mixture, shiryaev_roberts
from pipeline.evidence.fixed_point import from_log_units
from pipeline.scoring.detector_contracts import WindowContext, WindowState
from pipeline.scoring.signals import NO_PARTITION, AlertSignal, ClearedSignal, Signal
from pipeline.scoring.window import MEASURES, Window
from pipeline.vocabulary.time import DAY

_APPEARANCES = MEASURES.index("appearances")
_DAYS, _FEW = 52, 10
_SHARE = 0.1
# Weights of a silence that may begin at any time, and of one since the policy began.
_WEIGHTS = (0.9, 0.1)
_SILENT, _DEPRECATED = "no longer sampled", "at most 10 votes in 52 days"

_BLANK: dict[str, Any] = {
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
    """The detector; see the module for formula, source, blind spot and false-alarm rate."""

    name = "silent_deprecation"

    def observe(self, window: Window, state: WindowState, context: WindowContext) -> tuple[WindowState, list[Signal]]:
        """See `WindowDetector`. Cost: a few vector operations on the models."""
        policy = context.registry.policy
        declared = {m: share for m, share in (policy.appearance if policy else {}).items() if share > 0}
        day = np.array([window.start // DAY])
        new_day = int(state.get("day", day)[0]) != int(day[0])
        columns = {name: column for name, column in state.items() if name not in {"day", "policy"}}
        names = sorted(set(window.models) | declared.keys())
        columns, rows = keyed_state.add_keys(columns, names, _BLANK | {"first": window.start, "since": window.start})
        columns = dict(columns)
        since = np.array([policy.since if policy else 0])
        if int(state.get("policy", since)[0]) != int(since[0]):
            columns["log_e"] = np.zeros_like(columns["log_e"])
        seen = np.zeros(len(columns[keyed_state.KEY]), dtype=np.int64)
        seen[rows] = _appearances(window, names)
        share = np.zeros(len(seen))
        share[rows] = [min(declared.get(name, 0.0), 0.999) for name in names]
        said = self._fade(columns, window, context, int(day[0]), new_day)
        columns["days"] = _counted(columns["days"], seen, int(day[0]), int(state.get("day", day)[0]))
        if context.steady and window.accepted:
            said += self._step(columns, seen, share, window, context)
        return columns | {"day": day, "policy": since}, said

    def _step(
        self,
        columns: keyed_state.KeyedColumns,
        seen: np.ndarray[Any, np.dtype[np.int64]],
        share: np.ndarray[Any, np.dtype[np.float64]],
        window: Window,
        context: WindowContext,
    ) -> list[Signal]:
        absent = (seen == 0) & (share > 0)
        ratio = np.where(absent, to_log_units(-window.accepted * np.log1p(-share)), 2 * LOG_ZERO)
        columns["log_m"] = shiryaev_roberts(columns["log_m"], ratio)
        columns["log_e"] = np.clip(columns["log_e"] + ratio, LOG_ZERO, MAX_LOG_M)
        columns["battles"] = np.where(absent, columns["battles"] + window.accepted, 0)
        columns["since"] = np.where(absent, columns["since"], window.end)
        both = np.column_stack(
            [alert_policy.log_e_over_horizon(columns["log_m"], alert_policy.WINDOWS_PER_MONTH), columns["log_e"]]
        )
        log_e = log_mixture(both, _WEIGHTS)
        tested = np.flatnonzero(share > 0)
        before = {name: columns[name][tested] for name in alert_policy.NO_ALERT}
        decision = alert_policy.decide_alerts(
            log_e[tested], before, alarms=context.false_alarms * _SHARE, share=context.false_share * _SHARE, quiet_for=1
        )
        for name, values in decision.columns.items():
            columns[name] = columns[name].copy()
            columns[name][tested] = values
        said: list[Signal] = []
        for i in tested[decision.raised].tolist():
            battles, level = int(columns["battles"][i]), int(columns["level"][i])
            evidence = {
                "what": f"not in one of the last {battles} battles, where {battles * share[i]:.0f} are declared",
                "window": [int(columns["since"][i]), window.end],
                "battles": battles,
                "declared": round(float(share[i]), 6),
            }
            said.append(
                AlertSignal(
                    self.name, "model", str(columns[keyed_state.KEY][i]), _SILENT,
                    "critical" if level > 1 else "warning",
                    from_log_units(int(log_e[i])), level, NO_PARTITION, window.start, window.end, evidence,
                )
            )  # fmt: skip
        back = [str(columns[keyed_state.KEY][i]) for i in tested[decision.cleared].tolist()]
        return said + [ClearedSignal(self.name, name, _SILENT, window.end, "it appeared again") for name in back]

    def _fade(
        self, columns: keyed_state.KeyedColumns, window: Window, context: WindowContext, day: int, new_day: bool
    ) -> list[Signal]:
        """Once a day: released models that the registry does not hold deprecated, with at most 10 votes in 52 days."""
        if not new_day:
            return []
        votes = columns["days"].sum(axis=1)
        old = window.start - columns["first"] >= _DAYS * DAY
        said: list[Signal] = []
        gone = columns["gone"].copy()
        for i in np.flatnonzero(old & ((votes <= _FEW) != gone)).tolist():
            name = str(columns[keyed_state.KEY][i])
            model = context.registry.models.get(name)
            known = model is not None and model.deprecated_at is None and model.retracted_at is None
            if gone[i]:
                said.append(ClearedSignal(self.name, name, _DEPRECATED, window.start, "it has votes again"))
            elif known:
                evidence = {
                    "what": f"{votes[i]} votes in 52 days, and the registry holds no deprecation of it",
                    "window": [(day - _DAYS) * DAY, window.start],
                    "votes": int(votes[i]),
                }
                said.append(
                    AlertSignal(
                        self.name, "model", name, _DEPRECATED, "warning", None, 1,
                        NO_PARTITION, window.start, window.end, evidence,
                    )
                )  # fmt: skip
            gone[i] = not gone[i] if gone[i] or known else gone[i]
        columns["gone"] = gone
        return said


def _appearances(window: Window, names: list[str]) -> list[int]:
    seen = dict(zip(window.models, window.totals[:, _APPEARANCES].tolist(), strict=True))
    return [seen.get(name, 0) for name in names]


def _counted(days: Any, seen: Any, day: int, before: int) -> Any:
    """The votes of the last 52 days, a column a day, in a ring."""
    ring = days.copy()
    for passed in range(before + 1, min(day, before + _DAYS) + 1):
        ring[:, passed % _DAYS] = 0
    ring[:, day % _DAYS] += seen.astype(np.int32)
    return ring


def battles_until(share: float, evidence: float) -> int:
    """Battles without the model after which M reaches `evidence`.

    >>> battles_until(0.01, 1e4), battles_until(0.03, 1e4)
    (917, 303)
    """
    return math.ceil(math.log(evidence) / -math.log1p(-share))


def least_battles(share: float, battles: float, models: int, alarms: float = 1.0) -> int:
    """Battles without a model that any rule must wait for, if it is to tell falsely so seldom.

    Args:
        share: π of the model.
        battles: N in which so many false alarms are put up with.
        models: that are watched, with the same share each.
        alarms: how many.

    >>> least_battles(0.03, 86_400, 67)
    397
    """
    return math.ceil(math.log(models * battles * share / alarms) / -math.log1p(-share))
