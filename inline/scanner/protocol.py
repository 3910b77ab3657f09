"""What is set at the console of the simulated scanner."""

from __future__ import annotations

from dataclasses import dataclass

from inline.scanner.faults import Fault
from recon_models.physics.motion import Motion


@dataclass(frozen=True, slots=True)
class Protocol:
    """A scan to simulate.

    Attributes
    ----------
    seed
        Everything random follows from it.
    snr
        Mean over the head of signal over the standard deviation of noise (real part) in the root-sum-of-squares image
        of the whitened, fully sampled data of one average. The noise of k-space stays the same when lines are left out.
    coils
        Receive channels.
    matrix
        Points along x and y of the image; 0 stands for what is usual (256 Cartesian, 80 EPI).
    acceleration
        Every how-many-th line is acquired.
    slices, partitions
        Slices of a 2D scan, or partitions of a 3D slab.
    partial_fourier
        Fraction of the lines acquired, 0.5 to 1; the first ones are left out.
    calibration
        Fully sampled lines around the centre; None stands for 24 when accelerated, otherwise 0.
    repetitions, averages, contrasts
        Loops outside the lines; contrasts differ in echo time.
    asymmetric_echo
        Fraction of the readout left out before the echo, 0 to 0.45.
    random
        Lines chosen at random, denser in the centre, instead of regularly.
    order
        ``linear`` or ``interleaved`` (four passes over k-space).
    tr_s
        Time from one readout to the next (Cartesian) or one shot to the next (EPI); 0 stands for 3 ms or 2 s.
    noise_scan
        Whether noise is measured before the scan.
    prescan
        Lines around the centre measured before the scan, as a separate reference; none are then embedded in it.
    rr_s
        Time from one heart beat to the next; 0 stands for a scan that follows no heart, or of maps for one of 60 beats
        in a minute.
    scheme
        Images and pauses of MOLLI, see `recon_models.physics.schedules.molli`.
    blood_t1_s
        T1 of blood after contrast medium; 0 stands for a native scan. Of maps only.
    motion
        What the head does.
    faults
        What breaks.
    """

    seed: int = 0
    snr: float = 30.0
    coils: int = 16
    matrix: int = 0
    acceleration: int = 1
    slices: int = 1
    partitions: int = 1
    partial_fourier: float = 1.0
    calibration: int | None = None
    repetitions: int = 1
    averages: int = 1
    contrasts: int = 1
    asymmetric_echo: float = 0.0
    random: bool = False
    order: str = "linear"
    tr_s: float = 0.0
    noise_scan: bool = True
    prescan: int = 0
    rr_s: float = 0.0
    scheme: str = "5(3)3"
    blood_t1_s: float = 0.0
    motion: tuple[Motion, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def calibration_lines(self) -> int:
        """Fully sampled lines around the centre."""
        usual = 24 if self.acceleration > 1 and not self.prescan else 0
        return usual if self.calibration is None else self.calibration
