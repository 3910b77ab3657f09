"""From the readouts in the window to a live image: sensitivities learnt on the way, the frame before as a start."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from inline.errors import ConfigurationError, ScanError
from inline.header import Encoding
from inline.parameters import number, switched
from inline.scan import Context
from inline.stages.calibration import VIRTUAL_COILS
from inline.stages.paths import SPOKES, Path
from inline.stages.window import Window
from recon_models.cartesian import coils
from recon_models.noncartesian import delay, density
from recon_models.noncartesian.coils import calibration
from recon_models.noncartesian.nufft import Nufft
from recon_models.noncartesian.sense import cg_sense, combined

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float32]

METHODS: Final = ("sense", "gridding")
_USUAL_SPOKES: Final = (34, 17)  # window and step
_USUAL_ARMS: Final = 16
_DELAYED: Final = 21  # spokes that delays are estimated from
_LARGEST_RESIDUAL: Final = 0.5  # samples by which crossings may miss each other, for delays to be believed
_LARGEST_DELAY: Final = 4.0  # samples
_ITERATIONS: Final = 4  # from the frame before
_FIRST_ITERATIONS: Final = 8  # from nothing
_ARRAYS: Final = 12  # of doubled images of all coils, that conjugate gradients and transforms hold at most
_FALLS: Final = 1e-3  # cycles per pixel: an arm whose radius falls by more does not only wind outwards


@dataclass(frozen=True, slots=True)
class Settings:
    """What a client can choose.

    Attributes
    ----------
    window, step
        Readouts in an image, and from one image to the next.
    calibration
        Readouts that sensitivities are learnt from: a fully sampled scan.
    method
        One of `METHODS`.
    temporal
        Weight of the difference from the image before.
    delays
        Whether gradient delays of spokes are estimated and corrected.
    """

    window: int
    step: int
    calibration: int
    method: str
    temporal: float
    delays: bool

    @classmethod
    def of(cls, context: Context, encoding: Encoding) -> Settings:
        """Read the parameters of the route.

        Raises
        ------
        ConfigurationError
            If one of them cannot be used.
        """
        full = math.ceil(math.pi / 2 * max(encoding.recon.matrix[:2]))
        window, step = _USUAL_SPOKES
        if encoding.trajectory not in SPOKES:
            full = round(encoding.trajectory_parameters.get("interleaves", 0)) or _USUAL_ARMS
            window, step = full, max(full // 2, 1)
        method = context.parameters.get("method", METHODS[0])
        if method not in METHODS:
            raise ConfigurationError(f"method={method!r} is none of this route; choose {' or '.join(METHODS)}")
        window = round(number(context.parameters, "window", window, 1, 4096))
        step = round(number(context.parameters, "step", min(step, window), 1, window))
        temporal = number(context.parameters, "temporal", 0.0, 0.0, 1e3)
        delays = switched(context.parameters, "delays")
        return cls(window, step, max(window, full), method, temporal, delays and encoding.trajectory in SPOKES)


class Frames:
    """The live images of one slice.

    Parameters
    ----------
    first
        Its first readout.
    encoding
        What the header says of it.
    settings
        What the client chose.

    Attributes
    ----------
    window
        Its latest readouts.
    delays
        (2, 2) of the gradients, see `recon_models.noncartesian.delay`; None where they are not known.
    """

    def __init__(self, first: Path, encoding: Encoding, settings: Settings) -> None:
        self.window = Window(first, settings.calibration)
        self._shape = encoding.recon.matrix[1], encoding.recon.matrix[0]
        self._straight = encoding.trajectory in SPOKES
        self._settings = settings
        self._learn_at = 1.0
        self.delays: delay.Delays | None = None
        self._nufft: Nufft | None = None
        self._compression: Complex = np.empty((0, 0), np.complex64)
        self._maps: Complex = np.empty((0, *self._shape), np.complex64)
        self._before: Complex | None = None

    def image(self) -> tuple[Real, str, npt.NDArray[np.int64]]:
        """Return the magnitude image (y, x) of the window, how it was made, and the numbers of its readouts."""
        settings = self._settings
        if self.window.total >= self._learn_at:
            self._learn()
        samples, positions, numbers = self.window.last(settings.window)
        positions = self._corrected(positions)
        virtual = np.tensordot(self._compression, samples, 1)
        weights, nufft = self._weights(positions), self._transform(positions)
        if settings.method == "gridding":
            return np.abs(combined(nufft.adjoint(weights * virtual), self._maps)), "gridding", numbers
        iterations = _FIRST_ITERATIONS if self._before is None else _ITERATIONS
        pull = settings.temporal if self._before is not None else 0.0
        image = cg_sense(virtual, nufft, weights, self._maps, iterations, start=self._before, pull=pull)
        self._before = image
        return np.abs(image), "CG-SENSE" + (f", temporal {pull:g}" if pull else ""), numbers

    def _learn(self) -> None:
        """Learn sensitivities from all readouts that are kept, again when there are twice as many."""
        samples, positions, _ = self.window.last(self._settings.calibration)
        seen = None if self._before is None else self._coil_images(self._before)
        self._compression = coils.compression(samples, min(VIRTUAL_COILS, len(samples)))
        virtual = np.tensordot(self._compression, samples, 1)
        if self._settings.delays:
            self.delays = _delays(virtual[:, -_DELAYED:], positions[-_DELAYED:])
        positions = self._corrected(positions)
        block = calibration(virtual, positions, self._weights(positions), self._shape)
        self._maps = coils.sensitivities(block, self._shape)
        if seen is not None:  # the phase of the image before goes with the sensitivities
            self._before = combined(np.tensordot(self._compression, seen, 1), self._maps)
        held = min(self.window.total, self._settings.calibration)
        self._learn_at = min(2 * held, self._settings.calibration) if held < self._settings.calibration else math.inf

    def _coil_images(self, image: Complex) -> Complex:
        """Return what each of the measured coils sees of an image."""
        seen: Complex = np.tensordot(self._compression.conj().T, self._maps * image, 1)
        return seen

    def _corrected(self, positions: Real) -> Real:
        return positions if self.delays is None else delay.corrected(positions, self.delays)

    def _weights(self, positions: Real) -> Real:
        if self._straight:
            return density.radial(positions, self._shape)
        radius = np.hypot(positions[..., 0], positions[..., 1])
        if np.diff(radius, axis=-1).min(initial=0) > -_FALLS:
            return density.arms(positions, self._shape)
        return density.pipe_menon(positions, self._shape)

    def _transform(self, positions: Real) -> Nufft:
        if self._nufft is None:
            self._nufft = Nufft(positions, self._shape)
        else:
            self._nufft.move(positions)
        return self._nufft


def _delays(samples: Complex, positions: Real) -> delay.Delays | None:
    """Return the gradients' delays; None where spokes tell none, or none that can be."""
    try:
        found, residual = delay.delays(samples, positions)
    except (ValueError, np.linalg.LinAlgError):
        return None
    return found if residual <= _LARGEST_RESIDUAL and np.abs(found).max() <= _LARGEST_DELAY else None


def demand_memory(first: Path, encoding: Encoding, settings: Settings, limit: int) -> None:
    """Refuse a scan whose images would not fit the memory.

    Raises
    ------
    ScanError
        If they would not.
    """
    x, y, _ = encoding.recon.matrix
    channels, samples = first.readout.samples.shape
    needed = 8 * (4 * x * y * min(channels, VIRTUAL_COILS) * _ARRAYS + 2 * channels * samples * settings.calibration)
    if needed > limit:
        raise ScanError(
            f"images of {x} x {y} from {settings.calibration} readouts of {channels} coils need "
            f"{needed / 2**30:.1f} GiB, more than the {limit / 2**30:.1f} GiB it may use; correct the matrix"
        )
