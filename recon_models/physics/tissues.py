"""Relaxation of the chest's tissues at 1.5 and 3 T, before and after contrast medium.

Native values are means of healthy or, where the tissue is a disease, of typical patients. T1 of myocardium is what
MOLLI 5(3)3 finds: simulations here have no magnetisation transfer, which is most of what MOLLI lies below saturation
recovery. Lesions differ more between patients than between studies.

Sources: blood T1 Zhang et al., MRM 70:1082 (2013), T2 Stanisz et al., MRM 54:507 (2005); myocardium Dabir et al., JCMR
16:69 (2014) and the pooled means of Gottbrecht et al., Eur Radiol 29:5940 (2019) and Snel et al., JCMR 22:34 (2020);
T2* of heart and iron Anderson et al., Eur Heart J 22:2171 (2001) and Alam et al., JCMR 18:102 (2016); scar and oedema
Ugander et al., Eur Heart J 33:1268 (2012) and JACC Cardiovasc Imaging 5:596 (2012), Thavendiranathan et al., Circ
Cardiovasc Imaging 5:102 (2012); fat, liver, muscle and marrow de Bazelaire et al., Radiology 230:652 (2004); lung Yu et
al., MRM 66:248 (2011) and Stadler et al., JMRI 20:145 (2004).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recon_models.physics.phantom import BACKGROUND, Phantom

Real = npt.NDArray[np.float64]

HAEMATOCRIT: Final = 0.42
R2_OVER_R1: Final = 1.25
"""Relaxivities of a macrocyclic gadolinium chelate in plasma, Rohrer et al., Invest Radiol 40:715 (2005)."""


@dataclass(frozen=True, slots=True)
class Properties:
    """What a tissue is to the spins.

    Attributes
    ----------
    t1_s, t2_s, t2star_s
        Relaxation times, seconds.
    density
        Of visible protons, water is 1.
    ecv
        Fraction of the volume that contrast medium reaches; of blood it is 1 - haematocrit, whatever stands here.
    shift_ppm
        Of the resonance from water's.
    """

    t1_s: float
    t2_s: float
    t2star_s: float
    density: float
    ecv: float = 0.0
    shift_ppm: float = 0.0


NATIVE: Final[Mapping[float, Mapping[str, Properties]]] = MappingProxyType(
    {
        1.5: {
            "blood": Properties(1.480, 0.290, 0.120, 0.95, 0.58),
            "myocardium": Properties(0.996, 0.052, 0.036, 0.80, 0.256),
            "scar": Properties(1.120, 0.056, 0.036, 0.82, 0.51),
            "oedema": Properties(1.190, 0.070, 0.042, 0.88, 0.40),
            "iron": Properties(0.720, 0.034, 0.008, 0.78, 0.26),
            "fat": Properties(0.343, 0.058, 0.030, 0.90, 0.0, -3.4),
            "liver": Properties(0.586, 0.046, 0.028, 0.80, 0.30),
            "lung": Properties(1.200, 0.040, 0.002, 0.15, 0.25),
            "muscle": Properties(0.856, 0.036, 0.028, 0.78, 0.12),
            "bone": Properties(0.549, 0.049, 0.010, 0.50, 0.18),
        },
        3.0: {
            "blood": Properties(1.649, 0.275, 0.060, 0.95, 0.58),
            "myocardium": Properties(1.184, 0.046, 0.027, 0.80, 0.256),
            "scar": Properties(1.330, 0.050, 0.027, 0.82, 0.51),
            "oedema": Properties(1.400, 0.062, 0.032, 0.88, 0.40),
            "iron": Properties(0.850, 0.028, 0.005, 0.78, 0.26),
            "fat": Properties(0.382, 0.068, 0.020, 0.90, 0.0, -3.4),
            "liver": Properties(0.809, 0.034, 0.020, 0.80, 0.30),
            "lung": Properties(1.370, 0.038, 0.0007, 0.15, 0.25),
            "muscle": Properties(0.898, 0.029, 0.022, 0.78, 0.12),
            "bone": Properties(0.586, 0.049, 0.007, 0.50, 0.18),
        },
    }
)
"""Properties by field strength in tesla and tissue, the names of `heart`."""


def enhanced(
    native: Mapping[str, Properties], blood_t1_s: float, haematocrit: float = HAEMATOCRIT
) -> dict[str, Properties]:
    """Return tissues some ten minutes after contrast medium, when its concentrations are in equilibrium.

    ECV = (1 - Hct) dR1 / dR1(blood), solved for dR1 (Arheden et al., Radiology 211:698, 1999); T2 and T2* shorten with
    it by the relaxivities' ratio.

    Parameters
    ----------
    native
        One field strength of `NATIVE`.
    blood_t1_s
        T1 of blood after contrast medium, seconds; usually 0.3 to 0.5.
    haematocrit
        Of the patient.
    """
    in_blood = 1 / blood_t1_s - 1 / native["blood"].t1_s
    found = {}
    for tissue, before in native.items():
        ecv = 1 - haematocrit if tissue == "blood" else before.ecv
        gained = ecv / (1 - haematocrit) * in_blood
        found[tissue] = replace(
            before,
            t1_s=1 / (1 / before.t1_s + gained),
            t2_s=1 / (1 / before.t2_s + R2_OVER_R1 * gained),
            t2star_s=1 / (1 / before.t2star_s + R2_OVER_R1 * gained),
            ecv=ecv,
        )
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """The truth on a grid of pixels.

    Attributes
    ----------
    labels
        (y, x) int16: the tissue that fills most of the pixel, an index into ``tissues``.
    purity
        (y, x): how much of the pixel that tissue fills. Pixels below 1 lie on an edge, where a fit has no single truth.
    t1_s, t2_s, t2star_s
        (y, x) in seconds, mean over the pixel's protons; 0 in air.
    density
        (y, x), mean over the pixel's area.
    ecv
        (y, x), mean over the pixel's protons.
    tissues
        Names of the labels.
    """

    labels: npt.NDArray[np.int16]
    purity: Real
    t1_s: Real
    t2_s: Real
    t2star_s: Real
    density: Real
    ecv: Real
    tissues: tuple[str, ...]


def coverage(phantom: Phantom, x_m: Real, y_m: Real, fine: int = 4) -> Real:
    """Return how much of each pixel each tissue fills, by ``fine`` x ``fine`` points in it: (tissues, y, x).

    Parameters
    ----------
    phantom
        Two-dimensional.
    x_m, y_m
        (x,) and (y,) centres of the pixels, evenly spaced.
    fine
        Points along each side of a pixel.
    """
    across, down = (_finer(axis, fine) for axis in (x_m, y_m))
    labels = phantom.labels([across, down[:, None]]).reshape(len(y_m), fine, len(x_m), fine)
    return np.stack([np.mean(labels == number, axis=(1, 3)) for number in range(len(phantom.tissues))])


def maps(phantom: Phantom, properties: Mapping[str, Properties], x_m: Real, y_m: Real, fine: int = 4) -> Maps:
    """Return the tissues' properties on a grid; parameters as of `coverage`."""
    parts = coverage(phantom, x_m, y_m, fine)
    tissues = phantom.tissues
    density = _mixed(parts, [_of(properties, tissue, "density") for tissue in tissues])
    protons = parts * np.reshape([_of(properties, tissue, "density") for tissue in tissues], (-1, 1, 1))
    protons /= np.maximum(density, 1e-12)
    means = (
        _mixed(protons, [_of(properties, tissue, name) for tissue in tissues])
        for name in ("t1_s", "t2_s", "t2star_s", "ecv")
    )
    t1, t2, t2star, ecv = means
    return Maps(np.argmax(parts, axis=0).astype(np.int16), parts.max(axis=0), t1, t2, t2star, density, ecv, tissues)


def _finer(axis: Real, fine: int) -> Real:
    within = (np.arange(fine) - (fine - 1) / 2) * (axis[1] - axis[0]) / fine
    return np.asarray((axis[:, None] + within).ravel())


def _of(properties: Mapping[str, Properties], tissue: str, name: str) -> float:
    return 0.0 if tissue == BACKGROUND else float(getattr(properties[tissue], name))


def _mixed(parts: Any, values: Sequence[float]) -> Real:
    return np.asarray(np.tensordot(np.asarray(values), parts, axes=1))
