"""`vote_burst`: detects that one model, provider or network gets more than its share of the board's votes.

Formula: x of the n votes of a five-minute window include the model. Null hypothesis: x ~ Bin(n, π) given n. π is the
larger of the two declared shares that `sampling_bounds` computes from the sampling policy in force, times 1.15. The
factor allows for voters who complete battles with some models more often than with others. So a release that the policy
declares raises no alert, however many votes it attracts. For a provider, one side of each vote is chosen by bit 0 of
SHA-256(vote_id), and x is the number of votes whose chosen side is a model of the provider. L_ρ is the likelihood ratio
of a share ρ times as large. The evidence is the equally weighted mixture over ρ ∈ {1.25, 1.5, 2, 3, 5} of the
Shiryaev-Roberts e-detectors M ← (M + 1) L_ρ.

For a network, x and n are numbers of sittings that begin in the window (`scoring.sittings`): a voter's votes without a
pause of half an hour count once, since they are not independent. For a model, every vote counts: models are drawn anew.

Networks have no declared share, and neither have the models of a board without a policy. Their share is learned for
each hour of the day, from windows without an alert about them. The upper bound π⁺ = π̂ + 2 SE takes the place of π. A
learned share varies from hour to hour, so x is then taken as negative binomial, with a variance that is learned too.
The share of a network is taken as at least 1%.

Source: Shin, Ramdas & Rinaldo 2024, "E-detectors"; e-BH over all keys, Wang & Ramdas 2022.

Blind spot: a rise of less than a quarter; a network's burst below 1.25% of the board's votes; many small networks at
once. A learned share is not used in its first day or its first 2,000 votes. A window in which the policy changes is
skipped, and so is the next one. If a board does not sample as declared, `sampling_skew` raises alerts too.

False alarms: at most the number per month that the operator tolerates (default 1), over all keys. This is proved for
models and providers under a policy, and measured for learned shares (`integrity bench evidence`).

>>> from pipeline.registry import PolicyInForce, RegisteredModel, RegistryState
>>> from pipeline.scoring.window import GroupedModelCounts
>>> names, width = tuple("abcdefgh"), 300_000_000
>>> registry = RegistryState({n: RegisteredModel(n) for n in names}, {}, PolicyInForce(0, dict.fromkeys(names, 1.0)))
>>> votes = np.zeros((8, len(MEASURES)), int)
>>> votes[:, _APPEARANCES] = (20, *[9] * 4, 8, 8, 8)  # of 40 battles; ten each are declared
>>> nothing = GroupedModelCounts((), (), votes[:0])
>>> detector, state, alarms = VoteBurst(), {}, []
>>> for k in range(20):
...     window = Window(k * width, (k + 1) * width, 40, 0, names, votes, nothing, nothing, nothing, {})
...     state, signals = detector.observe(window, state, WindowContext(registry))
...     alarms += [(k, one.subject_kind, one.subject) for one in signals]
>>> alarms[0]
(3, 'model', 'a')
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.detectors.window.learned_shares import KEPT, concentration, learn_shares, learn_spread, learned_shares
from pipeline.detectors.window.sampling_bounds import TOLERANCE, other_rule
from pipeline.evidence import LOG_UNIT, alert_policy, count_likelihoods
from pipeline.evidence.e_detectors import LOG_ZERO, log_mixture, shiryaev_roberts
from pipeline.evidence.fixed_point import from_log_units
from pipeline.evidence.keyed_state import KEY, KeyedColumns, add_keys, take_rows
from pipeline.scoring.detector_contracts import WindowContext, WindowState
from pipeline.scoring.signals import ClearedSignal, Signal
from pipeline.scoring.window import MEASURES, Window
from pipeline.vocabulary.arrays import Bool, Float64, Int64
from pipeline.vocabulary.time import HOUR

_RATIOS = np.array(count_likelihoods.RISE_RATIOS)
_WEIGHTS = np.full(len(_RATIOS), 1 / len(_RATIOS))
_COUNTED = {"model": "votes", "provider": "votes (one side of each battle)", "network": "sittings"}
_OF_BOARD = ("board", "spread", "sittings")
_DIRECTION = "more than its share"
_APPEARANCES, _CHOSEN = MEASURES.index("appearances"), MEASURES.index("chosen")

_MOST_NETWORKS = 1_000
# Windows: an hour of quiet ends an alert.
_QUIET_FOR = 12
# Below M = 50 the counts shown to people restart.
_IDLE = int(np.log(50.0) / LOG_UNIT)

_NEW_KEY: dict[str, Any] = {
    **alert_policy.NO_ALERT,
    "kind": 0,
    "log_m": np.full(len(_RATIOS), LOG_ZERO, dtype=np.int64),
    "hits": np.zeros(24),
    "seen": np.zeros(24),
    "windows": np.int64(0),
    "stood": np.int64(0),
    "seen_since": 0.0,
    "expected_since": 0.0,
    "since": np.int64(0),
}


@dataclass(frozen=True)
class VoteBurst:
    """Detects that a model, provider or network gets more than its share of the votes (see the module docstring)."""

    name = "vote_burst"

    def observe(self, window: Window, state: WindowState, context: WindowContext) -> tuple[WindowState, list[Signal]]:
        """Return the state of the detector after the next window, and the signals about bursts in this window.

        `state` is the state after the previous window; `context` has the registry and the settings. A window without
        accepted votes changes nothing. Cost: a few vector operations on some hundred keys.
        """
        if not window.accepted:
            return state, []
        state, ended = (state, []) if "sittings" in state else self._without_networks(state, window)
        hour = int(window.start // HOUR % 24)
        arrivals, from_networks = window.arrivals_by_network()
        board = state.get("board", np.zeros(24)) * KEPT
        spread = state.get("spread", np.zeros((3, 2))) * KEPT
        counted = _counts_and_shares(window, context) | {
            f"network:{network}": [number, np.nan] for network, number in from_networks.items()
        }
        columns = {name: values for name, values in state.items() if name not in _OF_BOARD}
        columns, _ = add_keys(columns, [key for key in counted if key[0] == "n"], _NEW_KEY | {"kind": 2, "seen": board})
        columns, _ = add_keys(columns, [key for key in counted if key[0] == "p"], _NEW_KEY | {"kind": 1})
        columns, rows = add_keys(columns, counted, _NEW_KEY)
        kind = columns["kind"]
        count, share = np.zeros(len(kind)), np.full(len(kind), np.nan)
        count[rows], share[rows] = np.array(list(counted.values())).reshape(-1, 2).T
        total = np.where(kind == 2, arrivals, window.accepted)
        learned, estimated = learned_shares(columns, hour, kind, spread)
        tested = np.where(np.isnan(share), np.isfinite(learned), share > 0) & (context.steady | (kind == 2))
        tested &= total > 0
        ratio = _ratios(count, total, share, learned, spread[kind], tested)
        columns["log_m"] = np.where(tested[:, None], shiryaev_roberts(columns["log_m"], ratio), columns["log_m"])
        mixed = log_mixture(columns["log_m"], _WEIGHTS)
        log_e = alert_policy.log_e_over_horizon(mixed, alert_policy.WINDOWS_PER_MONTH)
        decision = alert_policy.decide_alerts(
            log_e,
            columns,
            alarms=context.false_alarms,
            share=context.false_share,
            quiet_for=_QUIET_FOR,
            stepped=tested,
        )
        columns |= decision.columns
        expected = np.where(np.isnan(share), learned, share) * total
        _add_to_episode(columns, count, np.nan_to_num(expected), mixed, window.start)
        signals = self._signals(window, columns, decision, log_e, count, expected, total)
        learn_shares(columns, count, total, hour)
        spread = learn_spread(spread, count, total, estimated, kind, columns["level"] == 0)
        board[hour] += arrivals
        return {**_pruned(columns, kind), "board": board, "spread": spread, "sittings": np.ones(1)}, ended + signals

    def _without_networks(self, state: WindowState, window: Window) -> tuple[KeyedColumns, list[Signal]]:
        """Convert a state of an early version, which learned the shares of networks from votes and not from sittings.

        Returns:
            Two values: the state without the rows of networks and without the columns of the whole board (_OF_BOARD),
            which are learned anew; and a signal that ends the alert, for each network with an open alert.
        """
        columns = {name: values for name, values in state.items() if name not in _OF_BOARD}
        if "kind" not in columns:
            return {}, []
        reason = "the sittings of networks are learned anew"
        ended: list[Signal] = [
            ClearedSignal(self.name, str(key).partition(":")[2], _DIRECTION, window.start, reason)
            for key in columns[KEY][(columns["kind"] == 2) & (columns["level"] > 0)].tolist()
        ]
        return take_rows(columns, columns["kind"] != 2), ended

    def _signals(
        self,
        window: Window,
        columns: KeyedColumns,
        decision: alert_policy.AlertDecision,
        log_e: Int64,
        count: Float64,
        expected: Float64,
        total: Int64,
    ) -> list[Signal]:
        signals: list[Signal] = []
        for i in decision.raised.tolist():
            kind, _, subject = str(columns[KEY][i]).partition(":")
            evidence = {
                "what": f"{columns['seen_since'][i]:.0f} {_COUNTED[kind]} where {columns['expected_since'][i]:.1f} are "
                f"expected, in the last five minutes {count[i]:.0f} of {total[i]} where {expected[i]:.1f} are",
                "window": [int(columns["since"][i]), window.end],
                "votes": int(columns["seen_since"][i]),
                "expected": round(float(columns["expected_since"][i]), 1),
            }
            e_value, level = from_log_units(int(log_e[i])), int(columns["level"][i])
            signals.append(window.alert(self.name, kind, subject, _DIRECTION, e_value, level, evidence))  # type: ignore[arg-type]
        for i in decision.cleared.tolist():
            subject = str(columns[KEY][i]).partition(":")[2]
            signals.append(
                ClearedSignal(self.name, subject, _DIRECTION, window.end, "its share was normal for an hour")
            )
        return signals


def _counts_and_shares(window: Window, context: WindowContext) -> dict[str, list[float]]:
    """Return each key's count in this window and its declared share (NaN if none is declared)."""
    declared = _declared_shares(context)
    undeclared = 0.0 if declared else np.nan
    chosen = dict(zip(window.models, window.totals[:, _CHOSEN].tolist(), strict=True))
    found = {f"model:{name}": [0.0, share] for name, share in declared.items()}
    for name, votes in zip(window.models, window.totals[:, _APPEARANCES].tolist(), strict=True):
        found[f"model:{name}"] = [votes, declared.get(name, undeclared)]
    for name in sorted(chosen.keys() | declared.keys()):
        provider = context.registry.provider_of(name)
        if provider:
            one = found.setdefault(f"provider:{provider}", [0.0, undeclared])
            one[0] += chosen.get(name, 0)
            one[1] += declared.get(name, undeclared) / 2
    return found


