"""Declares quantiles of the standard normal distribution."""

Z_95 = 1.959963984540054
"""Half the width of a two-sided 95% interval, in standard errors: Φ⁻¹(0.975)."""
