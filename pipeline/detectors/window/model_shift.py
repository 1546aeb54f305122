"""`model_shift`: detects that a model no longer performs as in its snapshots, such as after a silent swap.

A provider may replace the model behind a name. The old votes on the name then count for a model that no longer exists.

Formula: time is divided into slots of at least six hours and 1,500 votes. For each model, each direction ("better",
"worse") and each slot in which a change may have begun, L is the likelihood ratio of a change by 0.25 or 0.5 logits
since that slot (`model_shift_ratios`). It is computed from the model's decided votes since then, the chances that the
snapshots in force predict for these votes, and the model's earlier votes. M is the sum of L over the newest 33 slots,
an e-detector. The evidence is M/H, where H is 120, the largest number of slots in a month. The evidence is computed at
the end of each hour.

The null hypothesis is a model that did not change. It allows for four things: errors of the snapshots, estimated from
the model's earlier results; opponents that changed, estimated by the median of all models; drift, and votes of one
voter that depend on each other, both estimated by the spread of all models' results; and another 0.05 logits. Drawing a
model more often is no change.

The alert states whether the model changed or may have been attacked (`model_shift_reading`). If the model itself
changed, the votes of all kinds of voters show the change: of new and established accounts, and on all networks. The
alert then says "all kinds of voters see it: the model itself changed", and otherwise "attack or change: cannot be told"
with the reason. While a kind of voters has too few votes to decide this, an alert needs a million times as much
evidence as usual: the e-values that the detector reports are divided by a million. An open alert escalates when its
evidence has grown by a factor of 100.

A renamed model is one model under its first name. A deprecated or retracted model is not tested.

Source: Shin, Ramdas & Rinaldo 2024, "E-detectors"; Chen, Zaharia & Zou 2023, "How is ChatGPT's behavior changing over
time?"; the spread, Efron 2004, "Large-scale simultaneous hypothesis testing: the choice of a null hypothesis".

Blind spot: changes by less than 0.2 logits, or slower than eight days; a change that does not show in who wins, such as
a change of style (windows do not count the style of answers); boards of fewer than three models. An attack in which
accounts of all ages and networks take part in proportion reads like a change of the model.

False alarms: at most the number per month that the operator tolerates (default 1), over all models. This is measured on
streams that the simulator did not make. It is not proved, since votes are taken to be nearly normal and the spread is
estimated.

>>> from pipeline.lab.simulate.simulated_board import SimulatedBoard, WindowEffect
>>> swap = WindowEffect(first=864, end=1152, shift={"m003": 1.0})  # logits, from window 864 on
>>> board = SimulatedBoard(days=4, votes=60, seed=1, models=12, effects=[swap])
>>> alarms = [(k, one.subject, one.direction) for k, _, found in board.alerts([ModelShift()]) for one in found]
>>> alarms[0]
(923, 'm003', 'performs better than in its snapshots')
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.detectors.window.model_shift_ratios import ShiftRatios, shift_ratios
from pipeline.detectors.window.model_shift_reading import ShiftReading, read_strata
from pipeline.detectors.window.model_shift_sums import AGES, UNIT, ShiftSums
from pipeline.evidence import alert_policy, to_log_units
from pipeline.evidence.e_detectors import LOG_ZERO, MAX_LOG_M
from pipeline.evidence.fixed_point import LOG_UNIT, from_log_units
from pipeline.evidence.keyed_state import KEY, KeyedColumns
from pipeline.registry import RegistryState
from pipeline.scoring.detector_contracts import WindowContext, WindowState
from pipeline.scoring.signals import AlertSignal, ClearedSignal, Signal
from pipeline.scoring.window import Window
from pipeline.vocabulary.arrays import Bool, Float64, Int64
from pipeline.vocabulary.time import HOUR

_SLOTS_PER_MONTH = 30 * 4
_QUIET_HOURS = 24
_DIRECTIONS = ("performs better than in its snapshots", "performs worse than in its snapshots")
_SIGNS = (1, -1)
# ln 10⁶, by which evidence is lowered while more votes may tell a change from an attack.
_HELD = math.ceil(math.log(1e6) / LOG_UNIT)


@dataclass(frozen=True)
class ModelShift:
    """Detects that a model no longer performs as in its snapshots.

    The module docstring has formula, source, blind spot and false-alarm rate.
    """

    name = "model_shift"

    def observe(self, window: Window, state: WindowState, context: WindowContext) -> tuple[WindowState, list[Signal]]:
        """Compute the state of the detector after a window, and the signals about what is irregular in it.

        Cost: a few vector operations on the models that have votes; once an hour on all models and slots.

        Args:
            window: the next window, in order of time.
            state: the state after the previous window, as named arrays.
            context: the registry and the settings for this window.

        Returns:
            Two values: the state after the window; and the signals.
        """
        sums = ShiftSums.of(state).add(window)
        if window.end % HOUR or not len(sums.columns[KEY]):
            return sums.to_state(), []
        columns, signals = self._decide(_EvaluatedSums.of(sums, context.registry), window, context)
        return ShiftSums(columns, sums.starts, sums.votes).to_state(), signals

    def _decide(
        self, found: "_EvaluatedSums", window: Window, context: WindowContext
    ) -> tuple[KeyedColumns, list[Signal]]:
        columns, rows = found.sums.columns, np.flatnonzero(found.tested)
        readings = found.readings()
        held = np.zeros_like(found.log_e)
        for at in (at for at, reading in readings.items() if reading.is_open):
            held[at] = _HELD
        unopened = columns["level"] == 0
        decision = alert_policy.decide_alerts(
            (found.log_e - np.where(unopened, held, 0))[rows].ravel(),
            {name: columns[name][rows].ravel() for name in alert_policy.NO_ALERT},
            alarms=context.false_alarms,
            share=context.false_share,
            quiet_for=_QUIET_HOURS,
        )
        after = dict(columns)
        for name, values in decision.columns.items():
            after[name] = np.zeros_like(columns[name])
            after[name][rows] = values.reshape(-1, 2)
        # The alert escalates when there is more evidence than now, not because it is no longer divided.
        after["told"] = after["told"] + np.where(unopened & (after["level"] > 0), held, 0)
        signals: list[Signal] = []
        for place in decision.raised.tolist():
            row, side = int(rows[place // 2]), place % 2
            level, e_value = int(after["level"][row, side]), from_log_units(int((found.log_e - held)[row, side]))
            signals.append(self._alert(found, (row, side), level, e_value, window, context))
        ended = [
            (int(rows[place // 2]), place % 2, "its results were as expected for a day") for place in decision.cleared
        ]
        open_alerts = np.argwhere((columns["level"] > 0) & ~found.tested[:, None]).tolist()
        ended += [(row, side, "it is no longer offered, or has no votes") for row, side in open_alerts]
        for row, side, reason in ended:
            signals.append(ClearedSignal(self.name, str(columns[KEY][row]), _DIRECTIONS[side], window.end, reason))
        return after, signals

    def _alert(
        self,
        found: "_EvaluatedSums",
        at: tuple[int, int],
        level: int,
        e_value: float,
        window: Window,
        context: WindowContext,
    ) -> AlertSignal:
        (row, side), slot, reading = at, found.likeliest_slot(at), found.reading(at)
        decided, won = found.decided[row, slot:].sum(axis=0).tolist()
        expected = won - float(found.excess[row, slot:, :AGES].sum())
        model = str(found.sums.columns[KEY][row])
        names = sorted(later for later, first in context.registry.aliases.items() if first == model)
        also = f" (also called {', '.join(names)})" if names else ""
        evidence = {
            "what": f"of {decided} decided votes{also} it won {won}, where {expected:.1f} are expected by its snapshots"
            f"; {reading.text}",
            "window": [int(found.sums.starts[slot]), window.end],
            "decided": decided,
            "won": won,
            "expected": round(expected, 1),
            "reading": "change" if reading.by_all else "attack or change",
            "shift_by_voters": {kind: round(_SIGNS[side] * shift, 2) for kind, shift in reading.shifts.items()},
        }
        return window.alert(self.name, "model", model, _DIRECTIONS[side], e_value, level, evidence)


@dataclass(frozen=True)
class _EvaluatedSums:
    """The sums and the evidence of m models at the end of an hour.

    Attributes:
        sums: the sums.
        excess, information: float64[m, s, STRATA], `sums.by_slot` of these names, in votes, for each model, time slot
            and stratum (kind of voters).
        decided: int64[m, s, 2], numbers of decided votes and of wins of each model in each slot.
        ratios: the log-likelihood ratios of a change, by model, direction and slot in which the change began.
        log_e: int64[m, 2], ln of the evidence for each direction, in units of 2⁻²⁰ nats.
        tested: bool[m], true for models that are offered and have votes.
    """

    sums: ShiftSums
    excess: Float64
    information: Float64
    decided: Int64
    ratios: ShiftRatios
    log_e: Int64
    tested: Bool

    @classmethod
    def of(cls, sums: ShiftSums, registry: RegistryState) -> "_EvaluatedSums":
        excess = np.asarray(sums.by_slot("excess") * UNIT, dtype=np.float64)
        information = np.asarray(sums.by_slot("information") * UNIT, dtype=np.float64)
        ratios = shift_ratios(
            excess[..., :AGES].sum(axis=2),
            information[..., :AGES].sum(axis=2),
            sums.starts >= 0,
            sums.columns["excess_before"] * UNIT,
            sums.columns["information_before"] * UNIT,
        )
        logs = np.clip(ratios.log_sum(), LOG_ZERO * LOG_UNIT, MAX_LOG_M * LOG_UNIT)
        log_e = alert_policy.log_e_over_horizon(to_log_units(logs), _SLOTS_PER_MONTH)
        offered = [_is_offered(registry, str(name)) for name in sums.columns[KEY]]
        tested = np.array(offered, dtype=np.bool_) & np.isfinite(ratios.logs).any(axis=(1, 2))
        return cls(sums, excess, information, sums.by_slot("decided"), ratios, log_e, tested)

    def likeliest_slot(self, at: tuple[int, int]) -> int:
        """Return the position of the slot in which a change most likely began.

        Args:
            at: position of the model, and position of the direction.
        """
        return int(self.ratios.logs[at].argmax())

    def readings(self) -> Mapping[tuple[int, int], ShiftReading]:
        """Return which kinds of voters show the change of a model.

        Returns:
            (position of the model, position of the direction, up or down) → its reading. Only pairs with an e-value of
            at least 1 are included.
        """
        rows = np.argwhere((self.log_e >= 0) & self.tested[:, None]).tolist()
        return {(row, side): self.reading((row, side)) for row, side in rows}

    def reading(self, at: tuple[int, int]) -> ShiftReading:
        """Return which kinds of voters show the change of a model in a direction; `at` has the positions of both."""
        (row, side), slot = at, self.likeliest_slot(at)
        excess = _SIGNS[side] * self.excess[row]
        information = self.information[row]
        before = float(excess[:slot, :AGES].sum()), float(information[:slot, :AGES].sum())
        spread = float(self.ratios.spread[slot])
        return read_strata(excess[slot:].sum(axis=0), information[slot:].sum(axis=0), before, spread)


def _is_offered(registry: RegistryState, name: str) -> bool:
    model = registry.models.get(name)
    return model is None or (model.deprecated_at is None and model.retracted_at is None)
