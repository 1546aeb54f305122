"""What an audit says: one finding about one subject.

A test's p-value becomes evidence by e = 1/(2√p): E[e] ≤ 1 where nothing is wrong (Vovk & Wang 2021, "E-values:
calibration, combination and applications", Annals of Statistics 49(3), κ = 1/2), so that findings of a day can be held
together by e-LOND. A fact has neither.

>>> round(calibrated(1e-4), 6)
50.0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scipy.special import ndtr

from pipeline.errors import BadCounts
from pipeline.scoring.signals import Severity, SubjectKind

ALPHA = 0.01
"""A test fires below this p-value."""

# Below it a p-value is 0 in floating point, and its e-value would be infinite.
_LEAST = 1e-300


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, with whom, and how that is known.

    Attributes:
        audit: which audit says so.
        subject_kind, subject: about whom.
        direction: which of the audit's rules; with audit and subject the key.
        severity: how much it matters if it is true.
        what: a sentence with its figures.
        p_value: of this test alone; None for a fact.
        evidence: the figures, by name.
        tests: how many tests its audit made at the same time; its evidence is shared among them.
    """

    audit: str
    subject_kind: SubjectKind
    subject: str
    direction: str
    severity: Severity
    what: str
    p_value: float | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    tests: int = 1

    @property
    def e_value(self) -> float | None:
        """The evidence; None for a fact. The mean of m e-values is one, and this is the test's part of the mean."""
        return None if self.p_value is None else calibrated(self.p_value) / self.tests


def calibrated(p: float) -> float:
    """The e-value that a p-value is worth.

    Raises:
        BadCounts: not a probability.
    """
    if not 0 <= p <= 1:
        raise BadCounts(f"expected a p-value in [0, 1], got {p}")
    return float(0.5 * max(p, _LEAST) ** -0.5)


def two_sided(z: float) -> float:
    """P(|Z| ≥ |z|) of a standard normal."""
    return float(2 * ndtr(-abs(z)))
