"""Tests whether models appeared in battles as often as the sampling policy declares.

A model appears once in each battle in which it is one of the two models. The rate of a model is its number of
appearances divided by the number of battles. The rate of a provider or a licence group is the sum over its models, so a
battle between two of them counts twice. A share is a part of all appearances; the shares of all models sum to 1.

Formulas: a model with declared probability π appears x ~ Bin(n, π) times in n battles; its p-value is twice the smaller
exact tail. A group appears 0, 1 or 2 times in a battle, with mean m and variance at most m(2 − m). So
z = (x − nm)/√(nm(2 − m)) is conservative. Tests of single days are corrected for the number of days and subjects
(Bonferroni).

Published examples (Singh et al. 2025, "The Leaderboard Illusion", section 4): two providers had 19.2% and 20.4% of the
data, and all 83 open-weight models together 29.7%. The highest daily rate of one provider was 34.2%, of another 3.3%. A
model was drawn in 34% of a day's battles, although its declared rate was 13.6%.

Blind spot: the reason for a share. A provider with twenty models rightly has a larger share than a provider with two.
Only a comparison with the declared policy takes this into account.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, bdtrc, ndtr

from pipeline.audits import shares
from pipeline.audits.finding import ALPHA, Finding
from pipeline.errors import BadCounts
from pipeline.scoring.signals import SubjectKind
from pipeline.vocabulary.arrays import Float64, Int64

AUDIT = "sampling_fairness"


@dataclass(frozen=True, slots=True, eq=False)
class DailyAppearances:
    """Appearances of K models on D days.

    Attributes:
        models: names of the K models.
        days: labels of the D days, ascending.
        battles: int64[D], number of battles on each day.
        appearances: int64[D, K], number of battles with each model on each day.
        declared: float64[D, K], the declared share of battles with each model, by the policy in force; NaN on days
            without a policy.

    Raises:
        BadCounts: shapes do not match, or a model has more appearances than the day has battles. The message names the
            day.
    """

    models: tuple[str, ...]
    days: tuple[str, ...]
    battles: Int64
    appearances: Int64
    declared: Float64

    def __post_init__(self) -> None:
        shape = (len(self.days), len(self.models))
        if self.battles.shape != shape[:1] or self.appearances.shape != shape or self.declared.shape != shape:
            raise BadCounts(f"expected {shape[0]} days by {shape[1]} models, got {self.appearances.shape}")
        bad = (self.appearances < 0) | (self.appearances > self.battles[:, None])
        if bad.any():
            d, k = (int(place) for place in np.argwhere(bad)[0])
            found = f"{self.appearances[d, k]} of {self.battles[d]} on {self.days[d]}"
            raise BadCounts(f"expected {self.models[k]} in 0 to all battles of a day, got {found}")


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """Appearances of one model, provider or licence group.

    Attributes:
        kind: `model`, `provider` or `license`.
        name: name of the subject.
        models: number of models of the subject.
        appearances: number of appearances of these models.
        share: share of all appearances.
        rate: appearances per battle over all days.
        peak: the highest rate on one day.
        peak_day: the day with the highest rate.
        declared: declared appearances per battle over the days with a policy; None without a policy.
        p_value: p-value of all days with a policy together; None without a policy.
        far: the day with the smallest p-value, as (rate, day, declared rate); None without a policy.
        peak_p_value: p-value of the day in `far`, Bonferroni-corrected for the number of days.
    """

    kind: str
    name: str
    models: int
    appearances: int
    share: float
    rate: float
    peak: float
    peak_day: str
    declared: float | None
    p_value: float | None
    far: tuple[float, str, float] | None
    peak_p_value: float | None


@dataclass(frozen=True, slots=True)
class SamplingLedger:
    """Appearances of every model, provider and licence group.

    Attributes:
        days: labels of the days, ascending.
        battles: number of battles on all days.
        models: one line for each model, largest share first.
        providers: one line for each provider, largest share first.
        licenses: one line for each licence group, largest share first.
        hhi: concentration over providers, the sum of the squared shares.
        gini: Gini coefficient of the appearances of models.
    """

    days: tuple[str, ...]
    battles: int
    models: tuple[LedgerLine, ...]
    providers: tuple[LedgerLine, ...]
    licenses: tuple[LedgerLine, ...]
    hhi: float
    gini: float


def ledger(shown: DailyAppearances, provider: Mapping[str, str], license_group: Mapping[str, str]) -> SamplingLedger:
    """Sum the appearances by model, provider and licence group, and test the sums against the declared policy.

    Args:
        shown: the appearances of each model on each day.
        provider: model → its provider; a model that is missing counts as "unknown".
        license_group: model → its licence group; a model that is missing counts as "unknown".

    Raises:
        BadCounts: there are no battles.
    """
    if not shown.battles.sum():
        raise BadCounts("expected at least one battle, got none")
    by_provider = [provider.get(model, shares.UNKNOWN) for model in shown.models]
    by_license = [license_group.get(model, shares.UNKNOWN) for model in shown.models]
    models = _lines(shown, "model", list(shown.models))
    providers = _lines(shown, "provider", by_provider)
    return SamplingLedger(
        shown.days, int(shown.battles.sum()), models, providers, _lines(shown, "license", by_license),
        shares.hhi([line.appearances for line in providers]), shares.gini([line.appearances for line in models]),
    )  # fmt: skip


def sampling_findings(book: SamplingLedger) -> tuple[Finding, ...]:
    """Return the findings about models, providers and licence groups that appeared more or less often than declared.

    The null hypothesis of a line (a model, provider or group) is that battles were sampled as declared. Its p-value is
    twice the smaller of two p-values: for all days together, and for the most extreme day. A line gives a finding if
    its p-value times the number of lines of its kind is below ALPHA (Bonferroni).
    """
    findings = []
    for kind, lines in (("model", book.models), ("provider", book.providers), ("board", book.licenses)):
        for line in lines:
            if line.p_value is None or line.peak_p_value is None or line.declared is None:
                continue
            daily = line.peak_p_value < line.p_value
            p = min(1.0, 2 * min(line.p_value, line.peak_p_value))
            if p * len(lines) < ALPHA:
                findings.append(_finding(kind, line, daily, p))  # type: ignore[arg-type]  # a SubjectKind, above
    return tuple(findings)


def _finding(kind: SubjectKind, line: LedgerLine, daily: bool, p: float) -> Finding:
    seen, when, declared = line.rate, "over all days", line.declared or 0.0
    if daily and line.far is not None:
        seen, when, declared = line.far[0], f"on {line.far[1]}", line.far[2]
    what = f"{line.name} was shown in {seen:.1%} of the battles {when}, declared are {declared:.1%}"
    direction = "more than declared" if seen > declared else "less than declared"
    figures = {
        "kind": line.kind, "appearances": line.appearances, "share": line.share, "rate": line.rate, "peak": line.peak,
        "peak_day": line.peak_day, "declared": line.declared, "far": line.far,
    }  # fmt: skip
    severity = "critical" if p < ALPHA**4 else "warning"
    return Finding(AUDIT, kind, line.name, direction, severity, what, p, figures)  # type: ignore[arg-type]


def _lines(shown: DailyAppearances, kind: str, group: Sequence[str]) -> tuple[LedgerLine, ...]:
    names = sorted(set(group))
    member = np.array([[name == one for one in group] for name in names], dtype=np.int64)
    count, declared = shown.appearances @ member.T, shown.declared @ member.T
    total = int(shown.appearances.sum())
    lines = [
        _line(shown, kind, name, int(member[i].sum()), count[:, i], declared[:, i], total)
        for i, name in enumerate(names)
    ]
    return tuple(sorted(lines, key=lambda line: (-line.share, line.name)))


def _line(
    shown: DailyAppearances, kind: str, name: str, models: int, count: Int64, declared: Float64, total: int
) -> LedgerLine:
    live = shown.battles > 0
    rates = np.divide(count, shown.battles, out=np.zeros(len(count)), where=live)
    peak = int(rates.argmax())
    dated = np.flatnonzero(live & np.isfinite(declared))
    expected, p, far, worst = None, None, None, None
    if len(dated):
        n, x = shown.battles[dated], count[dated]
        expected = float((declared[dated] * n).sum() / n.sum())
        p = float(_p_values(x.sum(), n.sum(), np.float64(expected), models))
        days = _p_values(x, n, declared[dated], models)
        at = int(dated[int(days.argmin())])
        far = float(rates[at]), shown.days[at], float(declared[at])
        worst = min(1.0, float(days.min()) * len(days))
    sum_of_battles = int(shown.battles.sum())
    return LedgerLine(
        kind, name, models, int(count.sum()), int(count.sum()) / total, int(count.sum()) / sum_of_battles,
        float(rates[peak]), shown.days[peak], expected, p, far, worst,
    )  # fmt: skip


def _p_values(x: npt.ArrayLike, n: npt.ArrayLike, mean: npt.ArrayLike, models: int) -> Float64:
    """Return the two-sided p-value of each count: exact for one model, a conservative normal bound for a group.

    Args:
        x: numbers of appearances. The first three arguments broadcast.
        n: numbers of battles.
        mean: declared appearances per battle.
        models: number of models of the subject.
    """
    shown, battles = (np.asarray(value, dtype=np.int64) for value in (x, n))
    m = np.asarray(mean, dtype=np.float64)
    if models == 1 and (m <= 1).all():
        tails = np.minimum(bdtr(shown, battles, m), np.where(shown > 0, bdtrc(np.maximum(shown - 1, 0), battles, m), 1))
        result: Float64 = np.minimum(2 * tails, 1.0)
        return result
    spread = np.sqrt(battles * np.clip(m * (2 - m), 0, None))
    off = shown - battles * m
    tails = ndtr(-np.abs(off) / np.where(spread > 0, spread, 1.0))
    result = np.where(spread > 0, 2 * tails, np.where(off == 0, 1.0, 0.0))
    return result  # noqa: RET504  # the name has the type
