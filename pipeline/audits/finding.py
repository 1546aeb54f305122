"""The result of an audit: one finding about one subject.

A test's p-value becomes evidence by e = 1/(2√p): E[e] ≤ 1 where nothing is wrong (Vovk & Wang 2021, "E-values:
calibration, combination and applications", Annals of Statistics 49(3), κ = 1/2), so that e-LOND can combine
the findings of many days. A fact has neither.

>>> round(p_to_e_value(1e-4), 6)
50.0
"""

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
    """One irregularity with its subject and evidence.

    Attributes:
        direction: the rule of the audit that fired; key together with audit and subject.
        severity: how much it matters if it is true.
        what: a sentence with the figures.
        p_value: of this test alone; None for a fact.
        evidence: the figures, by name.
        tests: number of tests that the audit made at the same time; the evidence is divided by it.
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
        """The evidence; None for a fact. The mean of m e-values is an e-value; this is the test's share of it."""
        return None if self.p_value is None else p_to_e_value(self.p_value) / self.tests


def p_to_e_value(p: float) -> float:
    """Calibrates a p-value to an e-value.

    Raises:
        BadCounts: not a probability.
    """
    if not 0 <= p <= 1:
        raise BadCounts(f"expected a p-value in [0, 1], got {p}")
    return float(0.5 * max(p, _LEAST) ** -0.5)


def two_sided(z: float) -> float:
    """P(|Z| ≥ |z|) of a standard normal."""
    return float(2 * ndtr(-abs(z)))
