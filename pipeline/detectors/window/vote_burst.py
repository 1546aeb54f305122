"""`vote_burst`: does one model, provider or network get more of the board's votes than its share?

Formula: the share given the board's total. x of the n votes of a five-minute window hold the model:
x | n ~ Bin(n, π), with π from the sampling policy in force, so a release that the policy announces is quiet however
many votes it brings. For a provider, x counts votes whose randomly chosen side (bit 0 of SHA-256(vote_id)) is one of
its models. Shiryaev-Roberts over ρ ∈ {1.25, 1.5, 2, 3, 5}: M ← (M + 1) L_ρ, equally weighted. Networks, and models
of a board without a policy, have no declared share: theirs is learned from windows in which nothing was told of them,
by hour of the day, and taken at its upper bound π⁺ = π̂ + 2 SE; as it varies from hour to hour, x is held against a
negative binomial whose spread is learned too. A network is expected to bring at least 1% of the votes.

Source: Shin, Ramdas & Rinaldo 2024, "E-detectors"; e-BH over all keys, Wang & Ramdas 2022.

Blind spot: a rise below a quarter; the first day and 2,000 votes of whatever has to be learned; windows in which the
policy changes and the one after; a network's burst below 1.25% of the board's votes; many small networks at once. A
board that samples otherwise than it declares alarms here as in `sampling_skew`.

False alarms: at most the operator's number a month (default 1), over all keys; proved for models and providers under
a policy, measured for what is learned: see `integrity bench evidence`.

>>> from pipeline.lab.simulate.simulated_board import SimulatedBoard, WindowEffect
>>> attack = WindowEffect(first=300, end=320, sampling={"m003": 3.0})
>>> board = SimulatedBoard(days=1.2, votes=60, seed=4, effects=[attack])
>>> detector, state, alarms = VoteBurst(), {}, []
>>> for number, window in enumerate(board.windows()):
...     state, said = detector.observe(window, state, board.context(number))
...     alarms += [(number, one.subject_kind, one.subject) for one in said if isinstance(one, AlertSignal)]
>>> alarms[0]
(307, 'model', 'm003')
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.evidence import LOG_UNIT, alert_policy, count_likelihoods, keyed_state
from pipeline.evidence.e_detectors import LOG_ZERO, log_mixture, shiryaev_roberts
from pipeline.evidence.fixed_point import from_log_units
from pipeline.scoring.detector_contracts import WindowContext, WindowState
from pipeline.scoring.signals import NO_PARTITION, AlertSignal, ClearedSignal, Signal
from pipeline.scoring.window import MEASURES, Window
from pipeline.vocabulary.arrays import Bool, Float64, Int64
from pipeline.vocabulary.time import HOUR

_RATIOS = np.array(count_likelihoods.RISE_RATIOS)
_WEIGHTS = np.full(len(_RATIOS), 1 / len(_RATIOS))
_SIDE = " (one side of each battle)"
_APPEARANCES, _CHOSEN = MEASURES.index("appearances"), MEASURES.index("chosen")

# What is learned is judged after a day and so many votes; it loses half of its weight in two weeks.
_LEAST_WINDOWS, _LEAST_VOTES = 288, 2_000
_KEPT = 0.5 ** (1 / (14 * 288))
# Votes of the overall share that are mixed into that of an hour of the day.
_SHRINK = 500.0
# A network that brings less than this is expected to bring this: one busy voter of a small one is no burst.
_LEAST_NETWORK = 0.01
_MOST_NETWORKS = 1_000
# Shares vary at least so much (k at most 2,000) and at most so much (k at least 20).
_SPREAD = (1 / 2_000, 1 / 20)
# An hour of quiet ends an alert; one that has stood for a week is the new normal and is learned.
_QUIET_FOR, _NEW_NORMAL = 12, 7 * 288
# Below M = 50 there is nothing to explain: what was seen is counted anew.
_IDLE = int(np.log(50.0) / LOG_UNIT)

_BLANK: dict[str, Any] = {
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
    """The detector; see the module for formula, source, blind spot and false-alarm rate."""

    name = "vote_burst"

    def observe(self, window: Window, state: WindowState, context: WindowContext) -> tuple[WindowState, list[Signal]]:
        """See `WindowDetector`. Cost: a few vector operations on some hundred keys."""
        if not window.accepted:
            return state, []
        hour = int(window.start // HOUR % 24)
        board = state.get("board", np.zeros(24)) * _KEPT
        spread = state.get("spread", np.zeros((3, 2))) * _KEPT
        seen = _seen(window, context)
        columns = {name: values for name, values in state.items() if name not in ("board", "spread")}
        columns, _ = keyed_state.add_keys(
            columns, [key for key in seen if key[0] == "n"], _BLANK | {"kind": 2, "seen": board}
        )
        columns, _ = keyed_state.add_keys(columns, [key for key in seen if key[0] == "p"], _BLANK | {"kind": 1})
        columns, rows = keyed_state.add_keys(columns, seen, _BLANK)
        kind = columns["kind"]
        count, share = np.zeros(len(kind)), np.full(len(kind), np.nan)
        count[rows], share[rows] = np.array(list(seen.values())).reshape(-1, 2).T
        learned, expected = _learned(columns, hour, kind, spread)
        judged = np.where(np.isnan(share), np.isfinite(learned), share > 0) & (context.steady | (kind == 2))
        ratio = _ratios(count, window.accepted, share, learned, spread[kind], judged)
        columns["log_m"] = np.where(judged[:, None], shiryaev_roberts(columns["log_m"], ratio), columns["log_m"])
        mixed = log_mixture(columns["log_m"], _WEIGHTS)
        decision = alert_policy.decide_alerts(
            alert_policy.log_e_over_horizon(mixed, alert_policy.WINDOWS_PER_MONTH),
            columns,
            alarms=context.false_alarms,
            share=context.false_share,
            quiet_for=_QUIET_FOR,
            stepped=judged,
        )
        columns |= decision.columns
        fair = np.where(np.isnan(share), learned, share) * window.accepted
        _sum_up(columns, count, np.nan_to_num(fair), mixed, window.start)
        said = self._said(window, columns, decision, mixed, count, fair)
        _learn(columns, count, window.accepted, hour)
        spread = _spread(spread, count, window.accepted, expected, kind, columns["level"] == 0)
        board[hour] += window.accepted
        return {**_pruned(columns, kind), "board": board, "spread": spread}, said

    def _said(
        self,
        window: Window,
        columns: keyed_state.KeyedColumns,
        decision: alert_policy.AlertDecision,
        mixed: Int64,
        count: Float64,
        fair: Float64,
    ) -> list[Signal]:
        said: list[Signal] = []
        for i in decision.raised.tolist():
            kind, _, subject = str(columns[keyed_state.KEY][i]).partition(":")
            level = int(columns["level"][i])
            said.append(
                AlertSignal(
                    self.name, kind, subject, "more than its share", "critical" if level > 1 else "warning",  # type: ignore[arg-type]
                    from_log_units(int(alert_policy.log_e_over_horizon(mixed[i], alert_policy.WINDOWS_PER_MONTH))),
                    level,
                    NO_PARTITION, window.start, window.end,
                    {
                        "what": f"{columns['seen_since'][i]:.0f} votes{_SIDE if kind == 'provider' else ''} where "
                        f"{columns['expected_since'][i]:.1f} are expected, in the last five minutes {count[i]:.0f} of "
                        f"{window.accepted} where {fair[i]:.1f} are",
                        "window": [int(columns["since"][i]), window.end],
                        "votes": int(columns["seen_since"][i]),
                        "expected": round(float(columns["expected_since"][i]), 1),
                    },
                )
            )  # fmt: skip
        for i in decision.cleared.tolist():
            subject = str(columns[keyed_state.KEY][i]).partition(":")[2]
            said.append(
                ClearedSignal(self.name, subject, "more than its share", window.end, "its share was normal for an hour")
            )
        return said


def _seen(window: Window, context: WindowContext) -> dict[str, list[float]]:
    """Keys with their counts of this window, and their declared shares (NaN where nothing is declared)."""
    policy = context.registry.policy
    declared = policy.appearance if policy else {}
    nothing = 0.0 if declared else np.nan
    chosen = dict(zip(window.models, window.totals[:, _CHOSEN].tolist(), strict=True))
    found = {f"model:{name}": [0.0, share] for name, share in declared.items()}
    for name, votes in zip(window.models, window.totals[:, _APPEARANCES].tolist(), strict=True):
        found[f"model:{name}"] = [votes, declared.get(name, nothing)]
    for name in sorted(chosen.keys() | declared.keys()):
        provider = context.registry.provider(name)
        if provider:
            one = found.setdefault(f"provider:{provider}", [0.0, nothing])
            one[0] += chosen.get(name, 0)
            one[1] += declared.get(name, nothing) / 2
    return found | {f"network:{network}": [votes, np.nan] for network, votes in window.votes_of.items()}


def _sum_up(columns: keyed_state.KeyedColumns, x: Float64, fair: Float64, mixed: Int64, start: int) -> None:
    """Keep what was seen since the evidence last was nothing, for people to read."""
    begins = (columns["seen_since"] == 0) | (mixed < _IDLE)
    columns["since"] = np.where(begins, start, columns["since"])
    for name, more in (("seen_since", x), ("expected_since", fair)):
        columns[name] = np.where(begins, 0, columns[name]) + more


def _learned(columns: keyed_state.KeyedColumns, hour: int, kind: Int64, spread: Float64) -> tuple[Float64, Float64]:
    """π⁺ of every key at this hour, NaN where it cannot be judged yet, and π̂ itself."""
    hits, seen = columns["hits"], columns["seen"]
    total = seen.sum(axis=1)
    overall = hits.sum(axis=1) / np.maximum(total, 1)
    weight = np.maximum(seen[:, hour] + _SHRINK, 1)
    share = (hits[:, hour] + _SHRINK * overall) / weight
    windows = np.maximum(columns["windows"], 1)
    inflation = 1 + total / windows * _concentration(spread)[kind]
    error = np.sqrt((share * weight + 1) * inflation) / weight
    upper = np.minimum(share + 2 * error, 0.95)
    upper = np.where(kind == 2, np.maximum(upper, _LEAST_NETWORK), upper)
    ready = (columns["windows"] >= _LEAST_WINDOWS) & (total >= _LEAST_VOTES)
    ready |= (kind == 2) & (total >= _LEAST_VOTES)  # a network never met before is as surprising as it looks
    return np.where(ready, upper, np.nan), share


def _concentration(spread: Float64) -> Float64:
    """1/k of each kind: the mean of ((x − nπ)²/(nπ) − 1)/n over keys and windows."""
    return np.clip(spread[..., 0] / np.maximum(spread[..., 1], 1), *_SPREAD)


def _ratios(x: Float64, n: int, declared: Float64, learned: Float64, spread: Float64, judged: Bool) -> Int64:
    """The logarithm of L_ρ of each key, int64[k, 5]."""
    fixed = judged & ~np.isnan(declared)
    loose = judged & np.isnan(declared)
    ratio = np.zeros((len(x), len(_RATIOS)), dtype=np.int64)
    share = np.minimum(declared[fixed], 0.95)
    ratio[fixed] = count_likelihoods.binomial(x[fixed, None], n, share[:, None], _RATIOS)
    k = 1 / _concentration(spread[loose])
    ratio[loose] = count_likelihoods.overdispersed_binomial(
        x[loose, None], n, learned[loose, None], _RATIOS, k[:, None]
    )
    return ratio


def _learn(columns: keyed_state.KeyedColumns, x: Float64, n: int, hour: int) -> None:
    """Take the window into the shares of keys that nothing stands against."""
    told = columns["level"] > 0
    columns["stood"] = np.where(told, columns["stood"] + 1, 0)
    learns = ~told | (columns["stood"] > _NEW_NORMAL)
    for name, more in (("hits", x), ("seen", np.full(len(x), n))):
        kept = columns[name] * _KEPT
        kept[:, hour] += np.where(learns, more, 0)
        columns[name] = kept
    columns["windows"] = columns["windows"] + learns


def _spread(spread: Float64, x: Float64, n: int, share: Float64, kind: Int64, quiet: Bool) -> Float64:
    """Sums of (x − nπ̂)²/(nπ̂) − 1 and of n, for each kind, over keys that expect at least one vote."""
    after = spread.copy()
    for one in range(3):
        rows = quiet & (kind == one) & (share * n >= 1)
        if rows.any():
            mean = share[rows] * n
            after[one] += ((x[rows] - mean) ** 2 / mean - 1).sum(), n * rows.sum()
    return after


def _pruned(columns: keyed_state.KeyedColumns, kind: Int64) -> keyed_state.KeyedColumns:
    """Without the networks that bring least, where there are too many; what they had was near nothing."""
    networks = np.flatnonzero(kind == 2)
    if len(networks) <= _MOST_NETWORKS:
        return columns
    weight = columns["hits"][networks].sum(axis=1) + np.where(columns["level"][networks] > 0, 1e18, 0)
    dropped = networks[np.argsort(-weight, kind="stable")[_MOST_NETWORKS:]]
    kept = np.ones(len(kind), dtype=np.bool_)
    kept[dropped] = False
    return keyed_state.take_rows(columns, kept)
