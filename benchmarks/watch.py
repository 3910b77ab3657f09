"""What the monitors find, what they miss, and what they cost: simulated and measured scans apart.

Simulated scans are of a numerical head whose pose, height, contrast and noise follow from a seed. Its k-space is exact:
coils stay while the head moves, lines are taken from the pose at which each is acquired, and noise is added afterwards.
Thresholds were set on seeds 1000 to 1023 at rest and 1100 to 1115 with motion; everything here uses seeds from 5000 on.

Measured heads have no motion of their own that is known. Motion is put into them as a shift of every coil's image (a
phase ramp), which moves the sensitivities along with the head: an approximation that holds for small shifts.

    python benchmarks/watch.py [--cases 40] [--part motion shifts clean faults cost real]
"""

# ruff: noqa: E402
from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from hardware import threads

threads.settle()  # before NumPy is loaded, as in a node

import numpy as np
import scipy.io

from hardware.fourier import to_image, to_kspace
from inline.header import Scan
from inline.scan import Context, Readout
from inline.scanner.faults import FAULTS, fault
from inline.scanner.head import FIELD_OF_VIEW_M, frequencies
from inline.scanner.recording import Recording
from inline.scanner.simulate import simulate
from inline.stages.watching import watched
from qc.finding import Finding, Severity, worst
from qc.limits import SHIPPED
from qc.motion import Spaces, course, motion
from qc.reading import Kind, Plan, Reading
from qc.watch import MONITORS, Watch
from recon_models.physics import coils as receive_coils
from recon_models.physics import encoding, sampling
from recon_models.physics.phantom import head

FIRST_SEED = 5000
TR_S = 30e-3
DWELL_S = 1e-5
TISSUES = ("scalp", "skull", "fluid", "grey matter", "white matter", "lesion", "vessel")
CONTRASTS = {"T1": (0.6, 0.05, 0.3, 0.7, 0.9, 0.5, 1.0), "T2": (0.4, 0.03, 1.0, 0.6, 0.45, 0.9, 0.1)}
CHANGES = {"arrival": {"vessel": 2.0, "lesion": 1.8, "grey matter": 1.08}, "pulsation": {"vessel": 0.5, "fluid": 0.9}}
"""Factor of the signal of tissues at the height of a change that is no motion."""
MEASURED = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Case:
    """A scan to simulate; ``pixels`` is how far the head moves, ``kind`` how."""

    coils: int = 8
    matrix: int = 128
    order: str = "interleaved"
    acceleration: int = 1
    partial_fourier: float = 1.0
    snr: float = 30.0
    contrast: str = "T1"
    prescan: int = 24
    kind: str = ""
    pixels: float = 0.0


@dataclass
class Measured:
    """A simulated scan: lines in the order they came, which of them are corrupted, and the error of the image."""

    case: Case
    lines: np.ndarray
    order: np.ndarray
    corrupted: np.ndarray
    before: np.ndarray
    noise: np.ndarray
    error: float = 0.0


@dataclass
class Result:
    """What the watch made of a scan."""

    score: float
    accuracy: float
    delay: float
    impact: float
    error: float
    findings: list[Finding] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    @property
    def colour(self) -> Severity:
        """The worst finding's."""
        return worst(self.findings) if self.findings else Severity.GREEN


