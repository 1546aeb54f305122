"""Defines the result of an audit: a finding about one subject.

The null hypothesis of a finding's test is that nothing is wrong with its subject. The e-value of a test with p-value p
is e = 1/(2√p), whose expectation under the null hypothesis is at most 1 (Vovk & Wang 2021, "E-values: calibration,
combination and applications", Annals of Statistics 49(3), κ = 1/2). With e-values, e-LOND can combine the findings of
many days. A finding that states an observed fact instead of a test has neither a p-value nor an e-value.

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
"""A test leads to a finding if its p-value is below this level."""

# Below it a p-value is 0 in floating point, and its e-value would be infinite.
_LEAST = 1e-300


@dataclass(frozen=True, slots=True)
class Finding:
    """One irregularity with its subject and evidence.

    Attributes:
        audit: name of the audit.
        subject_kind: what the subject is, such as a model or a provider.
        subject: name of the subject.
        direction: what is wrong, in a few words. Audit, subject and direction identify a finding over several sweeps.
        severity: how much the finding matters if it is true.
        what: one sentence with the figures.
        p_value: p-value of this test alone; None if the finding states an observed fact instead of a test.
        evidence: name → figure.
        tests: number of tests in the same run of the audit, by which the e-value is divided.
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
        """The e-value against the null hypothesis that nothing is wrong, divided by `tests`; None without a test.

        Because of the division, the sum over all tests of the audit is an e-value too.
        """
        return None if self.p_value is None else p_to_e_value(self.p_value) / self.tests


def p_to_e_value(p: float) -> float:
    """Convert a p-value to the e-value 1/(2√p).

    Raises:
        BadCounts: `p` is not a probability.
    """
    if not 0 <= p <= 1:
        raise BadCounts(f"expected a p-value in [0, 1], got {p}")
    return float(0.5 * max(p, _LEAST) ** -0.5)


def two_sided(z: float) -> float:
    """Return the two-sided p-value of z: P(|Z| ≥ |z|) for a standard normal Z."""
    return float(2 * ndtr(-abs(z)))
