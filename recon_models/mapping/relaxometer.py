"""Maps by the network of a protocol: the magnitudes of its images and their times in, relaxation times out.

A network knows the one protocol it was trained on and no other. It gives two answers. What the protocol reads is the
value its own fit would give without noise: normal values of the protocol apply to it, and it can stand where the fit
stands. What is true is the relaxation time of the simulated spins, free of the protocol's bias as far as the signals
tell; normal values of a fit do not apply to it.

The fit is computed anyway. It says where the network is not to be believed: where the signals do not follow the model,
where the two disagree by more than noise can explain, and outside the range of training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hardware.catalog import Model
from hardware.deadline import Deadline
from hardware.engine import Engine
from recon_models.mapping.fit import Fit

Real = npt.NDArray[np.float32]

SIGNALS, TIMES, OUTPUT = "signals", "times", "seconds"
"""Names of the arrays in the graph."""
_BATCH: Final = 4096
"""Pixels at once: activations of one batch stay in the cache."""


@dataclass(frozen=True, slots=True)
class Lock:
    """The protocol a network belongs to.

    Attributes
    ----------
    scheme
        As the protocol is called, such as ``5(3)3``.
    quantity
        ``T1`` or ``T2``.
    images
        How many it takes, the first of the scheme, in the order of acquisition.
    times
        Range of training of the time of each image, seconds, as `qc.guard.outside` takes it.
    least_s, most_s
        Range of training of the answer.
    disagreement
        Part of the fit's value, above what noise explains, by which the two may differ.
    """

    scheme: str
    quantity: str
    images: int
    times: Mapping[str, tuple[float, float]]
    least_s: float
    most_s: float
    disagreement: float

    @classmethod
    def of(cls, model: Model) -> Lock:
        """Return the lock in a model's manifest."""
        constants, guard = model.manifest.constants, model.manifest.guard
        images = int(constants["images"])
        times = {
            f"the time of image {n} in s": (guard[f"time_{n}_least_s"], guard[f"time_{n}_most_s"])
            for n in range(1, images + 1)
        }
        limits = (guard["least_s"], guard["most_s"], guard["disagreement"])
        return cls(str(constants["scheme"]), str(constants["quantity"]), images, times, *limits)

    def measured(self, times_s: npt.NDArray[Any]) -> dict[str, float]:
        """Return the times of a scan by the names of `times`."""
        return dict(zip(self.times, (float(time) for time in times_s), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a network makes of a series; (...) float32 maps in seconds.

    Attributes
    ----------
    reads
        What the protocol's fit would read without noise.
    true
        Estimate of the relaxation time itself.
    """

    reads: Real
    true: Real


def estimate(
    images: npt.NDArray[Any], times_s: npt.NDArray[Any], engine: Engine, deadline_s: float | None = None
) -> Answer:
    """Return a network's answer for each pixel.

    Parameters
    ----------
    images
        (images, ...) complex, signed or magnitude, in the order of acquisition: their magnitude counts.
    times_s
        (images,) seconds.
    engine
        The network's, from `hardware.engines.load`.
    deadline_s
        Seconds from now within which the answer is of use; None waits.

    Raises
    ------
    ValueError
        If the network takes another number of images.
    HardwareError
        As `hardware.engine.Engine.run`.
    """
    wanted = next(port.shape[1] for port in engine.inputs if port.name == TIMES)
    if len(images) != wanted or len(times_s) != wanted:
        raise ValueError(f"{engine.name} takes {wanted} images and times, not {len(images)} and {len(times_s)}")
    deadline, shape = Deadline(deadline_s), images.shape[1:]
    signals = np.ascontiguousarray(np.abs(images).reshape(len(images), -1).T, np.float32)
    np.nan_to_num(signals, copy=False, posinf=0.0)
    times = np.asarray(times_s, np.float32)[None, :]
    found = np.empty((len(signals), 2), np.float32)
    for at in range(0, len(signals), _BATCH):
        left = None if deadline_s is None else deadline.left_s
        found[at : at + _BATCH] = engine.run({SIGNALS: signals[at : at + _BATCH], TIMES: times}, left)[OUTPUT]
    return Answer(found[:, 1].reshape(shape), found[:, 0].reshape(shape))


def believed(answer: Answer, fit: Fit, lock: Lock) -> npt.NDArray[np.bool_]:
    """Return where a network's answer may stand in the place of the fit's.

    Parameters
    ----------
    answer
        The network's.
    fit
        Of the same images, with its deviation.
    lock
        Of the network.

    Returns
    -------
    ndarray
        (...) bool: the fit is valid, the answer lies inside the range of training, and differs from the fit by no more
        than three standard deviations and the disagreement that is allowed besides.
    """
    value = fit.values[lock.quantity]
    allowed = 3 * fit.deviation[lock.quantity] + lock.disagreement * value
    inside = (answer.reads > lock.least_s) & (answer.reads < lock.most_s)
    return np.asarray(fit.valid & inside & (np.abs(answer.reads - value) <= allowed))
