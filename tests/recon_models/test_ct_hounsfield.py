"""Numbers of Hounsfield: water 0, nothing -1000, and back."""

from __future__ import annotations

import numpy as np
import pytest

from recon_models.ct.hounsfield import attenuation, hounsfield


def test_water_is_zero_and_nothing_is_minus_a_thousand() -> None:
    found = hounsfield(np.array([19.2, 0.0, 38.4], np.float32), 19.2)
    np.testing.assert_allclose(found, [0, -1000, 1000], atol=1e-3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(attenuation(found, 19.2), [19.2, 0, 38.4], atol=1e-4)


@pytest.mark.parametrize("water", [0.0, -1.0, float("nan"), float("inf")])
def test_a_calibration_that_cannot_be_is_refused(water: float) -> None:
    with pytest.raises(ValueError, match="water"):
        hounsfield(np.zeros(1), water)
