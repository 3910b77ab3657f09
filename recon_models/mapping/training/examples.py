"""Simulated pixels of a mapping protocol, with all that a fit takes for granted left to chance.

Nothing measured is in them. A heart beats as it likes; its tissue has any T1 and T2; the field is off, the flip angle
is not the nominal one, the inversion is not complete. Two answers belong to each pixel: the relaxation time that was
simulated, and the one the protocol's own fit finds without noise, which is what published normal values are made of.

Sources: Hamilton et al., Magn Reson Med 85:2127 (2021), simulation as the only training; Shao et al., Magn Reson Med
84:2831 (2020), Bloch simulation of MOLLI for a network; Kellman and Hansen, J Cardiovasc Magn Reson 16:2 (2014), the
ranges of flip angle, off-resonance and inversion efficiency.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from recon_models.mapping import t2
from recon_models.mapping.recovery import fit_look_locker
from recon_models.physics.profile import of_pulse
from recon_models.physics.rhythm import intervals
from recon_models.physics.schedules import Schedule, Shot, molli, t2_prepared
from recon_models.physics.sequence import Tissue
from recon_models.physics.signal import received

Real = npt.NDArray[np.float64]
Random = np.random.Generator

EFFICIENCY: Final = 1 / 1.0365
"""Inversion efficiency that scanners' own MOLLI maps assume."""
STRONGEST: Final = 1.5
"""Flip angle over the nominal one, at most. B1 alone reaches 1.2. Readouts also saturate through the protons that are
bound, which are not simulated: MOLLI reads 1.18 s in hearts at 3 T where saturation recovery reads 1.52 s, and of free
water alone it would read 1.36 s. Stronger pulses stand in for that part of the saturation."""
TISSUES: Final = 128
"""Pixels simulated of each heart."""


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Pixels of one protocol.

    Attributes
    ----------
    signals
        (pixels, images) magnitudes without noise, M0 = 1.
    times_s
        (pixels, images) as the fit needs them.
    true_s, equivalent_s
        (pixels,) relaxation time that was simulated, and that of the protocol's fit without noise.
    nuisance
        (pixels,) each, by name: heart rate, T1 or T2 that is not asked for, off-resonance, flip angle, efficiency.
    """

    signals: Real
    times_s: Real
    true_s: Real
    equivalent_s: Real
    nuisance: Mapping[str, Real]


@dataclass(frozen=True, slots=True)
class Protocol:
    """What is simulated of a protocol.

    Attributes
    ----------
    quantity
        ``T1`` or ``T2``.
    images
        How many of the scheme the network is given, the first ones.
    least_s, most_s
        Range of the relaxation time asked for.
    schedule
        From RR intervals, readout and chance.
    fit
        From all images (measurements, pixels) complex and their times to the relaxation time it finds.
    """

    quantity: str
    images: int
    least_s: float
    most_s: float
    schedule: Callable[[Real, Shot, Random], Schedule]
    fit: Callable[[npt.NDArray[np.complex64], Real], Real]


def _molli(rr_s: Real, shot: Shot, random: Random) -> Schedule:
    first = shot.before_centre_s + random.uniform(0.005, 0.08)  # the readout begins behind the inversion
    step = random.uniform(0.06, 0.1)
    return molli("5(3)3", rr_s, shot=shot, first_s=first, step_s=step, centre_delay_s=0.45)


def _fit_molli(images: npt.NDArray[np.complex64], times_s: Real) -> Real:
    return fit_look_locker(images, times_s, efficiency=EFFICIENCY).values["T1"].astype(np.float64)


def _prepared(rr_s: Real, shot: Shot, random: Random) -> Schedule:
    return t2_prepared(rr_s, echo_times_s=(0.0, 0.025, 0.055), pause=3, shot=shot)


def _fit_prepared(images: npt.NDArray[np.complex64], times_s: Real) -> Real:
    return t2.fit_two(np.abs(images), times_s).values["T2"].astype(np.float64)


PROTOCOLS: Final[Mapping[str, Protocol]] = {
    "t1-molli533": Protocol("T1", 8, 0.6, 2.4, _molli, _fit_molli),
    "t1-molli4": Protocol("T1", 4, 0.6, 2.4, _molli, _fit_molli),
    "t2-prep3": Protocol("T2", 3, 0.02, 0.16, _prepared, _fit_prepared),
}


def simulate(protocol: Protocol, hearts: int, random: Random, tissues: int = TISSUES) -> Examples:
    """Simulate pixels of some hearts.

    Parameters
    ----------
    protocol
        Which one.
    hearts, tissues
        Number of scans, and of pixels in each.
    random
        Source of chance.
    """
    parts = [_heart(protocol, random, tissues) for _ in range(hearts)]
    signals, times, true, equivalent = (np.concatenate(one) for one in zip(*(part[:4] for part in parts), strict=True))
    nuisance = {name: np.concatenate([part[4][name] for part in parts]) for name in parts[0][4]}
    known = (equivalent > 0) & np.isfinite(equivalent)
    return Examples(
        signals[known],
        times[known],
        true[known],
        equivalent[known],
        {name: values[known] for name, values in nuisance.items()},
    )


def noisy(signals: Real, snr: Real | float, random: Random) -> Real:
    """Return magnitudes with Rician noise; ``snr`` is that of the largest signal of each pixel."""
    deviation = signals.max(axis=-1, keepdims=True) / np.reshape(snr, (-1, 1))
    real, imaginary = deviation * random.standard_normal((2, *signals.shape))
    return np.asarray(np.hypot(signals + real, imaginary))


def _heart(protocol: Protocol, random: Random, tissues: int) -> tuple[Real, Real, Real, Real, dict[str, Real]]:
    """Simulate the pixels of one scan."""
    rate = random.uniform(40, 120)
    rr = intervals(random.choice(["regular", "regular", "variable", "missed"]), 24, random, rate)
    pulses = int(random.integers(48, 81))
    shot = Shot(
        flip_rad=math.radians(35 if protocol.quantity == "T1" else random.choice([35, 70])),
        tr_s=(tr := random.uniform(2.3e-3, 2.9e-3)),
        te_s=tr / 2,
        pulses=pulses,
        centre=int(pulses * random.uniform(0.3, 0.5)),
    )
    schedule = protocol.schedule(np.maximum(rr, 0.46), shot, random)
    asked = np.exp(random.uniform(math.log(protocol.least_s), math.log(protocol.most_s), tissues))
    if protocol.quantity == "T1":
        t1, t2 = asked, _t2(random, tissues)
    else:
        t1, t2 = np.exp(random.uniform(math.log(0.7), math.log(2.2), tissues)), asked
    field = np.clip(random.normal(0, 40, tissues), -0.35 / tr, 0.35 / tr)
    b1, efficiency = random.uniform(0.7, STRONGEST, tissues), random.uniform(0.965, 1.0, tissues)
    profile = of_pulse(shot.flip_rad, time_bandwidth=random.uniform(1.6, 6.0))
    tissue = Tissue(t1, t2, field, b1, efficiency)
    images = received(schedule.sequence, tissue, readouts=schedule.centres, profile=profile, states=2).T
    equivalent = protocol.fit(images, schedule.times_s)
    first = slice(protocol.images)
    magnitudes = np.abs(images[first]).T.astype(np.float64)
    times = np.broadcast_to(schedule.times_s[first], magnitudes.shape)
    nuisance = {"rate": np.full(tissues, rate), "T1": t1, "T2": t2, "field": field, "b1": b1, "efficiency": efficiency}
    return magnitudes, times, asked, equivalent, nuisance


def _t2(random: Random, tissues: int) -> Real:
    """Draw T2 of a heart: muscle for the most part, and anything."""
    muscle = 0.045 * np.exp(0.2 * random.standard_normal(tissues))
    anything = np.exp(random.uniform(math.log(0.025), math.log(0.28), tissues))
    return np.where(random.random(tissues) < 0.6, muscle, anything)
