"""`sampling_skew`: detects that models are not sampled as the sampling policy in force declares.

Formula: let w_i be the weights and w their sum. The first model of a battle is drawn with probability p_i = w_i/w, the
second likewise among the other models. So model i is in a battle with probability π_i = p_i(1 + T − p_i/(1−p_i)), with
T = Σ p_j/(1−p_j). One side of each battle is counted, chosen by bit 0 of SHA-256(vote_id). It is model i with
probability θ_i = π_i/2, independently of other battles. S_i counts model i under the policy in force, and n = Σ S_i.

All models together give one Dirichlet-multinomial Bayes factor, Γ(k)/Γ(k+n) Π Γ(kθ_i + S_i)/Γ(kθ_i) / Π q_i^{S_i} with
k = 250. The q_i are the shares within the tolerance (`sampling_bounds`) that make the factor smallest. Each model also
has a beta-binomial factor; its alerts name the model and are selected by e-BH. If a board publishes the battles that it
shows (`battle.issued`), they are counted instead of votes, q_i = θ_i, and k = 1000.

The factors of successive policies are multiplied. A window in which the policy changes is skipped, and so is the next.
Without a policy, the models of one licence group are expected to have equal shares of the group's votes, and the alert
says so. If a model with weight 0 or without a weight appears, an alert states this fact, without an e-value.

Source: Lindon & Malek 2022 (NeurIPS), "Anytime-valid inference for multinomial count data"; unequal sampling of a real
board, Singh et al. 2025, "The Leaderboard Illusion", section 4.

Blind spot: battles that nobody votes on; a skew within the tolerance. A skew that begins late under a policy is found
late; `vote_burst` and `silent_deprecation` find it sooner.

False alarms: the probability is at most 1% that the joint factor ever raises one, and at most 1% that any model does.
This is proved for all shares within 15%, and measured for a wider tolerance, which is learned. When a policy ends, its
alerts are cleared, and a subject with an alert begins again with evidence 1.

>>> from pipeline.registry import PolicyInForce, RegisteredModel, RegistryState
>>> from pipeline.scoring.window import GroupedModelCounts
>>> names, width = ("a", "b", "c", "d"), 300_000_000
>>> registry = RegistryState({n: RegisteredModel(n) for n in names}, {}, PolicyInForce(0, dict.fromkeys(names, 1.0)))
>>> votes = np.zeros((4, len(MEASURES)), int)
>>> votes[:, _CHOSEN] = (16, 8, 8, 8)  # of one side of 40 battles; 10 each are declared
>>> nothing = GroupedModelCounts((), (), votes[:0])
>>> detector, state, alarms = SamplingSkew(), {}, []
>>> for k in range(60):
...     window = Window(k * width, (k + 1) * width, 40, 0, names, votes, nothing, nothing, nothing, {})
...     state, signals = detector.observe(window, state, WindowContext(registry))
...     alarms += [(k, one.subject, one.direction) for one in signals]
>>> alarms[:2]
[(12, 'board', 'not as declared'), (13, 'a', 'more often than declared')]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.detectors.window.declared_shares import DeclaredShares, declared_shares
from pipeline.detectors.window.sampling_bounds import tolerance
from pipeline.evidence import alert_policy, bayes_factors
from pipeline.evidence.e_detectors import LOG_ZERO, MAX_LOG_M
from pipeline.evidence.fixed_point import from_log_units
from pipeline.evidence.keyed_state import KEY, KeyedColumns, add_keys
from pipeline.scoring.detector_contracts import WindowContext, WindowState
from pipeline.scoring.signals import ALPHA, AlertSignal, ClearedSignal, Signal, SubjectKind
from pipeline.scoring.window import MEASURES, Window
from pipeline.vocabulary.arrays import Bool, Float64, Int64

_APPEARANCES, _CHOSEN = MEASURES.index("appearances"), MEASURES.index("chosen")
_JOINT = "joint\x1f"
_UNLISTED = "shown though the policy gives it no weight"
_SKEWED = "not as declared"
_MORE, _LESS = "more often than declared", "less often than declared"
# The alternative's concentration: with 1000 most of it would lie within the tolerance.
_K = 250.0
# A day of evidence below 1 ends an alert.
_QUIET_FOR = 288

_NEW_KEY: dict[str, Any] = {
    **alert_policy.NO_ALERT,
    "chosen": np.int64(0),
    "theta": 0.0,
    "other": 0.0,
    "group": np.int64(0),
    "closed": np.int64(0),
    "more": False,
    "unlisted": False,
    "exact": False,
}


@dataclass(frozen=True)
class SamplingSkew:
    """Detects that models are not sampled as the policy declares. The module docstring has formula and error rates."""

    name = "sampling_skew"

    def observe(self, window: Window, state: WindowState, context: WindowContext) -> tuple[WindowState, list[Signal]]:
        """Return the state after a window and its signals, given the state before it; `context` has the registry.

        Nothing is tested without votes or declared shares.
        """
        declared = declared_shares(context.registry)
        if declared is None:
            return state, []
        since = state.get("since", np.full(1, np.iinfo(np.int64).min))
        issued = state.get("issued", np.zeros(1, dtype=np.bool_))
        columns = {name: column for name, column in state.items() if name not in ("since", "issued")}
        signals: list[Signal] = []
        if int(since[0]) != declared.since or bool(issued[0]) != (window.issued is not None):
            columns, signals = self._begin_policy(columns, declared, window)
            since, issued = np.array([declared.since]), np.array([window.issued is not None])
        columns = _with_other(columns, declared.other)
        if (window.accepted if window.issued is None else window.issued.battles) and context.steady:
            columns, unlisted = self._count(columns, window, context, declared)
            columns, skewed = self._test(columns, window, declared)
            signals += unlisted + skewed
        return columns | {"since": since, "issued": issued}, signals

    def _begin_policy(
        self, columns: KeyedColumns, declared: DeclaredShares, window: Window
    ) -> tuple[KeyedColumns, list[Signal]]:
        """Store the Bayes factors of the previous policy, clear its alerts, and store the shares of the new policy."""
        signals: list[Signal] = []
        if KEY in columns:
            columns = _with_other(columns, {})
            columns["closed"] = np.where(columns["level"] > 0, 0, _factors(columns))
            for i in np.flatnonzero(columns["level"] > 0).tolist():
                _, subject, direction = _subject(columns, i)
                reason = "another policy is in force"
                signals.append(ClearedSignal(self.name, subject, direction, window.start, reason))
            columns |= {name: np.zeros_like(columns[name]) for name in alert_policy.NO_ALERT}
        columns, rows = add_keys(columns, [_JOINT, *declared.theta], _NEW_KEY)
        theta, group = np.zeros(len(columns[KEY])), np.zeros(len(columns[KEY]), dtype=np.int64)
        other = theta.copy()
        group[rows[1:]] = [number for number, _ in declared.theta.values()]
        theta[rows[1:]] = [share for _, share in declared.theta.values()]
        other[rows[1:]] = [declared.other[name] for name in declared.theta]
        exact = np.full(len(theta), window.issued is not None)
        return columns | {
            "exact": exact,
            "theta": theta,
            "other": other,
            "group": group,
            "chosen": np.zeros_like(group),
        }, signals

    def _count(
        self, columns: KeyedColumns, window: Window, context: WindowContext, declared: DeclaredShares
    ) -> tuple[KeyedColumns, list[Signal]]:
        models, appearances, counted = _counts(window)
        columns, rows = add_keys(columns, models, _NEW_KEY)
        chosen = columns["chosen"].copy()
        listed = columns["theta"][rows] > 0
        chosen[rows[listed]] += counted[listed]
        unlisted = columns["unlisted"].copy()
        shown = appearances > 0  # late votes were drawn under another policy
        new = rows[shown & ~listed & ~unlisted[rows]] if context.registry.policy else rows[:0]
        unlisted[new] = True
        evidence = {
            "what": f"{'votes on' if window.issued is None else 'battles with'} it, and {declared.source} gives it no "
            "weight",
            "window": [window.start, window.end],
        }
        signals: list[Signal] = [
            window.alert(self.name, "model", str(columns[KEY][row]), _UNLISTED, None, 1, evidence)
            for row in new.tolist()
        ]
        return columns | {"chosen": chosen, "unlisted": unlisted}, signals

    def _test(
        self, columns: KeyedColumns, window: Window, declared: DeclaredShares
    ) -> tuple[KeyedColumns, list[Signal]]:
        log_e = _factors(columns)
        joint = columns[KEY] == _JOINT
        votes = _group_votes(columns)
        columns["more"] = np.where(columns["level"] > 0, columns["more"], columns["chosen"] > votes * columns["theta"])
        signals: list[Signal] = []
        after = {name: columns[name].copy() for name in alert_policy.NO_ALERT}
        for rows in (np.flatnonzero(joint), np.flatnonzero(~joint & (columns["theta"] > 0))):
            before = {name: columns[name][rows] for name in alert_policy.NO_ALERT}
            decision = alert_policy.decide_alerts(log_e[rows], before, alarms=ALPHA, share=ALPHA, quiet_for=_QUIET_FOR)
            for name, values in decision.columns.items():
                after[name][rows] = values
            signals += [
                self._alert(columns | after, i, int(log_e[i]), votes, window, declared)
                for i in rows[decision.raised].tolist()
            ]
            for i in rows[decision.cleared].tolist():
                _, subject, direction = _subject(columns, i)
                signals.append(ClearedSignal(self.name, subject, direction, window.end, "a day without evidence"))
        return columns | after, signals

    def _alert(
        self, columns: KeyedColumns, i: int, log_e: int, votes: Float64, window: Window, declared: DeclaredShares
    ) -> AlertSignal:
        kind, subject, direction = _subject(columns, i)
        chosen, theta = int(columns["chosen"][i]), float(columns["theta"][i])
        if kind == "board":
            what = f"{columns['chosen'].sum()} votes (one side of each) do not fit {declared.source}"
        else:
            what = f"{chosen} of {votes[i]:.0f} votes (one side of each), {votes[i] * theta:.0f} by {declared.source}"
        evidence = {
            "what": what,
            "window": [max(declared.since, 0), window.end],
            "votes": int(votes[i]) if kind == "model" else int(columns["chosen"].sum()),
            **({"seen": chosen, "declared": round(theta, 6)} if kind == "model" else {}),
        }
        e_value, level = from_log_units(min(log_e, MAX_LOG_M)), int(columns["level"][i])
        return window.alert(self.name, kind, subject, direction, e_value, level, evidence)


def _with_other(columns: KeyedColumns, given: Mapping[str, float]) -> KeyedColumns:
    """Fill in missing shares by the other rule, from `given` or else from the shares by the usual rule."""
    theta = columns["theta"]
    other = columns.get("other", np.zeros(len(theta)))
    missing = (theta > 0) & (other == 0)
    known = [given.get(key, share) for key, share in zip(columns[KEY].tolist(), theta.tolist(), strict=True)]
    return columns | {"other": np.where(missing, known, other)}


def _counts(window: Window) -> tuple[Sequence[str], Int64, Int64]:
    """Return a window's models, the number of battles or votes with each, and how many a hash counts for the model."""
    if window.issued is None:
        return window.models, window.totals[:, _APPEARANCES], window.totals[:, _CHOSEN]
    names = sorted(window.issued.appearances)
    counts = [[given.get(name, 0) for name in names] for given in (window.issued.appearances, window.issued.chosen)]
    appearances, chosen = np.array(counts, dtype=np.int64).reshape(2, -1)
    return names, appearances, chosen


