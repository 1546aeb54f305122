"""Quantiles against scipy."""

from __future__ import annotations

import pytest
from scipy.special import ndtri

from pipeline.vocabulary.z_values import Z_95


@pytest.mark.long
def test_z_95_is_the_quantile_of_a_two_sided_95_percent_interval() -> None:
    assert ndtri(0.975) == Z_95
