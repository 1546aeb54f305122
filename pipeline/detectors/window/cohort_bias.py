"""`cohort_bias`: detects new accounts, a network, or votes under one prompt that favour or disfavour a model.

An attacker with many accounts and a few votes from each is not visible in a single account. The attack is visible in a
cohort, which here means all new accounts, all voters of one network, or all votes under one prompt.

Formula: in a window a cohort has n votes on a model, of which d are decided and W won. The null hypothesis is the least
favourable honest cohort, whose logits lie b above the snapshot's. Let p̄⁺ be the mean probability that the model wins
if the battle is decided, after its logit is raised by b. Three kinds of alternatives are tested:

    wins of decided      L_δ = e^(δW) / (1 + p̄⁺(e^δ − 1))^d                for δ ∈ {0.4, 0.8, 1.6, 3}
    wins of all votes    L_δ = e^(δW) / (1 + p⁺(e^δ − 1))^n                for δ ∈ {0.4, 0.8, 1.6, 3}
    loses too rarely     L_δ = e^(−δX) / (1 + p⁻(e^(−δ) − 1))^n            for δ ∈ {0.7, 1.5, 3}

X is the number of losses, p⁺ = (1 − t⁻) p̄⁺ the largest honest probability of a win, and p⁻ = (1 − t⁺)(1 − p̄⁺) the
smallest one of a loss (`pipeline.evidence.count_likelihoods`: shifted_logit, rare_events). If attackers vote "tie"
instead of a loss of the model, the first and the third kind find them. t⁻ and t⁺ are the smallest and the largest
honest share of ties on the model. In logits, they are the cohort's share of ties on other models, plus the difference
between the model's share and the board's, minus or plus two standard errors and a band of 0.05 (a network: 0.3). So a
cohort with habits of its own, such as newcomers who tie less, raises no alert. Under a prompt only the first kind is
tested, since the prompt itself may cause ties.

The evidence is a weighted mixture, over all δ, of the Shiryaev-Roberts e-detectors M ← (M + 1) L_δ over windows. The
three kinds have the weights 0.15, 0.5 and 0.35. For "demotes" the same is computed with losses and wins exchanged.

b is the sum of three numbers: how far the comparison votes on the model are above the snapshot (learned from earlier
windows), two standard errors of this distance, and a band:

    cohort         comparison votes                    band
    new accounts   votes of all other accounts         0.1
    a network      all votes                           0.5
    a prompt       all votes                           1

So a model that really changed raises no alert, since the change shows in the comparison votes too. Evidence about a
network or a prompt starts with two votes on the model, in one window or apart (`cohort_keys`). Of each kind of cohort,
only the 4,000 keys with the most evidence are followed.

Source: Shin, Ramdas & Rinaldo 2024, "E-detectors"; the cohort, Min et al. 2025 ("Improving your model ranking on
Chatbot Arena by vote rigging").

Blind spot: attackers who have old accounts on many networks and use different prompts; a bias of a tenth of a logit;
models that the snapshot lacks; votes before the first snapshot. The detector cannot tell attackers' votes from honest
votes of the cohort, and a rival may have cast them to discredit the model. So only a person excludes a cohort's votes.

False alarms: at most the number per month that the operator tolerates (default 1), while honest cohorts differ by no
more than the bands. Half of that number is for new accounts, a quarter for networks and a quarter for prompts. This is
measured by `integrity bench evidence`, and on streams that the simulator did not make.

>>> from pipeline.registry import RegistryState
>>> def votes(won, lost):  # of a model that is expected to win half of them
...     row = np.zeros((1, 9), int)
...     row[0, 4:] = won + lost, won, lost, *[(won + lost) * 512] * 2
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

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.detectors.window import cohort_baseline as baseline
from pipeline.detectors.window.cohort_counts import with_episode, with_own_ties
from pipeline.detectors.window.cohort_keys import SEPARATOR, VERBS, cells_to_follow, stems, without_weakest
from pipeline.detectors.window.cohort_ratios import ALL_VOTES, DECIDED_VOTES, SHIFTS, log_ratios
from pipeline.evidence import alert_policy
from pipeline.evidence.e_detectors import LOG_ZERO, log_mixture, shiryaev_roberts
from pipeline.evidence.fixed_point import from_log_units
from pipeline.evidence.keyed_state import KEY, KeyedColumns, add_keys
from pipeline.scoring.detector_contracts import WindowContext, WindowState
from pipeline.scoring.signals import ClearedSignal, Signal
from pipeline.scoring.window import GroupedModelCounts, Window
from pipeline.vocabulary.arrays import Float64, Int64


@dataclass(frozen=True)
class _Kind:
    """A kind of cohort and the parameters of its test.

    `band` (for wins) and `tie_band` are in logits. `alarms` is the kind's share of the tolerated false alarms, 0 to 1.
    """

    band: float
    tie_band: float
    alarms: float
    weights: Float64


_KINDS = {
    "new": _Kind(0.1, 0.05, 0.5, ALL_VOTES),
    "network": _Kind(0.5, 0.3, 0.25, ALL_VOTES),
    "prompt": _Kind(1.0, 0.0, 0.25, DECIDED_VOTES),
}
_QUIET_FOR = 12

_NEW_KEY: dict[str, Any] = {
    **alert_policy.NO_ALERT,
    "log_m": np.full(SHIFTS, LOG_ZERO, dtype=np.int64),
    "mixed": np.int64(LOG_ZERO),
    "steps": np.int64(0),
    "votes": 0.0,
    "won": 0.0,
    "lost": 0.0,
    "expected": 0.0,
    "own_votes": 0.0,
    "own_ties": 0.0,
    "since": np.int64(0),
}


@dataclass(frozen=True)
class CohortBias:
    """Detects new accounts, a network, or votes under one prompt that favour or disfavour a model.

    The module docstring has formula, source, blind spot and false-alarm rate.
    """

    name = "cohort_bias"

    def observe(self, window: Window, state: WindowState, context: WindowContext) -> tuple[WindowState, list[Signal]]:
        """Compute the state of the detector after a window, and the signals about what is irregular in it.

        Cost: a few vector operations on the cohorts that voted.

        Args:
            window: the next window, in order of time.
            state: the state after the previous window, as named arrays.
            context: the registry and the settings for this window.

        Returns:
            Two values: the state after the window; and the signals.
        """
        parts = _split(state)
        base, rows = baseline.add_models(parts.get("base", {}), window)
        cells = {"new": _only_new(window.cohorts), "network": window.networks, "prompt": window.prompts}
        signals: list[Signal] = []
        for kind, counted in cells.items():
            changed = _update(kind, counted, parts, base, window.start)
            parts |= changed
            if len(changed[kind].get("level", ())):
                parts[kind], more = self._decide(kind, changed[kind], window, context)
                signals += more
        parts["base"] = baseline.learn(base, rows, window)
        return {f"{kind}.{name}": column for kind, part in parts.items() for name, column in part.items()}, signals

    def _decide(
        self, kind: str, columns: KeyedColumns, window: Window, context: WindowContext
    ) -> tuple[KeyedColumns, list[Signal]]:
        log_e = alert_policy.log_e_over_horizon(columns["mixed"], alert_policy.WINDOWS_PER_MONTH)
        decision = alert_policy.decide_alerts(
            log_e,
            columns,
            alarms=context.false_alarms * _KINDS[kind].alarms,
            share=context.false_share,
            quiet_for=_QUIET_FOR,
        )
        columns = columns | decision.columns
        signals = self._signals(kind, columns, decision, log_e, window)
        return without_weakest(columns, columns["mixed"]), signals

    def _signals(
        self, kind: str, columns: KeyedColumns, decision: alert_policy.AlertDecision, log_e: Int64, window: Window
    ) -> list[Signal]:
        signals: list[Signal] = []
        for i in decision.raised.tolist():
            group, model, verb = str(columns[KEY][i]).split(SEPARATOR)
            level, won = int(columns["level"][i]), "won" if verb == VERBS[0] else "lost"
            source = {"new": "from new accounts", "network": f"from network {group}", "prompt": f"under prompt {group}"}
            votes, wins, losses = (int(columns[name][i]) for name in ("votes", "won", "lost"))
            evidence = {
                "what": f"of {wins + losses} decided votes on it {source[kind]} it {won} {wins}, where "
                f"{columns['expected'][i]:.1f} are expected, and {votes - wins - losses} were ties",
                "window": [int(columns["since"][i]), window.end],
                "votes": votes,
                "decided": wins + losses,
                won: wins,
                "expected": round(float(columns["expected"][i]), 1),
                kind if kind != "new" else "cohort": group,
            }
            e_value, direction = from_log_units(int(log_e[i])), _direction(kind, group, verb)
            signals.append(window.alert(self.name, "model", model, direction, e_value, level, evidence))
        for i in decision.cleared.tolist():
            group, model, verb = str(columns[KEY][i]).split(SEPARATOR)
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


def _update(
    kind: str, cells: GroupedModelCounts, parts: Mapping[str, KeyedColumns], base: KeyedColumns, start: int
) -> dict[str, KeyedColumns]:
    """Return the parts of the state of a kind of cohort after a window, as name of the part → its columns.

    The parts are KIND (the evidence of each cohort and model), KIND-single (see `cells_to_follow`) and KIND-groups (the
    share of ties of each cohort).

    Args:
        kind: the kind of cohort, such as "new" or "prompt".
        cells: the counts of these cohorts in the window.
        parts: the parts of the state before the window.
        base: the baseline of the models (`cohort_baseline`).
        start: start of the window in microseconds since 1970 UTC.
    """
    single, groups = f"{kind}-single", f"{kind}-groups"
    columns, now, known = parts.get(kind, {}), parts.get(single, {}), parts.get(groups, {})
    if "mixed" not in columns:
        columns = {}  # a state of an older version, whose evidence had other alternatives
    table = baseline.table_of(cells)
    rows = np.flatnonzero(table[:, baseline.N])
    table, names = table[rows], [cells.group[i] for i in rows.tolist()]
    texts = stems(cells, rows)
    follow = np.ones(len(rows), dtype=np.bool_)
    if kind != "new":
        follow, now = cells_to_follow(texts, table[:, baseline.N], columns, now, start)
    followed = np.flatnonzero(follow).tolist()
    keys = [texts[i] + verb for i in followed for verb in VERBS]
    columns, at = add_keys(columns, keys, _NEW_KEY)
    both = table[:0]
    if keys:
        both = np.stack([table[follow], baseline.swapped(table[follow])], axis=1).reshape(-1, 5)
        columns = _step(kind, keys, both, columns, at, base, known)
    columns = with_episode(columns, at, both, start)
    if len(rows) and kind != "prompt":
        columns = with_own_ties(columns, at, both)
        known = baseline.learn_ties(known, names, table)
    return {kind: columns, single: now, groups: known}


def _step(
    kind: str,
    keys: list[str],
    table: Float64,
    columns: KeyedColumns,
    at: Int64,
    base: KeyedColumns,
    groups: KeyedColumns,
) -> KeyedColumns:
    """Return `columns` with the evidence of a window added.

    Args:
        kind: the kind of cohort.
        keys: r keys (cohort, model and verb) with votes in the window.
        table: float64[r, 5], the counts of each key (`table_of`); wins and losses are exchanged for "demoted".
        columns: the state of the kind of cohort, one row for each key.
        at: int64[r], the row in `columns` of each key.
        base: the baseline of the models (`cohort_baseline`).
        groups: the share of ties of each cohort.
    """
    group, model, verb = zip(*(key.split(SEPARATOR) for key in keys), strict=True)
    place = {name: i for i, name in enumerate(base[KEY].tolist())}
    against = base["others" if kind == "new" else "all"]
    usual = against[[place[name] for name in model]]
    demoted = np.array(verb) == VERBS[1]
    usual[demoted] = baseline.swapped(usual[demoted])
    shift = np.maximum(baseline.upper_shift(usual) + _KINDS[kind].band, 0)
    own = columns["own_votes"][at], columns["own_ties"][at]
    elsewhere = baseline.votes_elsewhere(groups, group, *own)
    ties = baseline.tie_share_bounds(usual, against.sum(axis=0), *elsewhere, _KINDS[kind].tie_band)
    ratio = log_ratios(table, shift, *ties)
    log_m = columns["log_m"].copy()
    log_m[at] = shiryaev_roberts(log_m[at], ratio)
    mixed, steps = columns["mixed"].copy(), columns["steps"].copy()
    mixed[at] = log_mixture(log_m[at], _KINDS[kind].weights)
    steps[at] += 1
    return columns | {"log_m": log_m, "mixed": mixed, "steps": steps}
