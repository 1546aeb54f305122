"""The result of an audit: a finding about one subject.

The p-value of a test becomes evidence by e = 1/(2√p): E[e] ≤ 1 where nothing is wrong (Vovk & Wang 2021, "E-values:
calibration, combination and applications", Annals of Statistics 49(3), κ = 1/2), so that e-LOND can combine the
findings of many days. A fact has no p-value and no evidence.

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
        severity: how much the finding matters if it is true.
        what: a sentence with the figures.
        p_value: p-value of this test alone; None for a fact.
        evidence: the figures, by name.
        tests: number of tests that the audit made at the same time; the e-value is divided by this number.
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
        """The e-value of the test divided by `tests`, so that those of all tests sum to an e-value; None for a fact."""
        return None if self.p_value is None else p_to_e_value(self.p_value) / self.tests


def p_to_e_value(p: float) -> float:
    """Return the e-value of a p-value, 1/(2√p).

    Raises:
        BadCounts: not a probability.
    """
    if not 0 <= p <= 1:
        raise BadCounts(f"expected a p-value in [0, 1], got {p}")
    return float(0.5 * max(p, _LEAST) ** -0.5)


def two_sided(z: float) -> float:
    """Return P(|Z| ≥ |z|) of a standard normal Z."""
    return float(2 * ndtr(-abs(z)))
