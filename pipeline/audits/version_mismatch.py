"""`version_mismatch`: whether the released model is the one that was tested.

    rating   z = (tested − released − curse)/√(s₁² + s₂²), s₁ and s₂ the standard errors, curse that of the best of N
    style    standardised mean difference d of each style feature, z = d/√(1/n + 1/m); fires if both d ≥ .2 (Cohen's
             small effect) and p < .01, Bonferroni over the features: with enough votes any difference is significant
    rank     under style control against plain, of both: a chat-tuned variant gains by style
    digest   of the checkpoints, where both are registered: a fact

Motivating case: 1417 points and #2 as tested, #5 under style control, the released model about #32. Two identical
checkpoints that scored 1069 and 1052, or 1097 and 1059, must not fire.

Blind spot: to voters, the same weights with another system prompt or temperature look like another model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt

from pipeline.audits.finding import ALPHA, Finding, two_sided
from pipeline.errors import BadCounts
from pipeline.ratings.winners_curse import mismatch_z

AUDIT = "version_mismatch"
_SMALL = 0.2
# Features are whole numbers: rounding alone has this standard deviation, even if all answers are equal.
_ROUNDING = 12**-0.5


@dataclass(frozen=True, slots=True)
class StyleStatistics:
    """A style feature of a model's answers: mean and standard deviation over n answers."""

    mean: float
    sd: float
    n: int


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A model as a board shows it, tested or released.

    Attributes:
        model: key of the model.
        rating, se: rating and standard error in points; None if not rated.
        rank, style_rank: rank, and rank under style control; None if missing.
        digest: digest of the checkpoint; None if unknown.
        style: feature → statistics.
    """

    model: str
    rating: float | None = None
    se: float | None = None
    rank: int | None = None
    style_rank: int | None = None
    digest: str | None = None
    style: Mapping[str, StyleStatistics] = field(default_factory=dict)


def style_difference(tested: StyleStatistics, released: StyleStatistics) -> tuple[float, float]:
    """Return d and z of a style feature: d is (tested − released mean) / pooled standard deviation, z its statistic.

    Raises:
        BadCounts: fewer than two answers, or a negative standard deviation.
    """
    for style in (tested, released):
        if style.n < 2 or not style.sd >= 0:
            raise BadCounts(f"expected two or more answers and a deviation of at least 0, got {style}")
    degrees = tested.n + released.n - 2
    pooled = sqrt(((tested.n - 1) * tested.sd**2 + (released.n - 1) * released.sd**2) / degrees)
    d = (tested.mean - released.mean) / max(pooled, _ROUNDING)
    return d, d / sqrt(1 / tested.n + 1 / released.n)


def version_mismatch(tested: ModelVersion, released: ModelVersion, curse: float = 0.0) -> tuple[Finding, ...]:
    """Return the findings of comparing the released model with the tested one.

    Args:
        tested, released: the two models.
        curse: winner's curse of the tested score, points (`ratings.winners_curse`).
    """
    return (*_digests(tested, released), *_ratings(tested, released, curse), *_styles(tested, released))


def _digests(tested: ModelVersion, released: ModelVersion) -> list[Finding]:
    if None in (tested.digest, released.digest) or tested.digest == released.digest:
        return []
    what = f"{tested.model} was tested with checkpoint {tested.digest}, {released.model} is {released.digest}"
    figures = {"tested": tested.digest, "released": released.digest}
    return [Finding(AUDIT, "model", released.model, "another checkpoint", "critical", what, None, figures)]


def _ratings(tested: ModelVersion, released: ModelVersion, curse: float) -> list[Finding]:
    if tested.rating is None or released.rating is None or tested.se is None or released.se is None:
        return []
    z = mismatch_z(tested.rating, tested.se, released.rating, released.se, curse)
    p = two_sided(z)
    if p >= ALPHA:
        return []
    what = (
        f"{tested.model} scored {tested.rating:.0f} as tested{_ranks(tested)}, {released.model} scores "
        f"{released.rating:.0f}{_ranks(released)}: z = {z:.1f}"
    )
    figures = {
        "tested": tested.model, "tested_rating": tested.rating, "tested_se": tested.se, "tested_rank": tested.rank,
        "tested_style_rank": tested.style_rank, "released_rating": released.rating, "released_se": released.se,
        "released_rank": released.rank, "released_style_rank": released.style_rank, "curse": curse, "z": z,
    }  # fmt: skip
    direction = "weaker than tested" if z > 0 else "stronger than tested"
    return [Finding(AUDIT, "model", released.model, direction, "critical" if z > 0 else "warning", what, p, figures)]


def _ranks(version: ModelVersion) -> str:
    if version.rank is None:
        return ""
    controlled = "" if version.style_rank is None else f", #{version.style_rank} under style control"
    return f" (#{version.rank}{controlled})"


def _styles(tested: ModelVersion, released: ModelVersion) -> list[Finding]:
    names = sorted(tested.style.keys() & released.style.keys())
    findings = []
    for name in names:
        d, z = style_difference(tested.style[name], released.style[name])
        p = two_sided(z)
        if abs(d) < _SMALL or p * len(names) >= ALPHA:
            continue
        what = (
            f"{name}: {tested.style[name].mean:.1f} an answer as tested, {released.style[name].mean:.1f} as released: "
            f"d = {d:.2f}, z = {z:.1f}"
        )
        figures = {"tested": tested.model, "feature": name, "d": d, "z": z}
        findings.append(Finding(AUDIT, "model", released.model, f"another style: {name}", "warning", what, p, figures))
    return findings
