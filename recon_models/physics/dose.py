"""Noise of a CT at a dose: photons that are counted, electronics that add to them, and noise put into a finished scan.

An element through which a N0 photons come in air, a the relative dose, counts

    N = Poisson(a N0 exp(-p)) + Normal(0, s^2),        p' = -ln(max(N, 1) / (a N0)),

so that a line integral p has the variance exp(p) / (a N0) + s^2 exp(2 p) / (a N0)^2. What a scan at full dose lacks of
the variance at dose a is what `insert` adds.

Sources: Yu et al., "Development and validation of a practical lower-dose-simulation tool for optimizing computed
tomography scan protocols", J Comput Assist Tomogr 36:477 (2012), the quantum term and the bowtie filter; Zabic et al.,
Med Phys 40:031102 (2013), the electronic term; Gies et al., Med Phys 26:2235 (1999), the modulated current.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recon_models.ct.geometry import Scanner
from recon_models.physics.bodies import MU_WATER

Real = npt.NDArray[np.float64]

PHOTONS: Final = 2e5
"""That reach an element on the central ray through air at full dose."""
ELECTRONIC: Final = 9.0
"""Standard deviation of the electronics' noise in photons."""
LEAST: Final = 1.0
"""Fewer photons than that count as that many: a logarithm needs something."""

_FILTERED: Final = 0.4  # of the water that a bowtie filter makes up for
_WEAKEST: Final = 0.08


def bowtie(scanner: Scanner, radius_m: float = 0.16) -> Real:
    """Part of the photons that a bowtie filter lets through to each column.

    The filter makes up for part of what the rim of a cylinder of water attenuates less than its middle.

    Parameters
    ----------
    scanner
        The geometry.
    radius_m
        Of the cylinder.

    Returns
    -------
    Array
        (columns,) float64, 1 on the central ray.
    """
    from_axis = scanner.source_to_axis_m * np.sin(scanner.fan_angles())
    chord = 2 * np.sqrt(np.maximum(radius_m**2 - from_axis**2, 0))
    return np.maximum(np.exp(-_FILTERED * MU_WATER * (2 * radius_m - chord)), _WEAKEST)


def modulation(attenuation: npt.ArrayLike, strength: float = 0.5) -> Real:
    """Tube current of each view, 1 on average, that follows what the patient attenuates.

    Parameters
    ----------
    attenuation
        (views,) largest line integral of each view.
    strength
        Exponent of exp(attenuation): 0.5 gives the least noise for the dose (Gies 1999, eq. 11), 0 a constant current.
    """
    largest = np.asarray(attenuation, np.float64)
    current = np.exp(strength * (largest - largest.max()))
    return np.asarray(current / current.mean())


def counts(line_integrals: Any, photons: Any, electronic: float, random: np.random.Generator) -> Real:
    """Photons that an element counts behind a patient; electronic noise can make them negative.

    Parameters
    ----------
    line_integrals
        Noise-free, of any shape.
    photons
        Expected through air, broadcastable.
    electronic
        Standard deviation of the electronics' noise in photons.
    random
        Where the noise comes from.
    """
    expected = np.asarray(photons * np.exp(-np.asarray(line_integrals)))
    return np.asarray(random.poisson(expected) + electronic * random.standard_normal(expected.shape))


def logarithm(counted: Any, photons: Any) -> Real:
    """Line integrals of counted photons; fewer than `LEAST` count as that many."""
    return np.asarray(-np.log(np.maximum(counted, LEAST) / photons))


def noisy(line_integrals: Any, photons: Any, electronic: float, random: np.random.Generator) -> Real:
    """Line integrals as a scan with so many photons measures them; parameters as of `counts`."""
    return logarithm(counts(line_integrals, photons, electronic, random), photons)


def variance(line_integrals: Any, photons: Any, electronic: float = ELECTRONIC) -> Real:
    """Variance of measured line integrals, in first order of the noise."""
    starved = np.exp(np.asarray(line_integrals)) / photons
    return np.asarray(starved + (electronic * starved) ** 2)


def insert(line_integrals: Any, dose: float, photons: Any, electronic: float, random: np.random.Generator) -> Real:
    """Put noise into measured line integrals, so that they look like those of a lower dose.

    Parameters
    ----------
    line_integrals
        Measured at full dose, with its noise.
    dose
        Part of the full dose, above 0 and up to 1.
    photons
        Through air at full dose, broadcastable.
    electronic
        Standard deviation of the electronics' noise in photons; it does not fall with the dose.
    random
        Where the noise comes from.

    Raises
    ------
    ValueError
        If the dose is not above 0 and up to 1.
    """
    if not 0 < dose <= 1:
        raise ValueError(f"noise can bring a scan down to a part of its dose above 0 and up to 1, not to {dose:g}")
    measured = np.asarray(line_integrals)
    missing = variance(measured, dose * np.asarray(photons), electronic) - variance(measured, photons, electronic)
    return np.asarray(measured + np.sqrt(np.maximum(missing, 0)) * random.standard_normal(measured.shape))
