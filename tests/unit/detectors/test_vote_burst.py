"""The spread of shares that `vote_burst` learns, against its formula."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.detectors.window.learned_shares import concentration


def test_the_spread_is_a_mean_within_its_bounds() -> None:
    # Sums and numbers of keys and windows: a mean of .02, one below 1/2,000, one above 1/20, and none yet.
    spread = np.array([[0.2, 10.0], [0.0001, 10.0], [5.0, 10.0], [0.0, 0.0]])
    assert concentration(spread).tolist() == pytest.approx([0.02, 1 / 2_000, 1 / 20, 1 / 2_000])
