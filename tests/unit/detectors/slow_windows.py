"""Slow window detectors: loops over keys in floating point, written from the docstrings of the detectors.

They share only the windows with the detectors. Evidence is a floating-point ln M here and an integer of 2⁻²⁰ nats,
rounded down, there: after some thousand steps the two differ by less than a thousandth.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.scoring.detector_contracts import WindowContext
from pipeline.scoring.window import MEASURES, GroupedModelCounts, Window

HOUR = 3_600_000_000
MONTH = 8_640
"""Five-minute windows of thirty days."""
CAP = math.log(1e18)
HALF_IN_A_FORTNIGHT = 0.5 ** (1 / (14 * 288))


@dataclass(frozen=True)
class SlowSignal:
    """A signal of a detector: an alert with its e-value and figures, or (level 0) the end of one."""

    window: int
    kind: str
    subject: str
    direction: str
    level: int
    e_value: float | None = None
    figures: dict[str, Any] = field(default_factory=dict)


def roberts(log_m: float, log_ratio: float) -> float:
    """Shiryaev-Roberts: M ← (M + 1) L, up to 10¹⁸."""
    before = math.log1p(math.exp(log_m)) if log_m > -700 else 0.0
    return min(before + log_ratio, CAP)


def mean_of(logs: Sequence[float], weights: Sequence[float]) -> float:
    top = max(logs)
    if top == -math.inf:
        return top
    return top + math.log(sum(w * math.exp(x - top) for w, x in zip(weights, logs, strict=True)))


class Policy:
    """Which keys open, escalate and are over; see `alert_policy`."""

    def __init__(self, quiet_for: int) -> None:
        self.quiet_for = quiet_for
        self.reported: dict[str, float] = {}
        self.level: dict[str, int] = {}
        self.quiet: dict[str, int] = {}

    def step(
        self, log_e: dict[str, float], alarms: float, share: float, stepped: set[str] | None = None
    ) -> tuple[list[str], list[str]]:
        m = len(log_e)
        falling = sorted(log_e.values(), reverse=True)
        enough = [k for k in range(1, m + 1) if falling[k - 1] >= math.log(m / (share * k))]
        bar = min(falling[enough[-1] - 1] if enough else math.inf, math.log(max(m, 1) / alarms))
        raised, cleared = [], []
        for key in sorted(log_e):
            if stepped is not None and key not in stepped:
                continue
            now, level = log_e[key], self.level.get(key, 0)
            if level == 0 and now >= bar:
                self.level[key], self.reported[key] = 1, now
                raised.append(key)
            elif 0 < level < 8 and now >= self.reported[key] + math.log(100):
                steps = int((now - self.reported[key]) / math.log(100))
                self.level[key], self.reported[key] = min(level + steps, 8), self.reported[key] + steps * math.log(100)
                raised.append(key)
            self.quiet[key] = self.quiet.get(key, 0) + 1 if self.level.get(key) and now < 0 else 0
            if self.quiet[key] >= self.quiet_for:
                self.level[key] = self.quiet[key] = 0
                cleared.append(key)
        return raised, cleared

    def forget(self) -> None:
        self.reported, self.level, self.quiet = {}, {}, {}


def measure(window: Window, name: str) -> dict[str, int]:
    place = MEASURES.index(name)
    return {model: int(row[place]) for model, row in zip(window.models, window.totals.tolist(), strict=True)}


class Traffic:
    """`traffic` (sign 1) and `traffic_gap` (sign −1)."""

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.ratios = (1.25, 1.5, 2.0, 3.0, 5.0) if sign > 0 else (1 / 1.25, 1 / 1.5, 1 / 2.0, 1 / 3.0, 1 / 5.0)
        self.direction = "more votes than usual" if sign > 0 else "fewer votes than usual"
        self.hour, self.votes, self.windows = -1, 0, 0
        self.of_week: dict[int, list[float]] = {}  # hour of the week → weight and votes
        self.of_day: dict[int, list[float]] = {}
        self.shock = [0.0, 0.0]
        self.log_m = [-math.inf] * 5
        self.policy, self.stood = Policy(12), 0

    def observe(self, window: Window, context: WindowContext) -> list[SlowSignal]:
        hour = window.start // HOUR
        if hour != self.hour:
            self.hour, self.votes, self.windows = hour, 0, 0
        self.votes += window.accepted
        self.windows += 1
        if self.windows < 12 or window.end % HOUR:
            return []
        return self.close(window, context, hour)

    def close(self, window: Window, context: WindowContext, hour: int) -> list[SlowSignal]:
        weekday, clock, x = (hour // 24 + 3) % 7, hour % 24, self.votes  # 1970 began on a Thursday
        releases = [m.released_at for m in context.registry.models.values() if m.released_at is not None]
        released = any(0 <= window.start - at < 7 * 24 * HOUR for at in releases[-1:])
        weight, votes = self.of_week.get(24 * weekday + clock, [0.0, 0.0])
        slack = 0.0
        if weight < 1.5:  # two weeks count 1 + .8
            weight, votes = self.of_day.get(clock, [0.0, 0.0])
            slack = 0.2
        relative = max((self.shock[0] + 0.15 * 48) / (self.shock[1] + 48), 0.02)
        signals, mean = [], 0.0
        if weight >= (2.5 if slack else 1.5):
            mean = votes / weight
            error = math.sqrt((mean + mean**2 * relative) / weight)
            bound = max(mean * (1 + self.sign * slack) + self.sign * 2 * error, 0.0)
            if bound > 0:
                signals = self.test(
                    window, context, x, bound * 3 if released and self.sign > 0 else bound, 1 / relative
                )
        level = self.policy.level.get("board", 0)
        self.stood = self.stood + 1 if level else 0
        if not released and (not level or self.stood > 168):
            self.learn(24 * weekday + clock, clock, x, mean)
        return signals

    def test(self, window: Window, context: WindowContext, x: int, mean: float, r: float) -> list[SlowSignal]:
        for k, rho in enumerate(self.ratios):
            ratio = x * math.log(rho) + (r + x) * math.log((r + mean) / (r + rho * mean))
            self.log_m[k] = roberts(self.log_m[k], ratio)
        log_e = mean_of(self.log_m, [0.2] * 5) - math.log(720)
        raised, cleared = self.policy.step({"board": log_e}, context.false_alarms, context.false_share)
        if cleared:
            return [SlowSignal(window.end, "", "board", self.direction, 0)]
        if not raised:
            return []
        figures = {"votes": x, "expected": round(mean, 1), "window": [window.end - HOUR, window.end]}
        return [
            SlowSignal(
                window.end, "board", "board", self.direction, self.policy.level["board"], math.exp(log_e), figures
            )
        ]  # fmt: skip

    def learn(self, week: int, clock: int, x: float, mean: float) -> None:
        if mean > 0:
            x = round(min(max(x, mean / 3), mean * 3))
        for table, place, kept in ((self.of_week, week, 0.8), (self.of_day, clock, 0.8 ** (1 / 7))):
            weight, votes = table.get(place, [0.0, 0.0])
            table[place] = [weight * kept + 1, votes * kept + x]
        if mean > 0:
            seen = min(((x - mean) ** 2 - mean) / mean**2, 1.0)
            old = 1 - 1 / (4 * 168)
            self.shock = [self.shock[0] * old + seen, self.shock[1] * old + 1]


@dataclass
class BurstKey:
    kind: int  # 0 a model, 1 a provider, 2 a network
    seen: list[float]
    hits: list[float] = field(default_factory=lambda: [0.0] * 24)
    log_m: list[float] = field(default_factory=lambda: [-math.inf] * 5)
    windows: int = 0
    stood: int = 0
    since: int = 0
    votes_since: float = 0.0
    expected_since: float = 0.0


class VoteBurst:
    def __init__(self) -> None:
        self.keys: dict[str, BurstKey] = {}
        self.board = [0.0] * 24
        self.spread = [[0.0, 0.0] for _ in range(3)]
        self.policy = Policy(12)

    def counts(self, window: Window, context: WindowContext) -> dict[str, tuple[float, float | None]]:
        """Votes and declared share (None: to be learned) of every key that has one of the two."""
        drawn = {}
        if context.registry.policy:
            usual = context.registry.policy.appearance
            other = other_rule(context)
            drawn = {m: min(1.15 * max(pi, other[m]), 1.0) if pi else 0.0 for m, pi in usual.items()}
        shown, chosen = measure(window, "appearances"), measure(window, "chosen")
        found: dict[str, tuple[float, float | None]] = {}
        for model in shown.keys() | drawn.keys():
            found[f"model:{model}"] = (shown.get(model, 0), drawn.get(model, 0.0) if drawn else None)
            provider = context.registry.provider_of(model)
            if provider:
                votes, share = found.get(f"provider:{provider}", (0.0, 0.0))
                one_side = drawn.get(model, 0.0) / 2 if drawn else None
                found[f"provider:{provider}"] = (
                    votes + chosen.get(model, 0),
                    None if one_side is None or share is None else share + one_side,
                )
        return found | {f"network:{name}": (votes, None) for name, votes in window.votes_of.items()}

    def varies(self, kind: int) -> float:
        """1/k: how much the shares of this kind vary from hour to hour."""
        total, votes = self.spread[kind]
        return min(max(total / max(votes, 1), 1 / 2000), 1 / 20)

    def observe(self, window: Window, context: WindowContext) -> list[SlowSignal]:
        n, hour = window.accepted, window.start // HOUR % 24
        if not n:
            return []
        self.board = [votes * HALF_IN_A_FORTNIGHT for votes in self.board]
        self.spread = [[sum_ * HALF_IN_A_FORTNIGHT for sum_ in pair] for pair in self.spread]
        counts = self.counts(window, context)
        for name in counts:
            kind = ("model", "provider", "network").index(name.split(":")[0])
            # A new network appeared in none of the board's votes.
            self.keys.setdefault(name, BurstKey(kind, list(self.board) if kind == 2 else [0.0] * 24))
        log_e, stepped, fair, usual = {}, set(), {}, {}
        for name, key in self.keys.items():
            x, declared = counts.get(name, (0.0, None))
            total = sum(key.seen)
            weight = key.seen[hour] + 500
            share = (key.hits[hour] + 500 * sum(key.hits) / max(total, 1)) / weight
            spread = 1 + total / max(key.windows, 1) * self.varies(key.kind)
            upper = min(share + 2 * math.sqrt((share * weight + 1) * spread) / weight, 0.95)
            if key.kind == 2:
                upper = max(upper, 0.01)
            known = total >= 2000 and (key.kind == 2 or key.windows >= 288)
            usual[name] = share
            fair[name] = (declared if declared is not None else upper if known else 0.0) * n
            judged = declared > 0 if declared is not None else known
            if judged and (context.steady or key.kind == 2):
                stepped.add(name)
                for i, rho in enumerate((1.25, 1.5, 2.0, 3.0, 5.0)):
                    if declared is not None:
                        p = min(declared, 0.95)
                        q = max(min(rho * p, 0.95), p)
                        ratio = x * math.log(q / p) + (n - x) * math.log((1 - q) / (1 - p))
                    else:
                        mu, r = n * upper, upper / self.varies(key.kind)
                        ratio = x * math.log(rho) + (r + x) * math.log((r + mu) / (r + rho * mu))
                    key.log_m[i] = roberts(key.log_m[i], ratio)
            log_e[name] = mean_of(key.log_m, [0.2] * 5) - math.log(MONTH)
        raised, cleared = self.policy.step(log_e, context.false_alarms, context.false_share, stepped)
        for name, key in self.keys.items():
            if key.votes_since == 0 or log_e[name] + math.log(MONTH) < math.log(50):
                key.since, key.votes_since, key.expected_since = window.start, 0.0, 0.0
            key.votes_since += counts.get(name, (0.0, None))[0]
            key.expected_since += fair[name]
        signals = []
        for name in raised:
            kind, subject = name.split(":")
            key = self.keys[name]
            figures = {
                "window": [key.since, window.end],
                "votes": int(key.votes_since),
                "expected": round(key.expected_since, 1),
            }
            level = self.policy.level[name]
            signals.append(
                SlowSignal(window.end, kind, subject, "more than its share", level, math.exp(log_e[name]), figures)
            )  # fmt: skip
        signals += [SlowSignal(window.end, "", name.split(":")[1], "more than its share", 0) for name in cleared]
        self.learn(counts, n, hour, usual)
        return signals

    def learn(self, counts: dict[str, tuple[float, float | None]], n: int, hour: int, usual: dict[str, float]) -> None:
        for name, key in self.keys.items():
            x = counts.get(name, (0.0, None))[0]
            reported = bool(self.policy.level.get(name))
            key.stood = key.stood + 1 if reported else 0
            key.hits = [votes * HALF_IN_A_FORTNIGHT for votes in key.hits]
            key.seen = [votes * HALF_IN_A_FORTNIGHT for votes in key.seen]
            if not reported or key.stood > 7 * 288:
                key.hits[hour] += x
                key.seen[hour] += n
                key.windows += 1
            mean = usual[name] * n
            if not reported and mean >= 1:
                self.spread[key.kind][0] += (x - mean) ** 2 / mean - 1
                self.spread[key.kind][1] += n
        self.board[hour] += n


SHIFTS = (0.4, 0.8, 1.6, 3.0)


@dataclass
class CohortKey:
    log_m: list[float] = field(default_factory=lambda: [-math.inf] * 11)
    since: int = 0
    votes: float = 0.0
    won: float = 0.0
    lost: float = 0.0
    expected: float = 0.0
    own_votes: float = 0.0
    own_ties: float = 0.0


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def expit(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def clip(x: float, low: float, high: float) -> float:
    return min(max(x, low), high)


def upper_share(sums: Sequence[float]) -> float:
    """Largest expected share of wins among decided votes; the stored numbers are rounded up to 1/1024."""
    total = sums[3] + sums[4] - sums[0] / 1024
    return clip(sums[3] / total, 0.001, 0.999) if total > 0 else 0.5


class CohortBias:
    """Keys are (group, model, verb) as the detector sorts them. Sums: votes, won, lost, expected won, expected lost."""

    KINDS = (("new", 0.1, 0.5), ("network", 0.5, 0.25), ("prompt", 1.0, 0.25))
    TIE_BANDS = {"new": 0.05, "network": 0.3, "prompt": 0.0}  # noqa: RUF012

    def __init__(self) -> None:
        self.keys: dict[str, dict[str, CohortKey]] = {kind: {} for kind, *_ in self.KINDS}
        self.log_e: dict[str, dict[str, float]] = {kind: {} for kind, *_ in self.KINDS}
        self.policies = {kind: Policy(12) for kind, *_ in self.KINDS}
        self.once: dict[str, set[str]] = {kind: set() for kind, *_ in self.KINDS}
        self.ties: dict[str, dict[str, list[float]]] = {kind: {} for kind, *_ in self.KINDS}
        self.everybody: dict[str, list[float]] = {}
        self.others: dict[str, list[float]] = {}

    def observe(self, window: Window, context: WindowContext) -> list[SlowSignal]:
        for table in (self.everybody, self.others):
            for model in window.models:
                table.setdefault(model, [0.0] * 5)
        signals: list[SlowSignal] = []
        for (kind, band, part), cells in zip(
            self.KINDS, (window.cohorts, window.networks, window.prompts), strict=True
        ):
            signals += self.follow(kind, band, part, cells, window, context)
        for table in (self.everybody, self.others):
            for model, sums in table.items():
                table[model] = [value * HALF_IN_A_FORTNIGHT for value in sums]
        self.take(self.everybody, window.models, window.totals.tolist())
        old = [i for i, group in enumerate(window.cohorts.group) if group != "new"]
        rows = window.cohorts.counts.tolist()
        self.take(self.others, [window.cohorts.model[i] for i in old], [rows[i] for i in old])
        return signals

    @staticmethod
    def take(table: dict[str, list[float]], models: Sequence[str], rows: list[list[int]]) -> None:
        for model, row in zip(models, rows, strict=True):
            _, _, _, _, evaluated, won, lost, to_win, to_lose = row
            for k, more in enumerate((evaluated, won, lost, to_win / 1024, to_lose / 1024)):
                table[model][k] += more

    @staticmethod
    def upper_shift(sums: Sequence[float]) -> float:
        share, decided = upper_share(sums), sums[1] + sums[2] + 20
        seen = clip((sums[1] + 20 * share) / decided, 0.001, 0.999)
        return logit(seen) - logit(share) + 2 / math.sqrt(decided * share * (1 - share))

    def ties_of(self, kind: str, group: str, key: CohortKey, sums: Sequence[float]) -> tuple[float, float]:
        board = [sum(one) for one in zip(*(self.others if kind == "new" else self.everybody).values(), strict=True)]
        overall = clip((board[0] - board[1] - board[2]) / board[0], 0.02, 0.9) if board[0] else 0.3
        model = clip((sums[0] - sums[1] - sums[2] + 20 * overall) / (sums[0] + 20), 0.01, 0.95)
        votes, ties = self.ties[kind].get(group, [0.0, 0.0])
        votes = max(votes - key.own_votes, 0.0)
        ties = clip(ties - key.own_ties, 0.0, votes)
        own = clip((ties + 30 * overall) / (votes + 30), 0.01, 0.95)
        variance = 1 / ((sums[0] + 20) * model * (1 - model)) + 1 / ((votes + 30) * own * (1 - own))
        usual, margin = logit(own) + logit(model) - logit(overall), self.TIE_BANDS[kind] + 2 * math.sqrt(2 * variance)
        return expit(usual - margin), expit(usual + margin)

    def step(self, kind: str, band: float, name: str, row: Sequence[float]) -> None:
        group, model, verb = name.split("\x1f")
        key = self.keys[kind].setdefault(name, CohortKey())
        sums = (self.others if kind == "new" else self.everybody)[model]
        if verb == "demoted":
            sums = [sums[0], sums[2], sums[1], sums[4], sums[3]]
        b = max(self.upper_shift(sums) + band, 0.0)
        honest = expit(logit(upper_share(row)) + b)
        logs = [d * row[1] - (row[1] + row[2]) * math.log(1 + honest * (math.exp(d) - 1)) for d in SHIFTS]
        if kind == "prompt":
            logs += [0.0] * 7
        else:
            fewest, most = self.ties_of(kind, group, key, sums)
            win, loss = (1 - fewest) * honest, (1 - most) * (1 - honest)
            logs += [d * row[1] - row[0] * math.log(1 + win * (math.exp(d) - 1)) for d in SHIFTS]
            logs += [-d * row[2] - row[0] * math.log(1 + loss * (math.exp(-d) - 1)) for d in (0.7, 1.5, 3.0)]
        key.log_m = [roberts(m, ratio) for m, ratio in zip(key.log_m, logs, strict=True)]
        weights = [0.25] * 4 if kind == "prompt" else [0.0375] * 4 + [0.125] * 4 + [0.35 / 3] * 3
        self.log_e[kind][name] = mean_of(key.log_m[: len(weights)], weights) - math.log(MONTH)

    def follow(
        self, kind: str, band: float, part: float, cells: GroupedModelCounts, window: Window, context: WindowContext
    ) -> list[SlowSignal]:
        keys, log_e, policy, once = self.keys[kind], self.log_e[kind], self.policies[kind], self.once[kind]
        more: dict[str, list[float]] = {}
        seen: dict[str, list[float]] = {}
        for group, model, counts in zip(cells.group, cells.model, cells.counts.tolist(), strict=True):
            _, _, _, _, n, won, lost, to_win, to_lose = counts
            if not n or (kind == "new" and group != "new"):
                continue
            tied = seen.setdefault(group, [0.0, 0.0])
            tied[0], tied[1] = tied[0] + n, tied[1] + n - won - lost
            stem = f"{group}\x1f{model}\x1f"
            if kind != "new" and n < 2 and stem + "promoted" not in keys and stem not in once:
                once.add(stem)
                continue
            once.discard(stem)
            more[stem + "promoted"] = [n, won, lost, to_win / 1024, to_lose / 1024]
            more[stem + "demoted"] = [n, lost, won, to_lose / 1024, to_win / 1024]
        for name, row in more.items():
            self.step(kind, band, name, row)
        for name, key in keys.items():
            if key.votes == 0 or log_e[name] + math.log(MONTH) < math.log(50):
                key.since, key.votes, key.won, key.lost, key.expected = window.start, 0.0, 0.0, 0.0, 0.0
            row = more.get(name, [0.0] * 5)
            key.votes, key.won, key.lost = key.votes + row[0], key.won + row[1], key.lost + row[2]
            key.expected += (row[1] + row[2]) * upper_share(row)
        if seen and kind != "prompt":
            self.learn_ties(kind, seen, more)
        return self.signals(kind, window, *policy.step(log_e, context.false_alarms * part, context.false_share))

    def learn_ties(self, kind: str, seen: dict[str, list[float]], more: dict[str, list[float]]) -> None:
        for name, key in self.keys[kind].items():
            row = more.get(name, [0.0] * 5)
            key.own_votes = key.own_votes * HALF_IN_A_FORTNIGHT + row[0]
            key.own_ties = key.own_ties * HALF_IN_A_FORTNIGHT + row[0] - row[1] - row[2]
        sums = self.ties[kind]
        for group in sums.keys() | seen.keys():
            votes, ties = seen.get(group, [0.0, 0.0])
            before = sums.get(group, [0.0, 0.0])
            sums[group] = [before[0] * HALF_IN_A_FORTNIGHT + votes, before[1] * HALF_IN_A_FORTNIGHT + ties]

    def signals(self, kind: str, window: Window, raised: list[str], cleared: list[str]) -> list[SlowSignal]:
        signals = []
        for name in raised:
            group, model, verb = name.split("\x1f")
            key = self.keys[kind][name]
            figures = {
                "window": [key.since, window.end],
                "votes": int(key.votes),
                "decided": int(key.won) + int(key.lost),
                "won" if verb == "promoted" else "lost": int(key.won),
                "expected": round(key.expected, 1),
            }
            level = self.policies[kind].level[name]
            what, e_value = direction(kind, group, verb), math.exp(self.log_e[kind][name])
            signals.append(SlowSignal(window.end, "model", model, what, level, e_value, figures))
        for name in cleared:
            group, model, verb = name.split("\x1f")
            signals.append(SlowSignal(window.end, "", model, direction(kind, group, verb), 0))
        return signals


def direction(kind: str, group: str, verb: str) -> str:
    return f"{verb} " + {
        "new": "by new accounts", "network": f"by network {group}", "prompt": f"under prompt {group}",
    }[kind]  # fmt: skip


def log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def other_rule(context: WindowContext) -> dict[str, float]:
    """Chance of each model to be in a battle of two providers: the first by weight, then the second."""
    registry = context.registry
    assert registry.policy is not None
    weights = {name: w for name, w in registry.policy.weights.items() if w > 0}
    owner = {name: registry.provider_of(name) or name for name in weights}
    whole, found = sum(weights.values()), dict.fromkeys(weights, 0.0)
    for first, w in weights.items():
        rest = {name: v for name, v in weights.items() if owner[name] != owner[first]}
        if not rest:
            return dict(registry.policy.appearance)
        found[first] += w / whole
        for second, v in rest.items():
            found[second] += w / whole * v / sum(rest.values())
    return found


def likeliest(counts: list[float], low: list[float], high: list[float]) -> list[float]:
    """The shares within bounds and with sum 1 of the highest likelihood, by halving the factor of the counts."""
    least, most = 1e-30, 1e4
    for _ in range(400):
        middle = math.sqrt(least * most)
        total = sum(clip(s * middle, a, b) for s, a, b in zip(counts, low, high, strict=True))
        least, most = (middle, most) if total < 1 else (least, middle)
    return [clip(s * most, a, b) for s, a, b in zip(counts, low, high, strict=True)]


class SamplingSkew:
    def __init__(self) -> None:
        self.since: int | None = None
        self.theta: dict[str, tuple[int, float]] = {}
        self.other: dict[str, float] = {}
        self.coming: dict[str, float] = {}
        self.chosen: dict[str, int] = {}
        self.closed: dict[str, float] = {}
        self.more: dict[str, bool] = {}
        self.unlisted: set[str] = set()
        self.joint, self.each = Policy(288), Policy(288)
        self.says = ""

    def declared(self, context: WindowContext) -> tuple[int, dict[str, tuple[int, float]]]:
        """From when on, and of each model its group and its share of that group's votes."""
        registry = context.registry
        if registry.policy is not None:
            self.says = "the policy"
            shares = {model: (0, pi / 2) for model, pi in registry.policy.appearance.items() if pi > 0}
            self.coming = {model: pi / 2 for model, pi in other_rule(context).items()}
            return registry.policy.since, shares
        self.coming = {}
        self.says = "no declared policy: equal shares within its licence group"
        groups: dict[str, list[str]] = {}
        changed = 0
        for model in registry.models.values():
            for at in (model.submitted_at, model.released_at, model.deprecated_at, model.retracted_at):
                changed = max(changed, at or 0)
            if model.license and not (model.deprecated_at or model.retracted_at):
                groups.setdefault(model.license, []).append(model.name)
        return changed, {
            name: (number, 1 / len(groups[group]))
            for number, group in enumerate(sorted(groups))
            for name in groups[group]
            if len(groups[group]) > 1
        }

    def log_e(self) -> dict[str, float]:
        """The Bayes factors of the policies so far: of each model, and of all together under "" ."""
        votes: dict[int, int] = {}
        for model, (group, _) in self.theta.items():
            votes[group] = votes.get(group, 0) + self.chosen.get(model, 0)
        found = {model: self.closed.get(model, 0.0) for model in self.theta}
        joint = self.closed.get("", 0.0)
        for group, n in votes.items():
            models = sorted(model for model, (number, _) in self.theta.items() if number == group)
            shares = [self.theta[model][1] for model in models]
            counts = [float(self.chosen.get(model, 0)) for model in models]
            around = [(t, self.other.get(model, t)) for model, t in zip(models, shares, strict=True)]
            off = self.tolerance(counts, shares, n)
            low, high = [min(t) * (1 - off) for t in around], [max(t) * (1 + off) for t in around]
            null = likeliest(counts, low, high)
            for k, (model, s, t) in enumerate(zip(models, counts, shares, strict=True)):
                one = clip(s / n if n else 0.0, low[k], high[k])
                found[model] += log_beta(250 * t + s, 250 * (1 - t) + n - s) - log_beta(250 * t, 250 * (1 - t))
                found[model] -= s * math.log(one) + (n - s) * math.log(1 - one)
                joint += math.lgamma(250 * t + s) - math.lgamma(250 * t) - s * math.log(null[k])
            joint += math.lgamma(250.0) - math.lgamma(250.0 + n)
        return found | {"": joint}

    @staticmethod
    def tolerance(counts: list[float], shares: list[float], n: int) -> float:
        enough = [(s, n * t, t) for s, t in zip(counts, shares, strict=True) if n * t >= 5]
        if len(enough) < 8:
            return 0.15
        off = statistics.median(abs(s / mean - 1) for s, mean, _ in enough)
        noise = statistics.median((1 - t) / mean for _, mean, t in enough)
        return clip(3 * math.sqrt(max((1.4826 * off) ** 2 - noise, 0.0)), 0.15, 0.5)

    def observe(self, window: Window, context: WindowContext) -> list[SlowSignal]:
        since, theta = self.declared(context)
        if not theta:
            return []
        signals: list[SlowSignal] = []
        if since != self.since:
            signals = self.begin(window)
            self.since, self.theta, self.other, self.chosen = since, theta, self.coming, {}
        if not window.accepted or not context.steady:
            return signals
        for model, votes in measure(window, "chosen").items():
            if model in theta:
                self.chosen[model] = self.chosen.get(model, 0) + votes
            elif context.registry.policy and model not in self.unlisted:
                self.unlisted.add(model)
                figures = {"window": [window.start, window.end]}
                signals.append(
                    SlowSignal(
                        window.end, "model", model, "shown though the policy gives it no weight", 1, None, figures
                    )
                )
        return signals + self.test(window)

    def begin(self, window: Window) -> list[SlowSignal]:
        """Alerts of the policy before end; other evidence is kept."""
        signals = []
        if self.since is not None:
            open_ = {k for p in (self.joint, self.each) for k, level in p.level.items() if level}
            factors = self.log_e()
            self.closed = {**self.closed, **{key: 0.0 if key in open_ else e for key, e in factors.items()}}
            signals = [
                SlowSignal(window.start, "", *self.named(key), 0) for key in sorted(open_, key=lambda k: k or "joint")
            ]
            self.joint.forget()
            self.each.forget()
        return signals

    def named(self, key: str) -> tuple[str, str]:
        if not key:
            return "board", "not as declared"
        return key, "more often than declared" if self.more[key] else "less often than declared"

    def test(self, window: Window) -> list[SlowSignal]:
        log_e = self.log_e()
        joint = {"": log_e.pop("")}
        votes: dict[int, int] = {}
        for model, (group, _) in self.theta.items():
            votes[group] = votes.get(group, 0) + self.chosen.get(model, 0)
        for model, (group, t) in self.theta.items():
            if not self.each.level.get(model):
                self.more[model] = self.chosen.get(model, 0) > votes[group] * t
        signals = []
        whole = sum(votes.values())
        for policy, values in ((self.joint, joint), (self.each, log_e)):
            raised, cleared = policy.step(values, 0.01, 0.01)
            for key in raised:
                figures: dict[str, Any] = {"window": [max(self.since or 0, 0), window.end], "votes": whole}
                if key:
                    group, t = self.theta[key]
                    figures |= {
                        "votes": votes[group], "seen": self.chosen.get(key, 0), "declared": round(t, 6),
                        "what": f"{self.chosen.get(key, 0)} of {votes[group]} votes (one side of each), "
                        f"{votes[group] * t:.0f} by {self.says}",
                    }  # fmt: skip
                e = math.exp(min(values[key], CAP))
                subject, way = self.named(key)
                signals.append(
                    SlowSignal(window.end, "model" if key else "board", subject, way, policy.level[key], e, figures)
                )
            signals += [SlowSignal(window.end, "", *self.named(key), 0) for key in cleared]
        return signals