def _subject(columns: KeyedColumns, i: int) -> tuple[SubjectKind, str, str]:
    key = str(columns[KEY][i])
    if key == _JOINT:
        return "board", "board", _SKEWED
    return "model", key, _MORE if columns["more"][i] else _LESS


def _group_votes(columns: KeyedColumns) -> Float64:
    """Return float64, for each key the number of votes of all keys with the same `group`."""
    groups = np.bincount(columns["group"], weights=columns["chosen"])
    return np.asarray(groups[columns["group"]])


def _bounds(columns: KeyedColumns, rows: Bool, votes: Float64) -> tuple[Float64, Float64] | None:
    """Return the least and the largest tolerated share of each model of a group.

    Args:
        columns: the state, one row for each of k keys.
        rows: bool[k], true for the m models of the group.
        votes: float64[k], number of counted votes in the group of each key.

    Returns:
        Two arrays, float64[m] each; None if the declared shares must be met exactly.
    """
    if columns["exact"].any():
        return None
    theta, other = columns["theta"][rows], columns["other"][rows]
    factor = tolerance(columns["chosen"][rows], votes[rows], theta)
    return np.minimum(theta, other) * (1 - factor), np.minimum(np.maximum(theta, other) * (1 + factor), 1 - 1e-9)


def _factors(columns: KeyedColumns) -> Int64:
    """Return ln e of each model and of all models jointly: the product over this policy and all earlier ones."""
    theta, chosen, votes = columns["theta"], columns["chosen"], _group_votes(columns)
    log_e = columns["closed"].copy()
    k = bayes_factors.CONCENTRATION if columns["exact"].any() else _K
    listed = theta > 0
    joint = columns[KEY] == _JOINT
    for group in np.unique(columns["group"][listed]):
        rows = listed & (columns["group"] == group)
        bounds = _bounds(columns, rows, votes)
        log_e[rows] += bayes_factors.beta_binomial(chosen[rows], votes[rows], theta[rows], k, bounds)
        log_e[joint] += bayes_factors.dirichlet_multinomial(chosen[rows], theta[rows], k, bounds)
    return np.maximum(log_e, LOG_ZERO)
