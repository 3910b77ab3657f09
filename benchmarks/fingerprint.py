"""MR fingerprinting in figures: dictionary, matching, accuracy by rhythm, and the time behind the last arm.

    python benchmarks/fingerprint.py dictionary|matching|accuracy|nuisance|limits
    python benchmarks/fingerprint.py latency        one scan at the scanner's pace, in this process

Everything is simulated: 192 x 192, 750 arms of 48 interleaves, 16 coils compressed to 8.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from time import perf_counter

from hardware.threads import settle

settle()

import numpy as np  # noqa: E402 - threads are settled before

from inline.header import Scan  # noqa: E402
from inline.mrd.messages import Acquisition  # noqa: E402
from inline.pipelines.mrf import mrf, warm  # noqa: E402
from inline.scan import Context, Image, Readout  # noqa: E402
from inline.scanner import mrf as scanner  # noqa: E402
from inline.scanner.mrf_protocol import Protocol  # noqa: E402
from inline.scanner.recording import TICK_S  # noqa: E402
from inline.scanner.writer import Recording  # noqa: E402
from recon_models.fingerprint.basis import cardiac  # noqa: E402
from recon_models.fingerprint.description import shipped  # noqa: E402
from recon_models.fingerprint.dictionary import Reference, dictionary  # noqa: E402
from recon_models.fingerprint.matching import Matcher, brute_force  # noqa: E402
from recon_models.physics.motion import Motion  # noqa: E402
from recon_models.physics.rhythm import intervals  # noqa: E402

VOXELS = 192 * 192
RHYTHMS = ("regular", "variable", "af", "missed")
TISSUES = ("myocardium", "scar", "oedema", "blood", "liver", "muscle", "fat")


def seconds(run: Callable[[], object], repeat: int = 3) -> float:
    times = []
    for _ in range(repeat):
        start = perf_counter()
        run()
        times.append(perf_counter() - start)
    return float(np.median(times))


def a_dictionary() -> None:
    description = shipped("cardiac")
    random = np.random.default_rng(0)
    sequence = description.sequence(intervals("variable", 15, random))
    profile, basis = description.profile(), cardiac()
    for name, options in (
        ("20 k entries, each simulated", {"fine": (162, 144), "coarse": None}),
        ("20 k entries by splines", {"fine": (162, 144)}),
        ("the usual dictionary by splines", {}),
    ):
        entries = len(dictionary(sequence, basis, profile, **options).t1_s)
        took = seconds(lambda o=options: dictionary(sequence, basis, profile, **o))
        print(f"{name}: {entries} entries in {took:.3f} s")
    one, other = (dictionary(sequence, basis, profile, fine=(101, 97), coarse=c).coefficients for c in ((24, 20), None))
    error = np.linalg.norm(one - other, axis=1) / np.linalg.norm(other, axis=1)
    print(f"splines against simulating each entry: error {np.median(error):.1e} (median), {error.max():.1e} (largest)")


def matching() -> None:
    description = shipped("cardiac")
    random = np.random.default_rng(0)
    sequence = description.sequence(intervals("variable", 15, random))
    entries = dictionary(sequence, cardiac(), description.profile(), fine=(363, 318))
    reference = Reference(entries)
    atoms = np.asarray(entries.coefficients @ reference.axes)
    matcher = Matcher(atoms)
    print(
        f"{len(atoms)} atoms of rank {atoms.shape[1]}, {VOXELS} voxels; "
        f"index built in {seconds(lambda: Matcher(atoms)):.3f} s"
    )
    for snr in (3.0, 10.0, 30.0):
        chosen = random.integers(len(atoms), size=VOXELS)
        unit = atoms[chosen] / np.linalg.norm(atoms[chosen], axis=1, keepdims=True)
        noise = random.standard_normal((*unit.shape, 2)) @ [1, 1j] / np.sqrt(2 * unit.shape[1]) / snr
        signals = (unit * np.exp(2j * np.pi * random.random(VOXELS))[:, None] + noise).astype(np.complex64)
        signals[: VOXELS // 3] = noise[: VOXELS // 3]  # nothing but noise, as outside the body
        found = matcher.match(signals)
        took, part = seconds(lambda s=signals: matcher.match(s)), signals[::9]
        start = perf_counter()
        brute = brute_force(part, atoms)
        slow = (perf_counter() - start) * 9
        same = np.mean(found.atom[::9] == brute.atom)
        loss = np.max(brute.correlation - found.correlation[::9])
        print(
            f"SNR {snr:g}: {took:.2f} s, all atoms {slow:.1f} s (of a ninth of the voxels); the same atom {same:.2%}, "
            f"as good a one (within 1e-6) {np.mean(brute.correlation - found.correlation[::9] < 1e-6):.2%}, "
            f"largest loss of correlation {loss:.1e}"
        )


def readouts_of(recording: Recording) -> list[Readout]:
    acquisitions = zip(recording.headers, recording.trajectories, recording.samples, strict=True)
    return [Readout.from_acquisition(Acquisition(*one)) for one in acquisitions]


def mapped(recording: Recording, **parameters: str) -> tuple[dict[tuple[int, str], Image], list[str]]:
    findings: list[str] = []
    given = {"preview": "false"} | parameters
    context = Context(report=lambda finding: findings.append(finding.cause), parameters=given)
    images = mrf(iter(readouts_of(recording)), Scan.from_xml(recording.xml), context)
    return {(image.series // 10, image.quantity): image for image in images}, findings


def errors(images: dict[tuple[int, str], Image], recording: Recording, group: int, tissue: str) -> str:
    labels, purity = recording.truth["labels"], recording.truth["purity"].values
    there = (labels.values == labels.names.index(tissue)) & (purity == 1)
    cells = []
    for name in ("T1", "T2"):
        truth, found = recording.truth[name].values[there], images[group, name].pixels[0][there[0]]
        nrmse = np.sqrt(np.mean((found - truth) ** 2)) / truth.mean()
        cells.append(f"{truth.mean():7.1f} {found.mean():7.1f} {found.std():6.1f} {nrmse:6.1%}")
    return f"{tissue:<11}" + " | ".join(cells)


GROUPS = {0: "first maps", 2: "low rank", 3: "dictionary, gridded"}


def accuracy() -> None:
    print("tissue        T1 ms: truth, mean, SD, nRMSE     | T2 ms: the same")
    for rhythm in RHYTHMS:
        recording = scanner.record(Protocol(seed=11, rhythm=rhythm))
        images, findings = mapped(recording)
        for group, name in GROUPS.items():
            if (group, "T1") not in images:
                continue
            print(
                f"--- {rhythm}, {name}: {images[group, 'T1'].method}; {images[group, 'T1'].method_reason}; {findings}"
            )
            for tissue in TISSUES:
                print(errors(images, recording, group, tissue))


def nuisance() -> None:
    for b1, efficiency in ((1.0, 1.0), (0.85, 0.95), (1.15, 0.95), (1.0, 0.93)):
        recording = scanner.record(Protocol(seed=12, rhythm="variable", b1=b1, efficiency=efficiency))
        images, findings = mapped(recording)
        for group, name in GROUPS.items():
            if (group, "T1") in images:
                print(f"--- B1 {b1}, efficiency {efficiency}, {name}: {images[group, 'T1'].method}; {findings}")
                for tissue in TISSUES[:4]:
                    print(errors(images, recording, group, tissue))


def limits() -> None:
    """Print what scans without a fault, and with motion, say of themselves."""
    small = {"matrix": 96, "coils": 8, "interleaves": 24}
    for amplitude in (0.0, 2e-3, 6e-3):
        for seed, rhythm in enumerate(RHYTHMS * 2):
            snr = (20.0, 8.0)[seed // 4]
            motion = (Motion("step", amplitude, 0.6),) if amplitude else ()
            recording = scanner.record(Protocol(seed=seed, rhythm=rhythm, snr=snr, motion=motion, **small))
            images, findings = mapped(recording, lowrank="false", deep="false")
            residual = images[0, "residual"].pixels[0][recording.truth["labels"].values[0] > 0]
            print(
                f"step {1e3 * amplitude:g} mm, {rhythm}, SNR {snr:g}: displacement "
                f"{images[0, 'T1'].meta.get('Beat_displacement_mm')} mm, residual median {np.median(residual):.3f}; "
                f"{findings}"
            )


def latency() -> None:
    recording = scanner.record(Protocol(seed=1, rhythm="variable", noise_scan=False))
    warm()
    readouts = readouts_of(recording)
    ticks = recording.headers["acquisition_time_stamp"].astype(int)
    due = (ticks - ticks[0]) * TICK_S
    arms, last = [], [0.0]

    def paced() -> Iterator[Readout]:
        began = perf_counter()
        for readout, when in zip(readouts, due, strict=True):
            time.sleep(max(0.0, began + when - perf_counter()))
            given = perf_counter()
            yield readout
            arms.append(perf_counter() - given)
            last[0] = given

    for image in mrf(paced(), Scan.from_xml(recording.xml), Context(report=lambda finding: print(finding.line()))):
        behind = perf_counter() - last[0] if len(arms) == len(readouts) else float("nan")
        laps = {name: value for name, value in image.meta.items() if name.endswith("_ms")}
        print(
            f"{image.series:>3} {image.quantity:<9}{image.method:<12} {1e3 * behind:8.1f} ms behind the last arm {laps}"
        )
    p50, p99, most = 1e3 * np.quantile(arms, [0.5, 0.99, 1.0])
    print(f"an arm: median {p50:.2f} ms, p99 {p99:.2f} ms, most {most:.2f} ms; TR 5.1 ms")


TASKS = {
    "dictionary": a_dictionary,
    "matching": matching,
    "accuracy": accuracy,
    "nuisance": nuisance,
    "limits": limits,
    "latency": latency,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or TASKS:
        TASKS[name]()
