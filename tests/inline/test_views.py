"""Views go over the wire and come back what they were; what cannot be a view is refused in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from inline.errors import ScanError
from inline.header import Encoding, Scan, Space
from inline.mrd.headers import ACQUISITION
from inline.scan import Counters, Readout
from inline.views import Kind, Projection, parameters_of, scanner_of
from recon_models.ct.geometry import Detector, Scanner, Shape, View

SCANNER = Scanner(0.595, 1.0856, Detector(Shape.CURVED, 736, 64, 1.2858e-3, 1.0947e-3, 368.625, 31.5), 1152)
SPACE = Space((736, 1152, 64), (0.5, 0.5, 0.04))


def scan(**changes: str) -> Scan:
    parameters = {name: str(value) for name, value in parameters_of(SCANNER).items()}
    return Scan((Encoding(SPACE, SPACE),), parameters={**parameters, **changes})


def readout(projection: Projection) -> Readout:
    header = np.zeros(1, ACQUISITION)[0]
    projection.describe(header)
    samples = projection.values.astype(np.complex64)
    return Readout(samples, np.zeros((0, 0), np.float32), Counters(), 0, 0, 0, 0.0, header)


def test_a_view_comes_back_as_it_was_sent() -> None:
    values = np.arange(8, dtype=np.float32).reshape(2, 4)
    sent = Projection(values, View(40.0, -0.1, 1e-3, 5e-4, -2e-4), 7000, Kind.COUNTS, 1e5, 1)
    got = Projection.from_readout(readout(sent))
    np.testing.assert_array_equal(got.values, values)
    np.testing.assert_allclose(got.view, sent.view, rtol=1e-6)
    assert (got.number, got.kind, got.photons, got.spectrum) == (7000, Kind.COUNTS, 1e5, 1)


def test_the_scanner_comes_back_as_it_was_described() -> None:
    back = scanner_of(scan())
    assert back.detector.central_column == SCANNER.detector.central_column
    assert replace(back, detector=SCANNER.detector).source_to_axis_m == pytest.approx(0.595)
    np.testing.assert_allclose(back.fan_angles(), SCANNER.fan_angles())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ct_detector": "spherical"}, "spherical"),
        ({"ct_rows": "many"}, "many"),
        ({"ct_column_mm": "0"}, "positive"),
        ({"ct_central_row": "nan"}, "positive"),
    ],
)
def test_a_scanner_that_cannot_be_is_refused(changes: dict[str, str], said: str) -> None:
    with pytest.raises(ScanError, match=said):
        scanner_of(scan(**changes))


def test_a_header_without_a_ct_says_what_is_missing() -> None:
    with pytest.raises(ScanError, match="ct_source_to_axis_mm"):
        scanner_of(Scan((Encoding(SPACE, SPACE),)))


def test_a_view_whose_geometry_is_no_number_is_refused() -> None:
    broken = Projection(np.zeros((1, 4), np.float32), View(float("nan")), 12)
    with pytest.raises(ScanError, match="view 12"):
        Projection.from_readout(readout(broken))