def measure(case: Case, seed: int) -> Measured:
    """Simulate one scan."""
    random = np.random.default_rng([seed, 3])
    height = random.uniform(-0.03, 0.04)
    start = random.uniform(-0.15, 0.15), tuple(random.uniform(-8e-3, 8e-3, 2))
    spread = np.exp(0.15 * random.standard_normal(len(TISSUES)))
    tissues = dict(zip(TISSUES, (spread * CONTRASTS[case.contrast]).tolist(), strict=True))
    array = receive_coils.array(case.coils, (2 * FIELD_OF_VIEW_M,) * 2, z_m=height)
    kx, ky = frequencies(2 * case.matrix, 2 * FIELD_OF_VIEW_M), frequencies(case.matrix, FIELD_OF_VIEW_M)
    order = acquired(case)
    step = case.pixels * FIELD_OF_VIEW_M / case.matrix
    angle, turn = random.uniform(0, 2 * np.pi), random.choice([-1.0, 1.0])
    onset = random.uniform(0.1, 0.9) if case.kind in ("step", "noise") else random.uniform(0.1, 0.6)
    part = course_of(case.kind, np.arange(len(order)) / len(order), onset)

    def lines_at(fraction: float, which: np.ndarray, values: Mapping[str, complex] = tissues) -> np.ndarray:
        away = fraction * step
        through = height - away if case.kind == "through-plane" else height
        away = 0.0 if case.kind == "through-plane" else away
        section = head().section(through).moved(*start)
        # a third of the travel of the head's edge comes from turning
        section = section.moved(turn * away / 3 / 0.1, (away * np.cos(angle) * 2 / 3, away * np.sin(angle) * 2 / 3))
        return encoding.receive(section, values, array, kx=kx, ky=ky[which])

    still = lines_at(0.0, np.arange(case.matrix))
    lines = still[order]
    if case.kind in ("arrival", "pulsation"):
        lines = changing(case.kind, lines, order, part, lines_at, tissues)
        part = np.zeros(len(order))
    elif case.kind != "noise":
        for value in np.unique(part[part > 0]):
            lines[part == value] = lines_at(float(value), order[part == value])
    covariance = receive_coils.noise_covariance(case.coils, random)
    scale = gain(still, covariance, case.snr)
    noise = receive_coils.noise(covariance, (len(order), 2 * case.matrix), random)
    if case.kind == "noise":
        noise[part > 0] *= 2
        part = np.zeros(len(order))
    central = sampling.central(case.matrix, case.prescan)
    prescan = still[central] * scale + receive_coils.noise(covariance, (len(central), 2 * case.matrix), random)
    measured = Measured(
        case,
        (lines * scale + noise).astype(np.complex64),
        order,
        part * case.pixels > 0.25,
        prescan.astype(np.complex64),
        receive_coils.noise(covariance, (16, 1024), random),
    )
    if case.kind == "step" and len(order) == case.matrix:
        measured.error = error_of(lines, still, lines_at(1.0, np.arange(case.matrix)), order)
    return measured


def acquired(case: Case) -> np.ndarray:
    """Return the lines in the order of acquisition."""
    mask = np.zeros(case.matrix, bool)
    mask[sampling.regular(case.matrix, case.acceleration)] = True
    if case.acceleration > 1:
        mask[sampling.central(case.matrix, 24)] = True
    mask[: sampling.first_line(case.matrix, case.partial_fourier)] = False
    lines = np.flatnonzero(mask)
    return sampling.interleaved(lines) if case.order == "interleaved" else lines


def course_of(kind: str, instants: np.ndarray, onset: float) -> np.ndarray:
    """Return where the head is at each line, as a part of how far it goes."""
    since = instants - onset
    heart = 2 * np.pi * instants * len(instants) * TR_S / 0.9
    courses = {
        "step": since >= 0,
        "through-plane": since >= 0,
        "noise": since >= 0,
        "drift": np.round(np.maximum(since, 0) / (1 - onset), 2),
        "nod": (since >= 0) & (since < 0.2),
        "periodic": np.round(np.where(since >= 0, np.sin(2 * np.pi * 3 * since) ** 2, 0), 1),
        "arrival": np.round(np.clip(since / 0.2, 0, 1), 1),
        "pulsation": np.round(0.5 + 0.5 * np.sin(heart), 1),
    }
    return np.asarray(courses.get(kind, np.zeros(len(instants))), float)


def changing(kind, lines, order, part, lines_at, tissues):
    """Return lines of a head whose signal changes: vessels and lesion fill with contrast agent, or vessels pulsate."""
    lines = lines.copy()
    for value in np.unique(part[part > 0]):
        now = {name: v * (1 + value * (CHANGES[kind].get(name, 1.0) - 1)) for name, v in tissues.items()}
        lines[part == value] = lines_at(0.0, order[part == value], now)
    return lines