def _declared_shares(context: WindowContext) -> dict[str, float]:
    """Return for each model the largest share of the votes that sampling by the policy in force explains."""
    policy = context.registry.policy
    drawn = {model: share for model, share in policy.appearance.items() if share > 0} if policy else {}
    if not policy or not drawn:
        return {}
    usual = np.array(list(drawn.values()))
    most = np.maximum(usual, other_rule(drawn, policy.weights, context.registry)) * (1 + TOLERANCE)
    shares = dict(zip(drawn, np.minimum(most, 1.0).tolist(), strict=True))
    return {model: shares.get(model, 0.0) for model in policy.appearance}


def _add_to_episode(columns: KeyedColumns, x: Float64, expected: Float64, mixed: Int64, start: int) -> None:
    """Add a window's votes to the counts that alerts show. The counts of a key restart if its evidence is near zero.

    Args:
        columns: the state, one row for each of m keys; changed in place.
        x, expected: float64[m], actual and expected number of votes in the window.
        mixed: int64[m], logarithm of the evidence after the window, in units of 2⁻²⁰ nats.
        start: start of the window in microseconds since 1970 UTC.
    """
    begins = (columns["seen_since"] == 0) | (mixed < _IDLE)
    columns["since"] = np.where(begins, start, columns["since"])
    for name, more in (("seen_since", x), ("expected_since", expected)):
        columns[name] = np.where(begins, 0, columns[name]) + more


