"""A running mean against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d

from dsp.means import running_mean


@pytest.mark.parametrize("size", [1, 2, 7, 8, 31, 200])
@pytest.mark.parametrize("shape", [(1,), (30,), (3, 40)])
def test_a_running_mean(shape: tuple[int, ...], size: int) -> None:
    values = np.random.default_rng(size).standard_normal(shape)
    expected = uniform_filter1d(values, size, mode="nearest")
    np.testing.assert_allclose(running_mean(values, size), expected, atol=1e-12)
