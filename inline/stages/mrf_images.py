"""Images of the basis functions, grown on a thread of their own while arms come.

An arm costs its copy. Every some dozen arms make a piece that is transformed in the background, so that behind the last
arm only the last piece is left. Coils are compressed with the first piece; their sensitivities come from the first two
beats, whose arms, weighted by the strongest time course of the centre of k-space, make one fully sampled image.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from hardware.fourier import to_image, to_kspace
from inline.stages.mrf_arms import Arm
from inline.stages.mrf_plan import Plan
from recon_models.cartesian.coils import compression, sensitivities, support
from recon_models.fingerprint.lowrank import Encoding, shared
from recon_models.fingerprint.subspace import combined, condensed, mixed
from recon_models.noncartesian.coils import calibration
from recon_models.noncartesian.nufft import Nufft
from recon_models.noncartesian.rings import rings

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float32]

COILS: Final = 8
"""Virtual coils."""
PIECE: Final = 25
"""Arms that are transformed at once: half a beat of the cardiac sequence."""
_CALIBRATES: Final = 4
"""Pieces the sensitivities are made of."""
NAVIGATOR: Final = 32
"""Points along each side of the small images that tell of motion."""
_FAINT: Final = 0.12
"""Of the bright parts of the calibration: what is fainter is not matched. Less lets in what rings around the body."""
_NONE: Final = np.zeros(0, np.int64)


@dataclass(slots=True, eq=False)
class _Piece:
    """Arms as they wait: their numbers, paths, and samples (arms, coils, samples)."""

    numbers: npt.NDArray[np.int64]
    trajectory: Real
    samples: Complex


@dataclass(frozen=True, slots=True, eq=False)
class Navigator:
    """A small image of a piece, and how it depends on the images of the basis functions.

    Attributes
    ----------
    beat
        Of its first arm.
    image
        (NAVIGATOR, NAVIGATOR) complex64.
    mixing
        (rank,) float32: what these images must be multiplied by to be that image.
    """

    beat: int
    image: Complex
    mixing: Real


class Snapshot(NamedTuple):
    """Images in the middle of a scan, where the body is, and the numbers of the arms they were made of."""

    images: Complex
    body: npt.NDArray[np.bool_]
    arms: npt.NDArray[np.int64]


class Growing:
    """The images of one scan.

    Parameters
    ----------
    plan
        Of the scan.

    Attributes
    ----------
    images
        (rank, y, x) complex64, of the pieces that have been transformed.
    navigators
        One of each piece.
    sensitivities
        (coils, y, x) once they are known.
    body
        (y, x) where the calibration shows signal: outside there is nothing to match.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.images = np.zeros((plan.basis.shape[1], *plan.shape), np.complex64)
        self.navigators: list[Navigator] = []
        self._transformed: list[npt.NDArray[np.int64]] = []
        self.sensitivities: Complex | None = None
        self.body = np.ones(plan.shape, np.bool_)
        self._buffer: _Piece | None = None
        self._filled = 0
        self._compression: Complex | None = None
        self._waiting: list[_Piece] = []
        self._nufft: Nufft | None = None
        self._paths: dict[bytes, int] = {}
        self._path = np.full(plan.readouts, -1)
        self._thread = ThreadPoolExecutor(1, "pieces")
        self._running: list[Future[None]] = []

    def take(self, arm: Arm) -> None:
        """Copy an arm; the piece it completes is transformed in the background."""
        if self._buffer is None:
            coils, samples = arm.samples.shape
            self._buffer = _Piece(
                np.zeros(PIECE, np.int64),
                np.empty((PIECE, samples, 2), np.float32),
                np.empty((PIECE, coils, samples), np.complex64),
            )
        self._path[arm.number] = self._paths.setdefault(arm.trajectory.tobytes(), len(self._paths))
        self._buffer.numbers[self._filled] = arm.number
        self._buffer.trajectory[self._filled] = arm.trajectory
        self._buffer.samples[self._filled] = arm.samples
        self._filled += 1
        if self._filled == PIECE or arm.number + 1 == self._plan.readouts:
            self._hand_over()

    def snapshot(self) -> Future[Snapshot]:
        """Return, when it is there, a copy of the images of all pieces handed over so far, and which arms they hold."""
        return self._thread.submit(
            lambda: Snapshot(self.images.copy(), self.body, np.concatenate(self._transformed or [_NONE]))
        )

    def finish(self) -> Complex:
        """Wait for what is left and return the images.

        Raises
        ------
        Exception
            Whatever went wrong in the background.
        """
        if self._filled:
            self._hand_over()
        self._running.append(self._thread.submit(self._transform_waiting, True))
        for future in self._running:
            future.result()
        return self.images

    def close(self) -> None:
        """Drop what nobody waits for any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def encoding(self, basis: npt.NDArray[np.float32]) -> Encoding:
        """Return what the scanner did to images of basis functions, (readouts, rank), for solving for them."""
        assert self.sensitivities is not None
        made = self._path >= 0
        length = len(next(iter(self._paths))) // 8
        paths = np.stack([np.frombuffer(path, np.float32).reshape(length, 2) for path in self._paths])
        matrices = shared(basis[made], self._path[made], len(paths))
        return Encoding(paths, rings(paths, self._plan.shape), matrices, self.sensitivities)

    def _hand_over(self) -> None:
        assert self._buffer is not None
        whole, number = self._buffer, self._filled
        piece = _Piece(whole.numbers[:number], whole.trajectory[:number], whole.samples[:number])
        self._buffer, self._filled = None, 0
        self._running = [future for future in self._running if not future.done() or future.exception()]
        self._running.append(self._thread.submit(self._work, piece))

    def _work(self, piece: _Piece) -> None:
        if self._compression is None:
            self._compression = compression(np.swapaxes(piece.samples, 0, 1), COILS)
        piece.samples = self._compression @ piece.samples
        self._waiting.append(piece)
        self._transform_waiting(False)

    def _transform_waiting(self, last: bool) -> None:
        if self.sensitivities is None and (last or len(self._waiting) >= _CALIBRATES) and self._waiting:
            block = self._calibration()
            self.sensitivities = sensitivities(block, self._plan.shape)
            self.body = support(block, self._plan.shape, _FAINT)
        if self.sensitivities is not None:
            while self._waiting:
                self._transform(self._waiting.pop(0))

    def _calibration(self) -> Complex:
        samples = np.concatenate([piece.samples for piece in self._waiting])
        trajectory = np.concatenate([piece.trajectory for piece in self._waiting])
        course = _strongest_course(samples, trajectory)
        weighted = np.swapaxes(samples * course[:, None, None], 0, 1)
        weights = rings(trajectory, self._plan.shape)
        return calibration(weighted, trajectory, weights, self._plan.shape)

    def _transform(self, piece: _Piece) -> None:
        assert self.sensitivities is not None
        weights = rings(piece.trajectory, self._plan.shape)
        parts = condensed(piece.samples * weights[:, None], self._plan.basis[piece.numbers])
        if self._nufft is None:
            self._nufft = Nufft(piece.trajectory, self._plan.shape)
        else:
            self._nufft.move(piece.trajectory)
        images = combined(self._nufft.adjoint(parts.strengths), self.sensitivities)
        self.images += mixed(parts.mixing, images)
        self._transformed.append(piece.numbers)
        beat = int(self._plan.beat[piece.numbers[0]])
        self.navigators.append(Navigator(beat, small(images[0]), parts.mixing[:, 0]))


def small(images: Complex) -> Complex:
    """Return images (..., y, x) at the resolution of navigators, smooth, so that what is left is no ringing."""
    height, width = images.shape[-2:]
    side = min(NAVIGATOR, height, width)
    kspace = to_kspace(images, (-2, -1))
    top, left = height // 2 - side // 2, width // 2 - side // 2
    window = np.hanning(side + 2)[1:-1].astype(np.float32)
    block = kspace[..., top : top + side, left : left + side] * window[:, None] * window
    return np.asarray(to_image(block, (-2, -1)))


def _strongest_course(samples: Complex, trajectory: Real) -> Complex:
    """Return the conjugate time course that holds most of the signal near the centre of k-space, (arms,)."""
    near = np.argsort(np.abs(trajectory[0]).max(axis=-1))[:8]
    centre = samples[:, :, near].reshape(len(samples), -1)
    _, vectors = np.linalg.eigh(centre @ centre.conj().T)
    return np.asarray(vectors[:, -1].conj(), np.complex64)