def _ratios(x: Float64, n: Int64, declared: Float64, learned: Float64, spread: Float64, tested: Bool) -> Int64:
    """Return int64[k, 5], ln L_ρ of each of k keys for the five ρ of the module docstring, in units of 2⁻²⁰ nats.

    Args:
        x: float64[k], count of each key in the window.
        n: int64[k], number of votes (of sittings, for a network) of which `x` is a part.
        declared: float64[k], declared share; NaN if none is declared.
        learned: float64[k], learned upper bound of the share, used where none is declared.
        spread: float64[k, 2], the sums in `spread` of the key's kind.
        tested: bool[k], keys that are tested. The others get 0.
    """
    fixed = tested & ~np.isnan(declared)
    loose = tested & np.isnan(declared)
    ratio = np.zeros((len(x), len(_RATIOS)), dtype=np.int64)
    share = np.minimum(declared[fixed], 0.95)
    ratio[fixed] = count_likelihoods.binomial(x[fixed, None], n[fixed, None], share[:, None], _RATIOS)
    k = 1 / concentration(spread[loose])
    ratio[loose] = count_likelihoods.overdispersed_binomial(
        x[loose, None], n[loose, None], learned[loose, None], _RATIOS, k[:, None]
    )
    return ratio


def _pruned(columns: KeyedColumns, kind: Int64) -> KeyedColumns:
    """Drop the networks with the fewest votes if there are too many. Networks with an open alert are kept."""
    networks = np.flatnonzero(kind == 2)
    if len(networks) <= _MOST_NETWORKS:
        return columns
    weight = columns["hits"][networks].sum(axis=1) + np.where(columns["level"][networks] > 0, 1e18, 0)
    dropped = networks[np.argsort(-weight, kind="stable")[_MOST_NETWORKS:]]
    kept = np.ones(len(kind), dtype=np.bool_)
    kept[dropped] = False
    return take_rows(columns, kept)