@dataclass
class SilentModel:
    first: int
    since: int
    log_m: float = -math.inf
    log_e: float = 0.0
    battles: int = 0
    days: dict[int, int] = field(default_factory=dict)
    gone: bool = False


class SilentDeprecation:
    def __init__(self) -> None:
        self.models: dict[str, SilentModel] = {}
        self.policy = Policy(1)
        self.since, self.day = -1, -1
        self.least: dict[str, float] = {}

    def observe(self, window: Window, context: WindowContext) -> list[SlowSignal]:
        drawn = context.registry.policy.appearance if context.registry.policy else {}
        since = context.registry.policy.since if context.registry.policy else 0
        declared = {model: min(pi, 0.999) for model, pi in drawn.items() if pi > 0}
        other = other_rule(context) if declared else {}
        # Voters complete battles with some models less often, and pairs of one provider may be avoided.
        self.least = {model: min(pi, other[model]) * 0.85 for model, pi in declared.items()}
        for model in [*window.models, *declared]:
            self.models.setdefault(model, SilentModel(window.start, window.start))
        if since != self.since:
            for one in self.models.values():
                one.log_e = 0.0
        day = window.start // (24 * HOUR)
        signals = self.fade(window, context, day) if self.day not in (-1, day) else []
        self.since, self.day = since, day
        shown = measure(window, "appearances")
        for model, votes in shown.items():
            days = self.models[model].days
            days[day] = days.get(day, 0) + votes
        if context.steady and window.accepted:
            signals += self.step(window, context, declared, shown)
        return signals

    def step(
        self, window: Window, context: WindowContext, declared: dict[str, float], shown: dict[str, int]
    ) -> list[SlowSignal]:
        log_e = {}
        for model, one in self.models.items():
            if declared.get(model) and not shown.get(model):
                silence = -window.accepted * math.log(1 - declared[model])
                one.log_m = roberts(one.log_m, -window.accepted * math.log(1 - self.least[model]))
                one.log_e = min(one.log_e + silence, CAP)
                one.battles += window.accepted
            else:
                one.log_m = one.log_e = -math.inf
                one.battles, one.since = 0, window.end
            if model in declared:
                log_e[model] = mean_of([one.log_m - math.log(MONTH), one.log_e], [0.9, 0.1])
        raised, cleared = self.policy.step(log_e, context.false_alarms * 0.1, context.false_share * 0.1)
        signals = []
        for model in raised:
            one = self.models[model]
            figures = {
                "window": [one.since, window.end],
                "battles": one.battles,
                "declared": round(declared[model], 6),
                "what": f"not in one of the last {one.battles} battles, where {one.battles * declared[model]:.0f} are "
                "declared",
            }
            level = self.policy.level[model]
            signals.append(
                SlowSignal(window.end, "model", model, "no longer sampled", level, math.exp(log_e[model]), figures)
            )  # fmt: skip
        return signals + [SlowSignal(window.end, "", model, "no longer sampled", 0) for model in cleared]

    def fade(self, window: Window, context: WindowContext, day: int) -> list[SlowSignal]:
        signals = []
        for name, one in sorted(self.models.items()):
            votes = sum(n for d, n in one.days.items() if day - 52 <= d < day)
            if window.start - one.first < 52 * 24 * HOUR:
                continue
            model = context.registry.models.get(name)
            if one.gone and votes > 10:
                one.gone = False
                signals.append(SlowSignal(window.start, "", name, "at most 10 votes in 52 days", 0))
            elif not one.gone and votes <= 10 and model and not model.deprecated_at and not model.retracted_at:
                one.gone = True
                figures = {"window": [(day - 52) * 24 * HOUR, window.start], "votes": votes}
                signals.append(
                    SlowSignal(window.end, "model", name, "at most 10 votes in 52 days", 1, None, figures)
                )  # fmt: skip
        return signals
