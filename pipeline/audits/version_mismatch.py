"""Runs the audit `version_mismatch`: tests whether the released model is the model that was tested.

Four things are compared:
    rating   z = (tested − released − curse)/√(s₁² + s₂²), with the standard errors s₁ and s₂ and the winner's curse of
             the best of N
    style    the standardised mean difference d of each style feature, with z = d/√(1/n + 1/m). There is a finding if d
             is at least 0.2 (Cohen's small effect) and p is below 0.01 after Bonferroni correction over the features.
             Without the limit on d, any difference would be significant with enough votes
    rank     the ranks of both models with and without style control. They are shown beside the ratings, because a
             variant tuned for chat usually ranks lower under style control
    digest   the digests of the checkpoints, if both are registered; a difference is certain and has no p-value

Motivating case: the tested model had 1417 points, rank 2, and rank 5 under style control; the released model had a rank
of about 32. The audit must not report identical checkpoints that scored 1069 and 1052, or 1097 and 1059.

Blind spot: the same weights with another system prompt or temperature look like another model.
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
    """Mean and standard deviation `sd` of one style feature over n answers of a model."""

    mean: float
    sd: float
    n: int


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """What is known about a model, as it was tested or as it was released: rating, ranks, checkpoint and style.

    Attributes:
        model: key of the model.
        rating: rating in points; None if not rated.
        se: standard error of the rating in points; None if not rated.
        rank: rank without style control; None if not known.
        style_rank: rank under style control; None if not known.
        digest: digest of the checkpoint; None if not known.
        style: style feature → its statistics over the model's answers.
    """

    model: str
    rating: float | None = None
    se: float | None = None
    rank: int | None = None
    style_rank: int | None = None
    digest: str | None = None
    style: Mapping[str, StyleStatistics] = field(default_factory=dict)


def style_difference(tested: StyleStatistics, released: StyleStatistics) -> tuple[float, float]:
    """Return the standardised mean difference d of a style feature, and its statistic z.

    d is (mean of tested − mean of released) / pooled standard deviation, and z is d/√(1/n + 1/m).

    Raises:
        BadCounts: a model has fewer than two answers, or a standard deviation is negative.
    """
    for style in (tested, released):
        if style.n < 2 or not style.sd >= 0:
            raise BadCounts(f"expected two or more answers and a deviation of at least 0, got {style}")
    degrees = tested.n + released.n - 2
    pooled = sqrt(((tested.n - 1) * tested.sd**2 + (released.n - 1) * released.sd**2) / degrees)
    d = (tested.mean - released.mean) / max(pooled, _ROUNDING)
    return d, d / sqrt(1 / tested.n + 1 / released.n)


def version_mismatch(tested: ModelVersion, released: ModelVersion, curse: float = 0.0) -> tuple[Finding, ...]:
    """Compare the released model with the tested model.

    A rating, digest or style feature is compared only if it is known for both models.

    Args:
        tested: the model as it was tested.
        released: the model as it was released.
        curse: winner's curse in the rating of the tested model, in points (`ratings.winners_curse`).

    Returns:
        The findings about differences that chance does not explain, in this order: the checkpoint, the rating, the
        style.
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
