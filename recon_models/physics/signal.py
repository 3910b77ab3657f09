"""What is received of tissues during a sequence: one simulator for dictionaries, training, tests and simulated scans.

    sequence = (Inversion(), Wait(0.02), Train(flips, phases, tr_s=5.1e-3, te_s=1.4e-3, balanced=False))
    signal = received(sequence, Tissue(t1_s=np.array([1.2, 0.3]), t2_s=np.array([0.045, 0.08])))

Trains are phase graphs (`recon_models.physics.epg`), which also are Bloch's equation where nothing is wound up: FISP,
FLASH and bSSFP, with inversions, saturations, T2 preparations and waits between them. Pulses are instantaneous. What is
wound up along the field (Z_k) stays through waits and preparations; what is across is gone.

Signs: precession at a positive off-resonance advances the phase; behind a pulse of phase 0 the signal of equilibrium on
resonance is positive and real. A transverse magnetisation of one is M0.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hardware.threads import cores
from recon_models.physics import epg
from recon_models.physics.profile import FLAT, Profile
from recon_models.physics.sequence import Inversion, Saturation, Sequence, T2Preparation, Tissue, Train, Wait

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float32]
Whole = npt.NDArray[np.int32]

STATES: Final = 24
"""Orders kept unless told otherwise; see the error of fewer in `tests/recon_models/test_signal.py`."""

_WORTH_A_THREAD: Final = 256
"""Tissues: starting a thread takes longer than fewer of them."""
_KINDS: Final = {
    Wait: epg.WAIT,
    Inversion: epg.INVERSION,
    Saturation: epg.SATURATION,
    T2Preparation: epg.T2_PREPARATION,
    Train: epg.TRAIN,
}


def received(
    sequence: Sequence,
    tissue: Tissue,
    *,
    readouts: npt.NDArray[np.int64] | None = None,
    profile: Profile = FLAT,
    states: int = STATES,
) -> Complex:
    """Return what is received, in units of M0.

    Parameters
    ----------
    sequence
        From equilibrium on.
    tissue
        Whatever shape its arrays broadcast to.
    readouts
        (kept,) numbers of the readouts wanted, counted through all trains in order, each once; all of them unless
        given.
    profile
        Flip angles across the slice.
    states
        Orders of the phase graph that are kept.

    Returns
    -------
    Complex
        (tissues..., readouts) complex64.

    Raises
    ------
    ValueError
        If the sequence or a tissue is not physical, or a readout is asked for that there is not.
    """
    program = _Program.of(sequence, readouts)
    shape, columns = _columns(tissue)
    largest = np.abs(program.flips).max(initial=0) * columns[3].max(initial=0) * profile.factors.max()
    if largest > epg.LARGEST_RAD:
        raise ValueError(f"a flip angle of {np.rad2deg(largest):.0f} degrees; the most is 270")
    number = columns.shape[1]
    whole = program.needs_both_halves(columns)
    out = np.zeros((number, program.kept, 2), np.float32)
    parts = max(1, min(cores(), number // _WORTH_A_THREAD))
    ends = [round(n * number / parts / epg.LANES) * epg.LANES for n in range(parts)] + [number]

    def run(first: int, end: int) -> None:
        factors, weights = (np.ascontiguousarray(a, np.float32) for a in (profile.factors, profile.weights))
        part = np.ascontiguousarray(columns[:, first:end])
        epg.simulate(out[first:end], part, factors, weights, *program.arrays(), states, whole)

    if parts == 1:
        run(0, number)
    else:
        with ThreadPoolExecutor(parts) as pool:
            list(pool.map(run, ends[:-1], ends[1:]))
    return out[: math.prod(shape)].view(np.complex64).reshape(*shape, program.kept)


@dataclass(frozen=True, slots=True, eq=False)
class _Program:
    """A sequence as the kernel reads it; see `epg.simulate`."""

    kinds: Whole
    numbers: Real
    flips: Real
    turns: Real
    slots: Whole
    kept: int

    @classmethod
    def of(cls, sequence: Sequence, readouts: npt.NDArray[np.int64] | None) -> _Program:
        for event in sequence:
            _check(event)
        trains = [event for event in sequence if isinstance(event, Train)]
        flips, phases = (
            np.concatenate([np.zeros(0), *(getattr(train, name) for train in trains)])
            for name in ("flips_rad", "phases_rad")
        )
        lag = np.diff(phases, append=phases[-1:])
        wanted = np.arange(len(flips)) if readouts is None else np.asarray(readouts)
        if wanted.size and not 0 <= wanted.min() <= wanted.max() < len(flips):
            raise ValueError(f"readouts {wanted.min()} to {wanted.max()} of a sequence that has {len(flips)}")
        slots = np.full(len(flips), -1, np.int32)
        slots[wanted] = np.arange(wanted.size)
        return cls(
            np.array([_KINDS[type(event)] for event in sequence], np.int32),
            np.array([_numbers(event) for event in sequence], np.float32).reshape(-1, 5),
            flips.astype(np.float32),
            np.stack((np.cos(lag), np.sin(lag))).astype(np.float32),
            slots,
            wanted.size,
        )

    def arrays(self) -> tuple[Whole, Real, Real, Real, Whole]:
        return self.kinds, self.numbers, self.flips, self.turns, self.slots

    def needs_both_halves(self, columns: Real) -> bool:
        """Return whether precession or phases mix the two halves.

        Where each TR of the same length winds up a whole turn, precession only moves isochromats within it.
        """
        if np.abs(self.turns[1]).max(initial=0) > 1e-6:
            return True
        trains = self.numbers[(self.kinds == epg.TRAIN) & (self.numbers[:, 4] > 0)]
        moved = bool((trains[:, 3] > 0).all()) and np.unique(trains[:, 1]).size <= 1
        return bool(columns[2].any()) and not moved


def _columns(tissue: Tissue) -> tuple[tuple[int, ...], Real]:
    """Return the shape of the tissues, and their numbers as columns, filled up to whole vectors."""
    given = (tissue.t1_s, tissue.t2_s, tissue.off_resonance_hz, tissue.b1, tissue.efficiency)
    arrays = np.broadcast_arrays(*given)
    flat = np.stack([np.ravel(one) for one in arrays]).astype(np.float32)
    if not (np.isfinite(flat).all() and (flat[:2] > 0).all()):
        raise ValueError("T1 and T2 must be positive, and all that is said of a tissue finite")
    flat[2] *= 2 * np.pi
    return arrays[0].shape, np.pad(flat, ((0, 0), (0, -flat.shape[1] % epg.LANES)), mode="edge")


def _check(event: object) -> None:
    if isinstance(event, Train):
        if len(event.flips_rad) != len(event.phases_rad):
            raise ValueError(f"a train has {len(event.flips_rad)} flip angles but {len(event.phases_rad)} phases")
        if not 0 <= event.te_s <= event.tr_s or event.tr_s <= 0:
            raise ValueError(
                f"a train has TE {event.te_s} s and TR {event.tr_s} s; 0 <= TE <= TR and 0 < TR are needed"
            )
    elif isinstance(event, Wait) and event.duration_s < 0:
        raise ValueError(f"a wait of {event.duration_s:.4f} s: events before it take longer than there is time for")
    elif isinstance(event, T2Preparation) and event.echo_time_s < 0:
        raise ValueError(f"a T2 preparation of {event.echo_time_s} s")


def _numbers(event: object) -> tuple[float, ...]:
    if isinstance(event, Wait):
        return event.duration_s, 0, 0, 0, 0
    if isinstance(event, T2Preparation):
        return event.echo_time_s, 0, 0, 0, 0
    if isinstance(event, Train):
        winds = not (event.balanced or event.ideally_spoilt)
        return len(event.flips_rad), event.tr_s, event.te_s, winds, not event.ideally_spoilt
    return 0, 0, 0, 0, 0
