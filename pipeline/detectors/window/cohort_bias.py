"""`cohort_bias`: detects new accounts, a network, or votes under one prompt that favour or disfavour a model.

An attacker with many accounts and a few votes from each is not visible in a single account. The attack is visible in a
cohort, which here means all new accounts, all voters of one network, or all votes under one prompt.

Formula: in a window a cohort has n votes on a model. W of them are won, and the snapshot in force expects Σp wins. The
null hypothesis is the least favourable honest cohort, whose logits lie b above the snapshot's. Let p̄⁺ be the mean of p
after its logit is raised by b. The likelihood ratio is L_δ = e^(δW) / (1 + p̄⁺(e^δ − 1))^n for δ ∈ {0.4, 0.8, 1.6, 3}
(`pipeline.evidence.count_likelihoods.shifted_logit`). For each δ, a Shiryaev-Roberts e-detector M ← (M + 1) L_δ takes
one step per window, and the evidence is the equally weighted mixture of these e-detectors. Evidence that the cohort
demotes the model is computed in the same way from losses.

b is the sum of three numbers: how far the comparison votes on the model are above the snapshot (learned from earlier
windows), two standard errors of this distance, and a band:

    cohort         comparison votes                    band
    new accounts   votes of all other accounts         0.1
    a network      all votes                           0.5
    a prompt       all votes                           1

So a model that really changed raises no alert, since the change shows in the comparison votes too. Evidence about a
network or a prompt starts in its first window with two votes on the model. The 1,000 keys with the most evidence are
kept.

Source: Shin, Ramdas & Rinaldo 2024, "E-detectors"; the cohort, Min et al. 2025 ("Improving your model ranking on
Chatbot Arena by vote rigging").

Blind spot: attackers who have old accounts on many networks and use different prompts; a bias of a tenth of a logit;
models that the snapshot lacks; votes before the first snapshot. The detector cannot tell attackers' votes from honest
votes of the cohort, and a rival may have cast them to discredit the model. So only a person excludes a cohort's votes.

False alarms: at most the number per month that the operator tolerates (default 1), while honest cohorts differ by no
more than the bands. Half of that number is for new accounts, a quarter for networks and a quarter for prompts. Measured
by `integrity bench evidence`.

>>> from pipeline.registry import RegistryState
>>> def votes(won, lost):  # of a model that is expected to win half of them
...     row = np.zeros((1, len(MEASURES)), int)
...     row[0, [_EVALUATED, *_WON, *_EXPECTED]] = won + lost, won, lost, *[(won + lost) * 512] * 2
...     return row
>>> nothing, width = GroupedModelCounts((), (), votes(0, 0)[:0]), 300_000_000
>>> detector, state, alarms = CohortBias(), {}, []
>>> for k in range(600):
...     new = (5, 5) if k < 500 else (9, 1)  # new accounts: an attack from window 500 on
...     rows = np.concatenate([votes(10, 10), votes(*new)])
...     cohorts = GroupedModelCounts(("established", "new"), ("m", "m"), rows)
...     total = rows.sum(axis=0, keepdims=True)
...     window = Window(k * width, (k + 1) * width, 30, 0, ("m",), total, cohorts, nothing, nothing, {})
...     state, signals = detector.observe(window, state, WindowContext(RegistryState()))
...     alarms += [(k, one.subject, one.direction) for one in signals]
>>> alarms[0]
(503, 'm', 'promoted by new accounts')
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.evidence import EXPECTED_UNIT, alert_policy, count_likelihoods, to_log_units
from pipeline.evidence.e_detectors import LOG_ZERO, log_mixture, shiryaev_roberts
from pipeline.evidence.fixed_point import from_log_units
from pipeline.evidence.keyed_state import KEY, KeyedColumns, add_keys, take_rows
from pipeline.scoring.detector_contracts import WindowContext, WindowState
from pipeline.scoring.signals import ClearedSignal, Signal
from pipeline.scoring.window import MEASURES, GroupedModelCounts, Window
from pipeline.vocabulary.arrays import Float64, Int64

_SHIFTS = np.array([0.4, 0.8, 1.6, 3.0])
_WEIGHTS = np.full(len(_SHIFTS), 1 / len(_SHIFTS))
_VERBS = ("promoted", "demoted")
_WON = (MEASURES.index("evaluated_wins"), MEASURES.index("evaluated_losses"))
_EXPECTED = (MEASURES.index("expected_wins"), MEASURES.index("expected_losses"))
_EVALUATED = MEASURES.index("evaluated")

# Per kind: band in logits, share of the false alarms, fewest votes in a window that start a key.
_KINDS: dict[str, tuple[float, float, int]] = {
    "new": (0.1, 0.5, 1),
    "network": (0.5, 0.25, 2),
    "prompt": (1.0, 0.25, 2),
}
_MAX_KEYS = 1_000
# The baseline loses half of its weight in a fortnight and begins with 20 votes as expected.
_KEPT = 0.5 ** (1 / (14 * 288))
_PRIOR = 20.0
_QUIET_FOR = 12
# Below M = 50 the counts shown to people restart.
_IDLE = to_log_units(np.log(np.array([50.0])))[0]
_SEPARATOR = "\x1f"

_NEW_KEY: dict[str, Any] = {
    **alert_policy.NO_ALERT,
    "log_m": np.full(len(_SHIFTS), LOG_ZERO, dtype=np.int64),
    "votes": 0.0,
    "won": 0.0,
    "expected": 0.0,
    "since": np.int64(0),
}
# Evaluated votes, then won and expected ones for each verb: of all accounts, and of all but new ones.
_NEW_MODEL: dict[str, Any] = {"all": np.zeros(5), "others": np.zeros(5)}


@dataclass(frozen=True)
class CohortBias:
    """The detector `cohort_bias`. The module docstring has formula, source, blind spot and false-alarm rate."""

    name = "cohort_bias"

    def observe(self, window: Window, state: WindowState, context: WindowContext) -> tuple[WindowState, list[Signal]]:
        """Return the state after a window, and the signals of the window. `WindowDetector.observe` has the arguments.

        Cost: a few vector operations on the cohorts that voted.
        """
        parts: dict[str, KeyedColumns] = {kind: {} for kind in ("base", *_KINDS)} | _split(state)
        base, rows = add_keys(parts["base"], window.models, _NEW_MODEL)
        cells = {"new": _only_new(window.cohorts), "network": window.networks, "prompt": window.prompts}
        signals: list[Signal] = []
        for kind, counted in cells.items():
            parts[kind], more = self._follow(kind, counted, parts[kind], base, window, context)
            signals += more
        parts["base"] = _learn(base, rows, window)
        return {f"{kind}.{name}": column for kind, part in parts.items() for name, column in part.items()}, signals

    def _follow(
        self,
        kind: str,
        cells: GroupedModelCounts,
        columns: KeyedColumns,
        base: KeyedColumns,
        window: Window,
        context: WindowContext,
    ) -> tuple[KeyedColumns, list[Signal]]:
        band, part, fewest = _KINDS[kind]
        keys, table = _pairs(cells, columns, fewest)
        if not keys and not len(columns.get("level", ())):
            return columns, []
        columns, rows = add_keys(columns, keys, _NEW_KEY)
        stepped = np.zeros(len(columns[KEY]), dtype=np.bool_)
        stepped[rows] = True
        columns = dict(columns)
        if len(keys):
            votes, won, expected = table.T
            shift = _upper_shift(keys, base, "others" if kind == "new" else "all")
            ratio = count_likelihoods.shifted_logit(
                won[:, None], votes[:, None], expected[:, None], _SHIFTS, np.maximum(shift + band, 0)[:, None]
            )
            log_m = columns["log_m"].copy()
            log_m[rows] = shiryaev_roberts(log_m[rows], ratio)
            columns["log_m"] = log_m
        mixed = log_mixture(columns["log_m"], _WEIGHTS)
        _add_to_episode(columns, rows, table, mixed, window.start)
        log_e = alert_policy.log_e_over_horizon(mixed, alert_policy.WINDOWS_PER_MONTH)
        decision = alert_policy.decide_alerts(
            log_e,
            columns,
            alarms=context.false_alarms * part,
            share=context.false_share,
            quiet_for=_QUIET_FOR,
        )
        columns |= decision.columns
        signals = self._signals(kind, columns, decision, log_e, window)
        return _pruned(columns, mixed), signals

    def _signals(
        self, kind: str, columns: KeyedColumns, decision: alert_policy.AlertDecision, log_e: Int64, window: Window
    ) -> list[Signal]:
        signals: list[Signal] = []
        for i in decision.raised.tolist():
            group, model, verb = str(columns[KEY][i]).split(_SEPARATOR)
            level, won = int(columns["level"][i]), "won" if verb == _VERBS[0] else "lost"
            source = {"new": "from new accounts", "network": f"from network {group}", "prompt": f"under prompt {group}"}
            evidence = {
                "what": f"of {columns['votes'][i]:.0f} votes on it {source[kind]} it {won} {columns['won'][i]:.0f}, "
                f"where {columns['expected'][i]:.1f} are expected",
                "window": [int(columns["since"][i]), window.end],
                "votes": int(columns["votes"][i]),
                won: int(columns["won"][i]),
                "expected": round(float(columns["expected"][i]), 1),
                kind if kind != "new" else "cohort": group,
            }
            e_value, direction = from_log_units(int(log_e[i])), _direction(kind, group, verb)
            signals.append(window.alert(self.name, "model", model, direction, e_value, level, evidence))
        for i in decision.cleared.tolist():
            group, model, verb = str(columns[KEY][i]).split(_SEPARATOR)
            direction, reason = _direction(kind, group, verb), "its votes were as expected since"
            signals.append(ClearedSignal(self.name, model, direction, window.end, reason))
        return signals


def _direction(kind: str, group: str, verb: str) -> str:
    by = {"new": "by new accounts", "network": f"by network {group}", "prompt": f"under prompt {group}"}
    return f"{verb} {by[kind]}"


def _split(state: WindowState) -> dict[str, KeyedColumns]:
    parts: dict[str, KeyedColumns] = {}
    for name, column in state.items():
        kind, _, rest = name.partition(".")
        parts.setdefault(kind, {})[rest] = column
    return parts


def _only_new(cells: GroupedModelCounts) -> GroupedModelCounts:
    rows = [i for i, group in enumerate(cells.group) if group == "new"]
    return GroupedModelCounts(tuple("new" for _ in rows), tuple(cells.model[i] for i in rows), cells.counts[rows])


def _pairs(cells: GroupedModelCounts, columns: KeyedColumns, fewest: int) -> tuple[list[str], Float64]:
    """Return the keys (group, model, verb); and for each: evaluated votes, wins (losses), expected wins (losses)."""
    known = set(columns[KEY].tolist()) if KEY in columns else set()
    keys: list[str] = []
    table: list[list[float]] = []
    evaluated = cells.counts[:, _EVALUATED].tolist()
    for i in np.flatnonzero(cells.counts[:, _EVALUATED]).tolist():
        stem = f"{cells.group[i]}{_SEPARATOR}{cells.model[i]}{_SEPARATOR}"
        if evaluated[i] < fewest and stem + _VERBS[0] not in known:
            continue
        for verb, won, expected in zip(_VERBS, _WON, _EXPECTED, strict=True):
            keys.append(stem + verb)
            table.append([evaluated[i], int(cells.counts[i, won]), int(cells.counts[i, expected]) * EXPECTED_UNIT])
    return keys, np.array(table, dtype=np.float64).reshape(-1, 3)


def _upper_shift(keys: list[str], base: KeyedColumns, against: str) -> Float64:
    """Return how far the other votes on each model lie above the snapshot, in logits, plus two standard errors."""
    place = {name: i for i, name in enumerate(base[KEY].tolist())}
    split = [key.split(_SEPARATOR) for key in keys]
    sums = base[against][[place[model] for _, model, _ in split]]
    verb = np.array([_VERBS.index(verb) for *_, verb in split])
    at = np.arange(len(keys))
    votes, won, expected = sums[:, 0], sums[at, 1 + 2 * verb], sums[at, 2 + 2 * verb]
    share = np.clip(np.divide(expected, votes, out=np.full(len(keys), 0.35), where=votes > 0), 0.01, 0.99)
    rate = np.clip((won + _PRIOR * share) / (votes + _PRIOR), 0.001, 0.999)
    error = 1 / np.sqrt((votes + _PRIOR) * share * (1 - share))
    return np.asarray(np.log(rate / (1 - rate)) - np.log(share / (1 - share)) + 2 * error)


def _learn(base: KeyedColumns, rows: Int64, window: Window) -> KeyedColumns:
    """Return the baseline with this window added."""
    measures = [_EVALUATED, _WON[0], _EXPECTED[0], _WON[1], _EXPECTED[1]]
    unit = np.array([1.0, 1.0, EXPECTED_UNIT, 1.0, EXPECTED_UNIT])
    learned = {name: values * _KEPT if name != KEY else values for name, values in base.items()}
    learned["all"][rows] += window.totals[:, measures] * unit
    place = dict(zip(window.models, rows.tolist(), strict=True))
    old = [i for i, group in enumerate(window.cohorts.group) if group != "new"]
    where = [place[window.cohorts.model[i]] for i in old]
    np.add.at(learned["others"], where, window.cohorts.counts[old][:, measures] * unit)
    return learned


def _add_to_episode(columns: KeyedColumns, rows: Int64, table: Float64, mixed: Int64, start: int) -> None:
    """Add to the counts since the evidence was last near zero, which the alert shows."""
    begin = (columns["votes"] == 0) | (mixed < _IDLE)
    for name, column in (("votes", 0), ("won", 1), ("expected", 2)):
        more = np.zeros(len(mixed))
        more[rows] = table[:, column]
        columns[name] = np.where(begin, 0, columns[name]) + more
    columns["since"] = np.where(begin, start, columns["since"])


def _pruned(columns: KeyedColumns, mixed: Int64) -> KeyedColumns:
    """Return the keys with most evidence. Dropping the others only loses evidence."""
    if len(mixed) <= _MAX_KEYS:
        return columns
    weight = mixed + np.where(columns["level"] > 0, 1 << 50, 0)
    kept = np.sort(np.argsort(-weight, kind="stable")[:_MAX_KEYS])
    return take_rows(columns, kept)
