"""The kernels and transforms of this machine against their twins in double precision: parity beside latency."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from hardware.device import Array, Device
from hardware.fourier import to_image
from hardware.kernels import backproject, project, rebin, twins
from hardware.latency import Latency

ALLOWED: Final = 1e-4
"""NRMSE that single precision explains: a place some hundred columns away is known to 3e-5 of a column, and the values
here change from one column to the next."""

_SIDE, _COLUMNS, _VIEWS = 256, 368, 64


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to compute.

    Attributes
    ----------
    name
        For the report.
    arrays
        What goes in.
    compute, specification
        The same function, as it is shipped and as it is defined.
    """

    name: str
    arrays: tuple[Array, ...]
    compute: Callable[..., Array]
    specification: Callable[..., Array]


def cases() -> list[Case]:
    """Return one case of each kernel, and of the Fourier transform."""
    random = np.random.default_rng(0)
    angles = np.arange(_VIEWS) * (np.pi / _VIEWS)
    along = np.stack([np.cos(angles), np.sin(angles)], 1)
    origin = (_COLUMNS - 1) / 2 - along.sum(1) * (_SIDE - 1) / 2
    lines = np.concatenate([origin[:, None], along], 1).astype(np.float32)
    image = random.standard_normal((_SIDE, _SIDE)).astype(np.float32)
    views = random.standard_normal((_VIEWS, _COLUMNS)).astype(np.float32)
    shift = random.uniform(-8, 8, _COLUMNS).astype(np.float32)
    column = random.uniform(-1, _COLUMNS, _COLUMNS).astype(np.float32)
    kspace = (image + 1j * image[::-1]).astype(np.complex64)
    return [
        Case("backproject", (image, views, lines), _backprojected, twins.backproject),
        Case(
            "project",
            (image, lines),
            lambda image, lines: project(image, lines, _COLUMNS),
            lambda image, lines: twins.project(image, lines, _COLUMNS),
        ),
        Case(
            "rebin",
            (views, shift, column),
            lambda fan, shift, column: rebin(fan, shift, column, 0, _VIEWS),
            lambda fan, shift, column: twins.rebin(fan, shift, column, 0, _VIEWS),
        ),
        Case("fft", (kspace,), _transformed, lambda given: _transformed(given.astype(np.complex128))),
    ]


def _backprojected(image: Array, views: Array, lines: Array) -> Array:
    total: Array = image.copy()
    backproject(total, views, lines)
    return total


def _transformed(kspace: Array) -> Array:
    return to_image(kspace, (0, 1))


def kernels(device: Device, runs: int) -> list[dict[str, Any]]:
    """Compute every case on a device; what does not run says why.

    Returns
    -------
    list of dict
        ``kernel``, ``device``, ``executed``, ``agrees``, ``nrmse``, ``max_abs`` and ``latency`` in seconds; on a GPU
        the transfers are counted in.
    """
    return [_tried(case, device, runs) for case in cases()]


def _tried(case: Case, device: Device, runs: int) -> dict[str, Any]:
    said = {"kernel": case.name, "device": device.name}
    try:
        found = _run(case, device)
        latency = Latency()
        for _ in range(runs):
            with latency.measure():
                _run(case, device)
    except Exception as error:  # CuPy and the driver raise classes of their own, which must not be imported here
        return said | {"executed": False, "agrees": None, "reason": f"{type(error).__name__}: {error}"}
    wanted = case.specification(*case.arrays)
    error_norm = float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))
    return said | {
        "executed": True,
        "agrees": error_norm <= ALLOWED,
        "nrmse": error_norm,
        "max_abs": float(np.abs(found - wanted).max()),
        "latency": latency.summary(),
    }


def _run(case: Case, device: Device) -> Array:
    return device.fetch(case.compute(*(device.put(array) for array in case.arrays)))
