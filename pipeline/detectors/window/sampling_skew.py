"""`sampling_skew`: are models drawn as the sampling policy in force says?

Formula: with weights w the first model of a battle is drawn with p = w/W, the second likewise among the others, so a
battle holds model i with π = p(1 + S − p/(1−p)), S = Σ p/(1−p). Of each battle one side is looked at, by bit 0 of
SHA-256(vote_id): it is model i with θ = π/2, independent of the other battles. Over the counts S_i since the policy
came into force: jointly the Dirichlet-multinomial Bayes factor
Γ(k)/Γ(k+n) Π Γ(kθ_i + S_i)/Γ(kθ_i) / Π θ_i^{S_i}, and per model the beta-binomial one, which names the culprit, told
by e-BH. k = 1000. Windows in which the policy changes, and the one after each, are left out; factors multiply from
policy to policy. Without a policy models of one licence group are held against equal shares of the group's votes, and
the alert says so. A model that is shown though its weight is 0, or that the policy does not list, is a fact of its own.

Source: Lindon & Malek 2022 (NeurIPS), "Anytime-valid inference for multinomial count data"; unequal sampling of a
real board, Singh et al. 2025, "The Leaderboard Illusion", section 4.

Blind spot: a skew that begins after a long honest time under one policy shows late (`vote_burst` and
`silent_deprecation` see a change); votes that are not cast (what is shown and not voted on nobody sees).

False alarms: at most 1 in 100, ever, jointly, and again over all models: both are e-processes. A policy's end ends
its alerts, and its successor begins with fresh evidence.

>>> from pipeline.lab.simulate.simulated_board import SimulatedBoard, WindowEffect
>>> board = SimulatedBoard(days=1, votes=40, seed=6, effects=[WindowEffect(first=0, end=288, sampling={"m005": 2.0})])
>>> detector, state, alarms = SamplingSkew(), {}, []
>>> for number, window in enumerate(board.windows()):
...     state, said = detector.observe(window, state, board.context(number))
...     alarms += [(number, one.subject, one.direction) for one in said]
>>> alarms[0]
(29, 'm005', 'more often than declared')
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.evidence import alert_policy, bayes_factors, keyed_state
from pipeline.evidence.e_detectors import LOG_ZERO, MAX_LOG_M
from pipeline.evidence.fixed_point import from_log_units
from pipeline.registry import RegistryState as Registry
from pipeline.scoring.detector_contracts import WindowContext, WindowState
from pipeline.scoring.signals import ALPHA, NO_PARTITION, AlertSignal, ClearedSignal, Severity, Signal, SubjectKind
from pipeline.scoring.window import MEASURES, Window
from pipeline.vocabulary.arrays import Float64, Int64

_CHOSEN = MEASURES.index("chosen")
_JOINT = "joint\x1f"
_UNLISTED = "shown though the policy gives it no weight"
_SKEWED = "not as declared"
_MORE, _LESS = "more often than declared", "less often than declared"
# A day of evidence below 1 ends an alert.
_QUIET_FOR = 288

_BLANK: dict[str, Any] = {
    **alert_policy.NO_ALERT,
    "chosen": np.int64(0),
    "theta": 0.0,
    "group": np.int64(0),
    "closed": np.int64(0),
    "more": False,
    "unlisted": False,
}


@dataclass(frozen=True)
class _Declared:
    """Shares to hold votes against: the models of each group with θ within the group, and where they are from."""

    since: int
    theta: Mapping[str, tuple[int, float]]
    says: str


@dataclass(frozen=True)
class SamplingSkew:
    """The detector; see the module for formula, source, blind spot and false-alarm rate."""

    name = "sampling_skew"

    def observe(self, window: Window, state: WindowState, context: WindowContext) -> tuple[WindowState, list[Signal]]:
        """See `WindowDetector`. Cost: three log-gamma functions a model."""
        declared = _declared(context.registry)
        if declared is None:
            return state, []
        since = state.get("since", np.full(1, np.iinfo(np.int64).min))
        columns = {name: column for name, column in state.items() if name != "since"}
        said: list[Signal] = []
        if int(since[0]) != declared.since:
            columns, said = self._begin(columns, declared, window)
            since = np.array([declared.since])
        if window.accepted and context.steady:
            columns, unlisted = self._count(columns, window, context, declared)
            columns, more = self._test(columns, window, declared)
            said += unlisted + more
        return columns | {"since": since}, said

    def _begin(
        self, columns: keyed_state.KeyedColumns, declared: _Declared, window: Window
    ) -> tuple[keyed_state.KeyedColumns, list[Signal]]:
        """Close the factors of the policy before; what was told under it is over."""
        said: list[Signal] = []
        if keyed_state.KEY in columns:
            columns["closed"] = np.where(columns["level"] > 0, 0, _factors(columns))
            for i in np.flatnonzero(columns["level"] > 0).tolist():
                _, subject, direction = self._subject(columns, i)
                said.append(ClearedSignal(self.name, subject, direction, window.start, "another policy is in force"))
            columns |= {name: np.zeros_like(columns[name]) for name in alert_policy.NO_ALERT}
        columns, rows = keyed_state.add_keys(columns, [_JOINT, *declared.theta], _BLANK)
        theta, group = np.zeros(len(columns[keyed_state.KEY])), np.zeros(len(columns[keyed_state.KEY]), dtype=np.int64)
        group[rows[1:]] = [number for number, _ in declared.theta.values()]
        theta[rows[1:]] = [share for _, share in declared.theta.values()]
        return columns | {"theta": theta, "group": group, "chosen": np.zeros_like(group)}, said

    def _count(
        self, columns: keyed_state.KeyedColumns, window: Window, context: WindowContext, declared: _Declared
    ) -> tuple[keyed_state.KeyedColumns, list[Signal]]:
        columns, rows = keyed_state.add_keys(columns, window.models, _BLANK)
        chosen = columns["chosen"].copy()
        listed = columns["theta"][rows] > 0
        chosen[rows[listed]] += window.totals[listed, _CHOSEN]
        unlisted = columns["unlisted"].copy()
        fresh = rows[~listed & ~unlisted[rows]] if context.registry.policy else rows[:0]
        unlisted[fresh] = True
        said: list[Signal] = [
            self._raised(
                "model", str(columns[keyed_state.KEY][row]), _UNLISTED, None, 1, window,
                {"what": f"votes on it, and {declared.says} gives it no weight", "window": [window.start, window.end]},
            )
            for row in fresh.tolist()
        ]  # fmt: skip
        return columns | {"chosen": chosen, "unlisted": unlisted}, said

    def _test(
        self, columns: keyed_state.KeyedColumns, window: Window, declared: _Declared
    ) -> tuple[keyed_state.KeyedColumns, list[Signal]]:
        log_e = _factors(columns)
        joint = columns[keyed_state.KEY] == _JOINT
        votes = _totals(columns)
        columns["more"] = np.where(columns["level"] > 0, columns["more"], columns["chosen"] > votes * columns["theta"])
        said: list[Signal] = []
        after = {name: columns[name].copy() for name in alert_policy.NO_ALERT}
        for rows in (np.flatnonzero(joint), np.flatnonzero(~joint & (columns["theta"] > 0))):
            before = {name: columns[name][rows] for name in alert_policy.NO_ALERT}
            decision = alert_policy.decide_alerts(log_e[rows], before, alarms=ALPHA, share=ALPHA, quiet_for=_QUIET_FOR)
            for name, values in decision.columns.items():
                after[name][rows] = values
            said += self._said(columns | after, rows[decision.raised], log_e, votes, window, declared)
            for i in rows[decision.cleared].tolist():
                _, subject, direction = self._subject(columns, i)
                said.append(ClearedSignal(self.name, subject, direction, window.end, "a day without evidence"))
        return columns | after, said

    def _said(
        self,
        columns: keyed_state.KeyedColumns,
        rows: Int64,
        log_e: Int64,
        votes: Float64,
        window: Window,
        declared: _Declared,
    ) -> list[Signal]:
        said: list[Signal] = []
        for i in rows.tolist():
            kind, subject, direction = self._subject(columns, i)
            seen, theta = int(columns["chosen"][i]), float(columns["theta"][i])
            if kind == "board":
                what = f"{columns['chosen'].sum()} votes (one side of each) do not fit {declared.says}"
            else:
                what = f"{seen} of {votes[i]:.0f} votes (one side of each), {votes[i] * theta:.0f} by {declared.says}"
            evidence = {
                "what": what,
                "window": [max(declared.since, 0), window.end],
                "votes": int(votes[i]) if kind == "model" else int(columns["chosen"].sum()),
                **({"seen": seen, "declared": round(theta, 6)} if kind == "model" else {}),
            }
            e, level = from_log_units(min(int(log_e[i]), MAX_LOG_M)), int(columns["level"][i])
            said.append(self._raised(kind, subject, direction, e, level, window, evidence))
        return said

    def _subject(self, columns: keyed_state.KeyedColumns, i: int) -> tuple[SubjectKind, str, str]:
        key = str(columns[keyed_state.KEY][i])
        if key == _JOINT:
            return "board", "board", _SKEWED
        return "model", key, _MORE if columns["more"][i] else _LESS

    def _raised(
        self,
        kind: SubjectKind,
        subject: str,
        direction: str,
        e: float | None,
        level: int,
        window: Window,
        evidence: dict[str, Any],
    ) -> AlertSignal:
        severity: Severity = "critical" if level > 1 else "warning"
        return AlertSignal(
            self.name, kind, subject, direction, severity, e, level, NO_PARTITION, window.start, window.end, evidence
        )


def _declared(registry: Registry) -> _Declared | None:
    if registry.policy is not None:
        appearance = registry.policy.appearance
        theta = {model: (0, share / 2) for model, share in appearance.items() if share > 0}
        return _Declared(registry.policy.since, theta, "the policy") if theta else None
    groups: dict[str, list[str]] = {}
    changed = 0
    for model in registry.models.values():
        times = (model.submitted_at, model.released_at, model.deprecated_at, model.retracted_at)
        changed = max(changed, *(t for t in times if t is not None), 0)
        if model.license and model.deprecated_at is None and model.retracted_at is None:
            groups.setdefault(model.license, []).append(model.name)
    theta = {
        name: (number, 1 / len(names))
        for number, (_, names) in enumerate(sorted(groups.items()))
        if len(names) > 1
        for name in names
    }
    says = "no declared policy: equal shares within its licence group"
    return _Declared(changed, theta, says) if theta else None


def _totals(columns: keyed_state.KeyedColumns) -> Float64:
    """Votes of the group of each key."""
    groups = np.bincount(columns["group"], weights=columns["chosen"])
    return np.asarray(groups[columns["group"]])


def _factors(columns: keyed_state.KeyedColumns) -> Int64:
    """Give ln e of every key, the closed policies included: of models, and of all together."""
    theta, chosen, votes = columns["theta"], columns["chosen"], _totals(columns)
    log_e = columns["closed"].copy()
    listed = theta > 0
    log_e[listed] += bayes_factors.beta_binomial(chosen[listed], votes[listed], theta[listed])
    joint = columns[keyed_state.KEY] == _JOINT
    for group in np.unique(columns["group"][listed]):
        rows = listed & (columns["group"] == group)
        log_e[joint] += bayes_factors.dirichlet_multinomial(chosen[rows], theta[rows])
    return np.maximum(log_e, LOG_ZERO)