def gain(still: np.ndarray, covariance: np.ndarray, snr: float) -> float:
    """Return the factor that gives the head a mean signal-to-noise ratio."""
    images = to_image(still.transpose(1, 0, 2), (1, 2))
    white = np.tensordot(receive_coils.whitening(covariance), images, 1)
    picture = np.sqrt(np.sum(np.abs(white) ** 2, axis=0))
    return float(snr / picture[picture > 0.3 * picture.max()].mean())


def error_of(lines: np.ndarray, still: np.ndarray, moved: np.ndarray, order: np.ndarray) -> float:
    """Return the NRMSE of the image against that of the head at rest in either position, whichever is closer."""
    pictures = []
    for kspace in (lines[np.argsort(order)], still, moved):
        images = to_image(kspace.transpose(1, 0, 2), (1, 2))
        pictures.append(np.sqrt(np.sum(np.abs(images) ** 2, axis=0)))
    return float(min(np.linalg.norm(pictures[0] - p) / np.linalg.norm(p) for p in pictures[1:]))


def watch(measured: Measured) -> Result:
    """Show a scan to the monitors, readout by readout."""
    case, spaces = measured.case, OrderedDict()
    plan = Plan(
        case.matrix,
        pixel_m=FIELD_OF_VIEW_M / case.matrix,
        noise_bandwidth=1.0,
        acceleration=case.acceleration,
        prescan=case.prescan > 0,
    )
    watching = Watch((plan,), SHIPPED, {**MONITORS, "motion": partial(motion, spaces=spaces)})
    for samples in measured.noise:
        watching.see(Reading(samples, samples.shape[1] // 2, Kind.NOISE, dwell_s=DWELL_S))
    for line, samples in zip(sampling.central(case.matrix, case.prescan), measured.before, strict=True):
        watching.see(Reading(samples, case.matrix, Kind.REFERENCE, line=int(line), dwell_s=DWELL_S))
    return seen(watching, readings(measured), measured.corrupted, measured.error, spaces)


def readings(measured: Measured) -> Iterator[tuple]:
    for number, (line, samples) in enumerate(zip(measured.order, measured.lines, strict=True)):
        yield samples, samples.shape[1] // 2, int(line), number


def seen(watching: Watch, lines: Iterator[tuple], corrupted: np.ndarray, error: float, spaces: Spaces) -> Result:
    findings, seconds, busy, alarm = [], [], [], None
    for samples, centre, line, number in lines:
        start, begun = time.perf_counter(), time.thread_time()
        at = number * TR_S
        found = watching.see(
            # its physiological clock never returns to zero: the scan is not gated
            Reading(samples, centre, line=line, number=number, time_s=at, since_trigger_s=at, dwell_s=DWELL_S)
        )
        seconds.append(time.perf_counter() - start)
        busy.append(time.thread_time() - begun)
        findings += found
        if alarm is None and any(finding.cause == "motion" for finding in found):
            alarm = number
    findings += watching.end()
    if not spaces:
        return Result(0.0, 0.0, np.inf, 0.0, error, findings, seconds, busy)
    space = next(iter(spaces.values())).space
    what = course(space)
    count, onset = len(corrupted), int(np.argmax(corrupted))
    delay = np.inf if alarm is None or not corrupted.any() else (alarm - onset) / count
    accuracy = float(np.mean(what.away == corrupted)) if len(what.away) == count else float("nan")
    return Result(what.total, accuracy, delay, what.impact, error, findings, seconds, busy)


def area_under_curve(moved: list[float], still: list[float]) -> float:
    a, b = np.array(moved)[:, None], np.array(still)
    return float(np.mean(a > b) + 0.5 * np.mean(a == b))


def batch(case: Case, count: int, first: int = FIRST_SEED) -> list[Result]:
    return [watch(measure(case, seed)) for seed in range(first, first + count)]


HEADER = f"{'':<46}{'n':>9}{'AUC':>7}{'delay':>8}{'lines':>8}{'amber+':>8}{'red':>6}{'red, clean':>12}"


def row(name: str, moved: list[Result], still: list[Result]) -> str:
    score = area_under_curve([r.score for r in moved], [r.score for r in still])
    delay = statistics.median(r.delay for r in moved)
    lines = statistics.mean(r.accuracy for r in moved)
    noticed = np.mean([np.isfinite(r.delay) for r in moved])
    red = np.mean([r.colour is Severity.RED for r in moved])
    false = sum(r.colour is Severity.RED for r in still)
    return (
        f"{name:<46}{len(moved):>4}/{len(still):<4}{score:>7.3f}{delay:>8.1%}{lines:>8.1%}{noticed:>8.0%}{red:>6.0%}"
        f"{false:>8}/{len(still)}"
    )


def motion_table(count: int) -> None:
    print(f"\nSimulated: motion within a scan (128 lines, prescan of 24 lines unless stated otherwise)\n{HEADER}")
    for prescan in (24, 0):
        for order in ("interleaved", "linear"):
            for number in (8, 16):
                case = Case(coils=number, order=order, prescan=prescan)
                still = batch(case, count)
                for pixels in (2.0, 1.0, 0.5) if prescan else (2.0, 1.0):
                    moved = batch(replace(case, kind="step", pixels=pixels), count, FIRST_SEED + 500)
                    name = f"{order}, {number} coils, step {pixels:g} px{'' if prescan else ', no prescan'}"
                    print(row(name, moved, still), flush=True)


def shift_table(count: int) -> None:
    print(f"\nSimulated: held-out shifts, step of 1 px, 8 coils, interleaved\n{HEADER}")
    shifts = {
        "4 coils": Case(coils=4),
        "32 coils": Case(coils=32),
        "SNR / 3": Case(snr=10.0),
        "half matrix (64)": Case(matrix=64),
        "double matrix (256)": Case(matrix=256),
        "unseen contrast (T2)": Case(contrast="T2"),
        **{f"R = {r}": Case(acceleration=r) for r in (2, 3, 4)},
        **{f"R = {r}, linear": Case(acceleration=r, order="linear") for r in (2, 3, 4)},
        "partial Fourier 6/8": Case(partial_fourier=0.75),
        "partial Fourier 6/8, linear": Case(partial_fourier=0.75, order="linear"),
    }
    for name, case in shifts.items():
        still = batch(case, count)
        print(row(name, batch(replace(case, kind="step", pixels=1.0), count, FIRST_SEED + 500), still), flush=True)
    still = batch(Case(), count)
    for kind, pixels in (("drift", 2.0), ("periodic", 2.0), ("nod", 1.0), ("through-plane", 2.0)):
        moved = batch(Case(kind=kind, pixels=pixels), count, FIRST_SEED + 500)
        print(row(f"{kind}, {pixels:g} px", moved, still), flush=True)


def clean_table(count: int) -> None:
    print("\nSimulated: nothing that should be red (held-out seeds)")
    print(f"{'':<46}{'n':>5}{'amber':>7}{'red':>5}{'largest score':>15}")
    quiet = {
        f"clean, {order}, {number} coils, {'prescan' if pre else 'no prescan'}": Case(number, order=order, prescan=pre)
        for order in ("interleaved", "linear")
        for number in (8, 16)
        for pre in (24, 0)
    }
    hard = {name: Case(kind=name) for name in ("arrival", "pulsation", "noise")}
    for name, case in {**quiet, **hard}.items():
        results = batch(case, count, FIRST_SEED + 1000)
        tell_clean(name, results)
    first = FIRST_SEED + 2000
    small = [r for pixels in (0.05, 0.1, 0.2) for r in batch(Case(kind="step", pixels=pixels), count, first)]
    large = batch(Case(kind="step", pixels=1.0), count, first)
    tell_clean("harmless motion (true NRMSE < 1 %)", [r for r in small + large if r.error < 0.01])
    ratio = [r.impact / r.error for r in small + large if r.score > SHIPPED["motion"].amber and r.error > 0.005]
    low, middle, high = np.quantile(ratio, [0.1, 0.5, 0.9])
    print(f"estimated over true NRMSE where motion was seen: median {middle:.2f}, 10-90 % {low:.2f}-{high:.2f}")


def tell_clean(name: str, results: list[Result]) -> None:
    colours = [r.colour for r in results]
    amber, red = colours.count(Severity.AMBER), colours.count(Severity.RED)
    largest = max((r.score for r in results), default=0.0)
    print(f"{name:<46}{len(results):>5}{amber:>7}{red:>5}{largest:>15.1f}", flush=True)


CAUSES = {
    "spike": "spikes",
    "interference": "interference",
    "dead-coil": "dead coil",
    "saturation": "saturation",
    "noise": "noise level",
    "missed-trigger": "missed triggers",
    "missing": "missing readouts",
    "disordered": "disordered readouts",
}


def fault_table(count: int) -> None:
    print("\nSimulated: injected faults; of the scans with a fault (rows) those with each finding (columns)")
    columns = [*CAUSES.values(), "motion", "other"]
    print(f"{'':<16}{'n':>4}" + "".join(f"{name[:11]:>12}" for name in columns))
    for kind in [*FAULTS, ""]:
        counts = dict.fromkeys(columns, 0)
        for seed in range(FIRST_SEED + 3000, FIRST_SEED + 3000 + count):
            for cause in {finding.cause for finding in faulty(kind, seed)}:
                counts[cause if cause in counts else "other"] += 1
        print(f"{kind or 'none':<16}{count:>4}" + "".join(f"{counts[name]:>12}" for name in columns), flush=True)


def faulty(kind: str, seed: int) -> list[Finding]:
    """Return the findings of a scan file with one fault, from the file to the console's side."""
    random = np.random.default_rng(seed)
    onset = random.uniform(0.3, 0.7)
    faults = (fault(f"{kind}@{onset:.2f}"),) if kind and kind != "saturation" else (fault(kind),) if kind else ()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.h5"
        simulate(
            "cartesian", path, seed=seed, matrix=128, coils=int(random.choice([8, 16])), tr_s=TR_S, rr_s=0.3,
            order=str(random.choice(["linear", "interleaved"])), prescan=24, faults=faults,
        )  # fmt: skip
        return of_file(path)


def of_file(path: Path) -> list[Finding]:
    findings: list[Finding] = []
    with Recording(path) as recording:
        scan = Scan.from_xml(recording.xml)
        items = (Readout.from_acquisition(acquisition) for acquisition in recording.acquisitions())
        for _ in watched(items, scan, Context(report=findings.append)):
            pass
    return findings


def cost_table() -> None:
    print("\nCost of all monitors, per readout of 16 coils x 512 samples (256 lines)")
    for order in ("interleaved", "linear"):
        case = Case(coils=16, matrix=256, order=order)
        results = [watch(measure(case, seed)) for seed in range(FIRST_SEED, FIRST_SEED + 5)]
        for name, values in (("wall", [r.seconds for r in results]), ("processor", [r.busy for r in results])):
            p50, p90, p99 = np.quantile(np.concatenate(values), [0.5, 0.9, 0.99]) * 1e3
            print(f"{order:<12} {name:<10} p50 {p50:.3f} ms, p90 {p90:.3f} ms, p99 {p99:.3f} ms, n = {5 * case.matrix}")


def heads() -> Iterator[tuple[str, np.ndarray]]:
    """Yield measured, fully sampled heads: (coils, lines, samples), and once more with read and phase exchanged."""
    folder = MEASURED / "kspace_cartesian"
    data = {
        "MPRAGE, 4 coils": scipy.io.loadmat(folder / "loraks_mprage_4ch_full.mat")["kData"].transpose(2, 0, 1),
        "head, 8 coils": to_kspace(
            scipy.io.loadmat(folder / "marcsous_head_8ch_coilimages.mat")["data"].transpose(2, 0, 1), (1, 2)
        ),
        "aliased T1, 8 coils": scipy.io.loadmat(folder / "espirit_brain_alias_8ch.mat")["DATA"].transpose(2, 0, 1)[
            :, :, 44:212
        ],
    }
    for name, kspace in data.items():
        for turned in (False, True):
            one = np.ascontiguousarray(kspace.transpose(0, 2, 1) if turned else kspace).astype(np.complex64)
            strongest = np.sum(np.abs(one) ** 2, axis=(0, 2)).argmax()
            echo = np.sum(np.abs(one) ** 2, axis=(0, 1)).argmax()
            apart = one.shape[1] // 2 - strongest, one.shape[2] // 2 - echo
            yield f"{name}{', turned' if turned else ''}", np.roll(one, apart, axis=(1, 2))


def watch_head(kspace: np.ndarray, order: str, pixels: float, onset: float, angle: float) -> Result:
    _, number, width = kspace.shape
    lines = np.arange(number)
    lines = sampling.interleaved(lines) if order == "interleaved" else lines
    corrupted = np.arange(number) >= (onset * number if pixels else number)
    ky, kx = (np.arange(number) - number // 2) / number, (np.arange(width) - width // 2) / width
    ramp = np.exp(-2j * np.pi * pixels * (np.cos(angle) * kx + np.sin(angle) * ky[:, None])).astype(np.complex64)

    def samples() -> Iterator[tuple]:
        for place, line in enumerate(lines.tolist()):
            one = kspace[:, line] * ramp[line] if corrupted[place] else kspace[:, line]
            yield np.ascontiguousarray(one), width // 2, line, place

    spaces: Spaces = OrderedDict()
    watching = Watch((Plan(number, view=1.0),), SHIPPED, {**MONITORS, "motion": partial(motion, spaces=spaces)})
    return seen(watching, samples(), corrupted, 0.0, spaces)


def real_table(count: int) -> None:
    if not MEASURED.is_dir():
        print(f"\nMeasured: not executed, {MEASURED} is not there")
        return
    print("\nMeasured: scans as they are")
    for path in sorted((MEASURED / "ismrmrd").glob("*.h5")):
        findings = of_file(path)
        print(f"{path.stem:<34}{colour_of(findings):<8}{'; '.join(sorted({f.cause for f in findings}))}")
    random = np.random.default_rng(FIRST_SEED)
    print(f"\nMeasured heads: as they are, and with a step put in (no prescan, no noise scan)\n{HEADER}")
    still: dict[str, list[Result]] = {"interleaved": [], "linear": []}
    moved: dict[tuple[str, float], list[Result]] = {}
    for name, kspace in heads():
        for order, results in still.items():
            results.append(watch_head(kspace, order, 0.0, 0.0, 0.0))
            causes = "; ".join(sorted({f.cause for f in results[-1].findings}))
            print(f"  {name}, {order}: {results[-1].colour.colour}, score {results[-1].score:.1f} {causes}")
            for pixels in (1.0, 0.5):
                angles = random.uniform(0, 2 * np.pi, count)
                onsets = random.uniform(0.1, 0.9, count)
                moved.setdefault((order, pixels), []).extend(
                    watch_head(kspace, order, pixels, onset, angle) for onset, angle in zip(onsets, angles, strict=True)
                )
    for (order, pixels), results in moved.items():
        print(row(f"{order}, step {pixels:g} px", results, still[order]))


def colour_of(findings: list[Finding]) -> str:
    return worst(findings).colour if findings else "green"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ("motion", "shifts", "clean", "faults", "cost", "real")
    parser.add_argument("--cases", type=int, default=40, help="simulated scans of each sort (default 40)")
    parser.add_argument("--part", nargs="+", choices=parts, default=parts, help="tables to print")
    arguments = parser.parse_args()
    tables = {
        "motion": lambda: motion_table(arguments.cases),
        "shifts": lambda: shift_table(max(arguments.cases // 2, 2)),
        "clean": lambda: clean_table(arguments.cases),
        "faults": lambda: fault_table(max(arguments.cases // 4, 2)),
        "cost": cost_table,
        "real": lambda: real_table(max(arguments.cases // 8, 2)),
    }
    for part in arguments.part:
        tables[part]()


if __name__ == "__main__":
    main()
