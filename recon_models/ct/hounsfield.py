"""Attenuation in numbers of Hounsfield: HU = 1000 (mu - mu_water) / mu_water, water 0 and nothing -1000.

Source: Hounsfield, Br J Radiol 46:1016 (1973), in the scale of today (Kak and Slaney, "Principles of Computerized
Tomographic Imaging" (1988), section 4.1).
"""

from __future__ import annotations

from hardware.device import Array


def hounsfield(attenuation: Array, water: float) -> Array:
    """Return the numbers of attenuations in 1/m, ``water`` being that of water at the effective energy of the beam.

    Raises
    ------
    ValueError
        If water attenuates nothing.
    """
    _demand(water)
    return attenuation * (1000 / water) - 1000


def attenuation(hounsfield: Array, water: float) -> Array:
    """Return the attenuation in 1/m of numbers of Hounsfield: the inverse of `hounsfield`."""
    _demand(water)
    return (hounsfield + 1000) * (water / 1000)


def _demand(water: float) -> None:
    if not 0 < water < float("inf"):
        raise ValueError(f"the attenuation of water must be positive, not {water} 1/m")
