"""One slice of a diffusion scan as its shots come: averages of each weighting, the tensor so far, and how good it is.

What a spoilt shot would do to the tensor cannot be undone by those that follow, so it is left out as soon as it is
known for one, also if that is only later, when enough others have come to compare it with. Each repetition is a
breath-hold: the heart is laid where the tensor of those before predicts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from inline.errors import ScanError
from inline.parameters import switched
from inline.scan import Context
from inline.stages.shots import Shot
from inline.stages.weighting import Weight, checked, same
from qc.diffusion import dropouts, late_shot, strong_phase
from qc.finding import Finding, Severity, Where
from recon_models.diffusion.averaging import phase_strength, without_phase
from recon_models.diffusion.btable import LOWEST, SECONDS_PER_MM2, BTable, spanned
from recon_models.diffusion.registration import heart_window, moved, shift_between
from recon_models.diffusion.running import RunningTensor
from recon_models.diffusion.stopping import tensor_error
from recon_models.diffusion.tensor import Fit, fit_ols, predicted
from recon_models.diffusion.wall import NoVentricle, Wall, find_wall
from recon_models.epi.ghost import object_region

Real = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Shift = tuple[float, float]

_STILL: Final = 0.05  # pixels: less is not worth the interpolation
_COMPONENTS: Final = 6  # of a tensor
_HEART_M: Final = 0.035  # radius about the ventricle within which breath-holds are compared


@dataclass(slots=True, eq=False)
class Taken:
    """A shot that counts.

    Attributes
    ----------
    pixels
        (y, x) real, where the heart was.
    entry, repetition
        Of the table, and which time.
    placed
        The same, where the heart was in the first repetition.
    mean
        Mean signal inside the object.
    """

    pixels: Pixels
    entry: int
    repetition: int
    placed: Pixels
    mean: float


class DiffusionSlice:
    """One slice under way.

    Parameters
    ----------
    first
        Its first shot.
    known
        Weighting of every value of the counter that runs over them; empty where each shot says its own.
    context
        Where findings go. Among its parameters ``organ`` is ``heart`` or ``other``, ``centre`` the ventricle's as
        ``y,x`` in pixels, and ``register=false`` leaves breath-holds where they are.

    Attributes
    ----------
    weights
        The entries of the table; those that are alike are one.
    often
        How often each comes in a repetition.
    arrived
        How many shots of each entry have come, spoilt ones included.
    shots
        Those that count.
    errors
        Expected relative error of the tensors after each repetition.
    spoilt
        Findings about shots that were left out.
    shifts
        Where each repetition was found, (y, x) pixels by which it was moved.
    noise
        Standard deviation of one shot; None where it is not known beforehand.
    spread
        The same, or where it is unknown what the fit leaves over; None while there is nothing left over.
    """

    def __init__(self, first: Shot, known: Sequence[Weight], context: Context) -> None:
        self.weights: list[Weight] = []
        self.often: list[int] = []
        self.arrived: list[int] = []
        for weight in known:
            self.often[self.entry(weight)] += 1
        self.known = bool(known)
        self.shots: list[Taken] = []
        self.errors: list[float] = []
        self.spoilt: list[Finding] = []
        self.shifts: list[Shift] = []
        self.like = first.image
        self.heart = context.parameters.get("organ", "heart" if first.measured else "other") == "heart"
        self.noise: float | None = 1.0 if first.measured and first.image.unit == "SNR" else None
        self.spread = self.noise
        self.wall: Wall | None = None
        self.no_wall = ""
        self._register = switched(context.parameters, "register", usual=self.heart)
        self._context, self._shape = context, (first.signal.shape[0], first.signal.shape[1])
        self._running: RunningTensor | None = None
        self._object: Mask | None = None
        self._delays: list[float] = []

    def entry(self, weight: Weight) -> int:
        """Return the entry of a weighting; a new one if the table is not known beforehand."""
        for number, other in enumerate(self.weights):
            if same(weight, other):
                return number
        self.weights.append(weight)
        self.often.append(0)
        self.arrived.append(0)
        self._running = None  # the table has grown
        return len(self.weights) - 1

    @property
    def table(self) -> BTable:
        """The table so far.

        Raises
        ------
        ScanError
            If no tensor can be fitted with it.
        """
        return checked(np.array([b for b, _ in self.weights]), np.stack([axis for _, axis in self.weights]))

    @property
    def region(self) -> Mask:
        """(y, x) what is judged: the wall where it was found, else all that is bright without weighting."""
        if self.wall is not None:
            return self.wall.mask
        return np.ones(self._shape, bool) if self._object is None else self._object

    @property
    def number(self) -> int:
        """Counter of the slice."""
        return self.like.counters.slice

    def name(self, entry: int) -> str:
        """Return what people call an entry: weighted ones are counted from 1."""
        weighted = [number for number, (b, _) in enumerate(self.weights) if b > LOWEST]
        return f"direction {weighted.index(entry) + 1}" if entry in weighted else "the unweighted image"

    def take(self, shot: Shot) -> bool:
        """Take a shot; whether a repetition is complete with it."""
        if shot.signal.shape != self._shape:
            raise ScanError(
                f"slice {self.number}: an image of {shot.signal.shape[1]} x {shot.signal.shape[0]} pixels came behind "
                f"ones of {self._shape[1]} x {self._shape[0]}: send one series at a time"
            )
        before, entry = self.repetitions, self.entry(shot.weight)
        repetition = self.arrived[entry] // max(self.often[entry], 1)
        self.arrived[entry] += 1
        wrong = self._fault(shot, f"{self.name(entry)}, repetition {repetition + 1}")
        if wrong is not None and wrong.severity is Severity.RED:
            self.spoilt.append(wrong)
        else:
            self.like = shot.image
            self._keep(self._real(shot), entry, repetition)
        return self.repetitions > before

    @property
    def repetitions(self) -> int:
        """How many repetitions have come whole, spoilt shots included."""
        if not self.known:
            return 0  # nobody knows what is still to come
        return min(came // often for came, often in zip(self.arrived, self.often, strict=True))

    def average(self, entry: int) -> Pixels:
        """Return (y, x) mean of the shots of an entry that count; zeros where there is none."""
        own = [shot.placed for shot in self.shots if shot.entry == entry]
        return np.mean(own, axis=0, dtype=np.float32) if own else np.zeros(self._shape, np.float32)

    @property
    def counts(self) -> npt.NDArray[np.intp]:
        """(n,) shots behind each average."""
        return np.bincount(np.array([shot.entry for shot in self.shots], np.intp), minlength=len(self.weights))

    def averages(self) -> Real:
        """Return (n, y, x)."""
        return np.stack([self.average(entry) for entry in range(len(self.weights))]).astype(np.float64)

    def settle(self) -> Fit | None:
        """Lay the latest repetition over those before, and return the tensor so far; None while there is none.

        The covariance is there where the noise is known, or can be told from what the fit leaves over.
        """
        running = self._tensor()
        if not running.ready:
            return None
        if self._register and self.repetitions > len(self.shifts):
            self._place(running)
        self._look()
        fit = running.fit(self.noise)
        left = running.noise()
        noise = self.noise
        if noise is None and np.all(np.isfinite(left[self.region])):
            noise = float(np.sqrt(np.mean(left[self.region] ** 2)))
            fit = running.fit(noise)
        self.spread = noise
        self.errors.append(tensor_error(fit, self.region, noise=noise, left=left))
        return fit

    def _fault(self, shot: Shot, name: str) -> Finding | None:
        """Return why a shot must not count, or what is odd about it."""
        found = next((one for one in shot.image.findings if one.severity is Severity.RED), None)
        where = Where(slices=(self.number,))
        if found is not None:
            message = f"Slice {self.number}, {name}: the image is not whole and was left out"
            return self._said(Finding(Severity.RED, "shot incomplete", message, f"Repeat {name}", where=where))
        limits = self._context.limits
        if shot.since_trigger_s is not None:
            self._delays.append(shot.since_trigger_s)
            wrong = late_shot(self._delays, limits, name, self.number)
            if wrong is not None:
                return self._said(wrong)
        if np.iscomplexobj(shot.signal):
            return self._said(strong_phase(phase_strength(shot.signal), limits, name, self.number))
        return None

    def _said(self, finding: Finding | None) -> Finding | None:
        if finding is not None:
            self._context.report(finding)
        return finding

    def _real(self, shot: Shot) -> Pixels:
        pixels = shot.signal
        if np.iscomplexobj(pixels):
            pixels = without_phase(pixels).real
        if shot.weight[0] <= LOWEST and self._object is None:
            region = object_region(np.maximum(pixels, 0).astype(np.float64))
            self._object = region if region.any() else None
        return np.asarray(pixels, np.float32)

    def _keep(self, pixels: Pixels, entry: int, repetition: int) -> None:
        placed = pixels
        if self._register and repetition < len(self.shifts):
            placed = _moved(pixels, self.shifts[repetition])
        inside = pixels if self._object is None else pixels[self._object]
        self.shots.append(Taken(pixels, entry, repetition, placed, float(inside.mean())))
        self._update(entry)
        self._drop()

    def _update(self, entry: int) -> None:
        if self._running is not None or self.known:
            self._tensor().replace(entry, self.average(entry), int(self.counts[entry]))

    def _tensor(self) -> RunningTensor:
        """Return the running tensor, made of all shots so far where the table has grown."""
        if self._running is None:
            self._running = RunningTensor(self.table, self._shape)
            for entry in np.flatnonzero(self.counts).tolist():
                self._running.replace(entry, self.average(entry), int(self.counts[entry]))
        return self._running

    def _drop(self) -> None:
        """Leave out shots that lost their signal, judged against the others of their shell."""
        shells = np.array([round(self.weights[shot.entry][0] / SECONDS_PER_MM2, -1) for shot in self.shots])
        means = np.array([shot.mean for shot in self.shots])
        for index in reversed(dropouts(means, shells, self._context.limits)):
            shot = self.shots.pop(index)
            name = f"{self.name(shot.entry)}, repetition {shot.repetition + 1}"
            message = f"Slice {self.number}, {name}: signal is missing and the image was left out"
            where = Where(slices=(self.number,))
            finding = Finding(Severity.RED, "slice dropout", message, f"Repeat {self.name(shot.entry)}", where=where)
            self.spoilt.append(finding)
            self._context.report(finding)
            self._update(shot.entry)

    def _place(self, running: RunningTensor) -> None:
        """Find where the heart lies in the latest repetition, and lay it where it was in the first."""
        repetition = len(self.shifts)
        own = [shot for shot in self.shots if shot.repetition == repetition]
        if repetition == 0 or not own:
            self.shifts.append((0.0, 0.0))
            return
        reference = self._without(repetition)
        if reference is None:
            self.shifts.append((0.0, 0.0))
            return
        images = np.stack([shot.pixels for shot in own])
        shift = shift_between(images, reference[[shot.entry for shot in own]], self._window())
        self.shifts.append(shift)
        for shot in own:
            shot.placed = _moved(shot.pixels, shift)
        for entry in {shot.entry for shot in own}:
            running.replace(entry, self.average(entry), int(self.counts[entry]))

    def _without(self, repetition: int) -> Real | None:
        """Return what the tensor of the repetitions before one predicts, (n, y, x); None if there is no tensor."""
        sums, counts = np.zeros((len(self.weights), *self._shape)), np.zeros(len(self.weights))
        for shot in self.shots:
            if shot.repetition < repetition:
                sums[shot.entry] += shot.placed
                counts[shot.entry] += 1
        there, table = counts > 0, self.table
        if spanned(table.part(there)) < _COMPONENTS or not np.any(table.unweighted & there):
            return None
        averages = np.maximum(sums[there] / counts[there, None, None], 0)
        return predicted(fit_ols(averages, table.part(there)), table)

    def _window(self) -> Real:
        if self.wall is None:
            return self.region.astype(np.float64)
        radius = _HEART_M / self.pixel_m
        return heart_window(self._shape, self.wall.centre, radius)

    @property
    def pixel_m(self) -> float:
        """Side of a pixel."""
        return float(self.like.geometry.field_of_view_m[0] / self._shape[1])

    def _look(self) -> None:
        """Find the ventricle's wall in the mean of the weighted images."""
        if not self.heart:
            return
        weighted = np.array([b > LOWEST for b, _ in self.weights]) & (self.counts > 0)
        try:
            self.wall = find_wall(self.averages()[weighted].mean(axis=0), self.pixel_m, self._centre())
            self.no_wall = ""
        except NoVentricle as error:
            self.no_wall = str(error)

    def _centre(self) -> Shift | None:
        text = self._context.parameters.get("centre")
        if text is None:
            return None
        try:
            y, x = (float(part) for part in text.strip("[]()").split(","))
        except ValueError as error:
            raise ScanError(f"centre is {text!r}; give the ventricle's centre as y,x in pixels") from error
        return y, x


def _moved(pixels: Pixels, shift: Shift) -> Pixels:
    return pixels if max(map(abs, shift)) < _STILL else np.asarray(moved(pixels, shift), np.float32)
