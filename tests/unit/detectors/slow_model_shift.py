"""A slow `model_shift`: loops over votes' windows, models and slots, written from the docstrings of the detector."""

from __future__ import annotations

import hashlib
import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.scoring.detector_contracts import WindowContext
from pipeline.scoring.window import COHORTS, MEASURES, GroupedModelCounts, Window
from tests.unit.detectors.slow_windows import CAP, HOUR, Policy, SlowSignal

STRATA = (*COHORTS, *range(16))
TEXTS = {1: "performs better than in its snapshots", -1: "performs worse than in its snapshots"}


@dataclass
class Slot:
    """A slot: its start, the board's votes, and by (model, stratum) the excess and the information."""

    start: int
    votes: int = 0
    excess: dict[tuple[str, object], float] = field(default_factory=dict)
    information: dict[tuple[str, object], float] = field(default_factory=dict)

    def of(self, model: str, strata: Iterable[object] = COHORTS) -> tuple[float, float]:
        keys = [(model, one) for one in strata]
        return sum(self.excess.get(key, 0.0) for key in keys), sum(self.information.get(key, 0.0) for key in keys)


class ModelShift:
    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self.before: dict[str, list[float]] = {}
        self.policy = Policy(24)

    def observe(self, window: Window, context: WindowContext) -> list[SlowSignal]:
        if not self.slots or (window.start - self.slots[-1].start >= 6 * HOUR and self.slots[-1].votes >= 1_500):
            self.slots.append(Slot(window.start))
        if len(self.slots) > 33:
            oldest = self.slots.pop(0)
            for model, sums in self.before.items():
                x, v = oldest.of(model)
                sums[0], sums[1] = sums[0] + x, sums[1] + v
        self.count(window)
        return [] if window.end % HOUR else self.decide(window, context)

    def count(self, window: Window) -> None:
        slot = self.slots[-1]
        slot.votes += window.accepted + window.late
        for model, row in zip(window.models, window.totals.tolist(), strict=True):
            now = dict(zip(MEASURES, row, strict=True))
            missed = now["wins"] + now["losses"] - now["evaluated_wins"] - now["evaluated_losses"]
            self.before.setdefault(model, [0.0, 0.0])[1] += round(missed * 0.15 * 1024) / 1024
        self.add(slot, window.cohorts, list(window.cohorts.group))
        groups = [hashlib.blake2b(name.encode(), digest_size=1).digest()[0] % 16 for name in window.networks.group]
        self.add(slot, window.networks, groups)

    @staticmethod
    def add(slot: Slot, cells: GroupedModelCounts, strata: list[object]) -> None:
        for model, stratum, row in zip(cells.model, strata, cells.counts.tolist(), strict=True):
            now = dict(zip(MEASURES, row, strict=True))
            decided, expected = (
                now["evaluated_wins"] + now["evaluated_losses"],
                now["expected_wins"] + now["expected_losses"],
            )
            if expected:
                p = now["expected_wins"] / expected
                key = model, stratum
                more, known = now["evaluated_wins"] - decided * p, decided * p * (1 - p)
                slot.excess[key] = slot.excess.get(key, 0.0) + round(more * 1024) / 1024
                slot.information[key] = slot.information.get(key, 0.0) + round(known * 1024) / 1024

    def decide(self, window: Window, context: WindowContext) -> list[SlowSignal]:
        ratios: dict[tuple[str, int], list[tuple[float, int, float]]] = {}
        for slot in range(len(self.slots)):
            for key, log, spread in self.ratios(slot):
                ratios.setdefault(key, []).append((log, slot, spread))
        log_e: dict[str, float] = {}
        held: dict[str, float] = {}
        for (model, sign), found in ratios.items():
            known = context.registry.models.get(model)
            if known is not None and (known.deprecated_at is not None or known.retracted_at is not None):
                continue
            top = max(log for log, _, _ in found)
            total = min(top + math.log(sum(math.exp(log - top) for log, _, _ in found)), CAP) - math.log(120)
            key = f"{model}\x1f{sign:+d}"
            _, slot, spread = max(found, key=lambda one: one[0])
            held[key] = math.log(1e6) if total >= 0 and self.is_open(model, sign, slot, spread) else 0.0
            log_e[key] = total
        lowered = {key: e - (0 if self.policy.level.get(key) else held[key]) for key, e in log_e.items()}
        raised, cleared = self.policy.step(lowered, context.false_alarms, context.false_share)
        for key in raised:
            if self.policy.level[key] == 1:
                self.policy.reported[key] = log_e[key]
        signals = [
            SlowSignal(window.end, "model", *self.named(key), self.policy.level[key], math.exp(log_e[key] - held[key]))
            for key in order(raised)
        ]
        gone = [key for key, level in self.policy.level.items() if level and key not in log_e]
        for key in gone:
            self.policy.level[key] = 0
        return signals + [SlowSignal(window.end, "", *self.named(key), 0) for key in [*order(cleared), *order(gone)]]

    @staticmethod
    def named(key: str) -> tuple[str, str]:
        model, sign = key.split("\x1f")
        return model, TEXTS[int(sign)]

    def ratios(self, slot: int) -> list[tuple[tuple[str, int], float, float]]:
        """For a change at the start of a slot: (model, sign), ln L and φ."""
        sums: dict[str, tuple[float, float, float]] = {}
        for model, (first, known) in self.before.items():
            x, v = (sum(one) for one in zip(*(s.of(model) for s in self.slots[slot:]), strict=True))
            shown = [one.of(model) for one in self.slots[:slot]]
            r, j = first + sum(x for x, _ in shown), known + sum(v for _, v in shown)
            if v >= 10 and j >= 10:
                sums[model] = x / v, r / j, 1 / v + v / j**2
        if len(sums) < 3:
            return []
        common = statistics.median(shift - usual for shift, usual, _ in sums.values())
        scores = [abs(shift - usual - common) / math.sqrt(error) for shift, usual, error in sums.values()]
        wide = 1.4826 * statistics.median(scores)
        spread = 1.5 if len(sums) < 8 else max(wide**2, 1.5 if len(sums) < 40 else 1.1)
        found = []
        for model, (shift, usual, error) in sums.items():
            for sign in (1, -1):
                h = 0.05 + max(0, sign * usual) + max(0, sign * common)
                logs = [(d * (sign * shift - h) - d * d / 2) / (spread * error) for d in (0.25, 0.5)]
                found.append(((model, sign), math.log(sum(map(math.exp, logs)) / 2), spread))
        return found

    def is_open(self, model: str, sign: int, slot: int, spread: float) -> bool:
        def of(*strata: object) -> tuple[float, float]:
            sums = [one.of(model, strata) for one in self.slots[slot:]]
            return sign * sum(x for x, _ in sums), sum(v for _, v in sums)

        whole, total = of(*COHORTS)
        shift = min(whole / total, 0.6)
        x, v = (sum(one) for one in zip((0.0, 0.0), *(s.of(model) for s in self.slots[:slot]), strict=True))
        if shift * math.sqrt(v / spread) < 3 or -sign * x / v >= 0.4 * shift:
            return False
        networks = sorted(((*of(group), group) for group in range(16)), key=lambda one: (-one[0], one[2]))
        rest = sum(x for x, _, _ in networks[6:]), sum(v for _, v, _ in networks[6:])
        seen = unseen = 0
        unclear = [0.0, 0.0]
        unknown = False
        for kind, (x, v) in [*((age, of(age)) for age in COHORTS), ("networks", rest)]:
            if v > 0 and shift * math.sqrt(v / spread) >= 3:
                seen, unseen = seen + (x / v >= 0.4 * shift), unseen + (x / v < 0.4 * shift)
            elif v > 0 and x / v >= 2.5 * math.sqrt(spread / v):
                seen += 1
            elif v > 0 and shift - x / v >= 3 * math.sqrt(spread / v):
                unseen += 1
            elif kind == "networks":
                unknown = v > 0 and sum(v for _, v, _ in networks) >= 0.2 * total
            else:
                unclear = [unclear[0] + x, unclear[1] + v]
        x, v = unclear
        if shift * math.sqrt(v / spread) >= 3:
            seen, unseen = seen + (x >= 0.4 * shift * v), unseen + (x < 0.4 * shift * v)
        elif v >= 0.15 * total and v > 0:
            unknown = True
        return not unseen and unknown


def order(keys: Iterable[str]) -> list[str]:
    """Models in order, and better before worse."""
    return sorted(keys, key=lambda key: (key.split("\x1f")[0], -int(key.split("\x1f")[1])))
