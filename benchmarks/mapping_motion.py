"""How much of a breath is left in a map's images after registration.

    python benchmarks/mapping_motion.py [--count 6] [--json]

Simulated: MOLLI of the short-axis chest, its k-space known exactly, each image where the breath
has taken the heart. What is left is how far the images show the same piece of the heart from its mean place, in mm and
over that without registration. Measured: what the likest curve leaves of three subjects' series, before and after;
nobody knows how they moved. Times are of this machine.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from recon_models.mapping.motion import groupwise
from recon_models.mapping.motion.curves import recovery
from recon_models.mapping.motion.doubt import refusal
from recon_models.mapping.motion.fields import warp
from recon_models.mapping.recovery import fit_look_locker
from recon_models.physics.breathing import Breath
from recon_models.physics.heart import Focus, septum, short_axis
from recon_models.physics.schedules.molli import molli
from recon_models.physics.schedules.shot import Schedule
from recon_models.physics.sequence import Tissue
from recon_models.physics.signal import received
from recon_models.physics.tissues import NATIVE, enhanced

MEASURED = Path(__file__).resolve().parents[2] / "shared" / "data" / "t1_molli_cardiac"
DEPTHS_MM = (1, 2, 3, 5, 8)
SCHEMES = ("5(3)3", "4(1)3(1)2", "3(3)3(3)5")
COURSES = ("breathing", "drift", "step", "gasp")


@dataclass(frozen=True)
class Hold:
    """A breath-hold that failed."""

    images: Any
    times_s: Any
    breaths: list[Breath]
    pixel_m: float
    size: float

    def axes(self) -> tuple[Any, Any]:
        """Return the pixels' places along x and y in metres."""
        return tuple((np.arange(n) - n // 2) * self.pixel_m for n in self.images.shape[:0:-1])

    def left_mm(self, fields: Any) -> float:
        """Return the mean distance over the heart and the images from the tissue's mean place."""
        x, y = np.meshgrid(*self.axes())
        heart = short_axis(size=self.size).regions[2]
        inside, middle = heart.holds([x, y]), np.array(heart.centre_m)[:, None]
        rest = []
        for field, breath in zip(fields, self.breaths, strict=True):
            at = (
                np.stack([x, y])[:, inside]
                + self.pixel_m * field[:, inside]
                - middle
                - np.array(breath.shift_m)[:, None]
            )
            rest.append(np.linalg.solve(np.eye(2) + np.array(breath.gradient), at))
        apart = np.array(rest) - np.mean(rest, axis=0)
        return 1e3 * float(np.mean(np.hypot(apart[:, 0], apart[:, 1])))

    def septal_sd_ms(self, images: Any) -> float:
        """Return the standard deviation of T1 over the septum where the mean breath has it."""
        shift, gradient = (
            np.mean([getattr(b, name) for b in self.breaths], axis=0) for name in ("shift_m", "gradient")
        )
        x, y = self.axes()
        inside = septum(size=self.size, breath=Breath(tuple(shift), gradient)).holds([x, y[:, None]])
        return 1e3 * float(np.std(fit_look_locker(images[:, inside], self.times_s).values["T1"]))


def course(kind: str, seconds: Any, random: np.random.Generator) -> Any:
    """Depth of a breath at the images, 0 to 1."""
    if kind == "breathing":
        return np.sin(np.pi * (seconds / random.uniform(3, 6) + random.random())) ** 2
    if kind == "drift":
        return 1 - np.exp(-(seconds - seconds[0]) / (0.7 * np.ptp(seconds)))
    number = np.arange(len(seconds))
    at = random.integers(1, len(seconds) - 1)
    return 1.0 * (number >= at if kind == "step" else number == at)


def hold(number: int, depth_m: float, scheme: str, kind: str) -> Hold:
    """Simulate one breath-hold."""
    random = np.random.default_rng([7, number])
    field = random.choice([1.5, 3.0])
    properties = dict(NATIVE[field])
    if random.random() < 0.25:
        properties = enhanced(properties, random.uniform(0.3, 0.5))
    schedule = molli(scheme, np.full(24, 60 / random.uniform(45, 95)))
    size, pixel_m = random.uniform(0.85, 1.1), random.choice([1.25e-3, 1.4e-3])
    foci = [Focus("scar", random.uniform(-1.5, 1.5))] if random.random() < 0.5 else []
    usual = [Breath.of_depth(depth_m * part) for part in course(kind, schedule.acquired_s, random)]
    signals = tissue_signals(properties, schedule, field, random)
    matrix = (160, 192)
    images = np.stack(
        [
            image(short_axis(size=size, breath=b, foci=foci), {t: s[n] for t, s in signals.items()}, matrix, pixel_m)
            for n, b in enumerate(usual)
        ]
    )
    images *= shading(matrix, random)
    snr = 10 ** random.uniform(1.3, 1.9)  # of blood at rest
    noise = random.standard_normal((2, *images.shape)) * np.abs(signals["blood"]).max() / snr
    return Hold((images + noise[0] + 1j * noise[1]).astype(np.complex64), schedule.times_s, usual, pixel_m, size)


def tissue_signals(properties: Any, schedule: Schedule, field: float, random: np.random.Generator) -> dict[str, Any]:
    """Signals of all tissues by Bloch's equation; fat is as far off resonance as it is, all else by chance."""
    names = list(properties)
    off = np.array([properties[t].shift_ppm * 42.577 * field for t in names]) + random.normal(0, 20, len(names))
    tissue = Tissue(
        np.array([properties[t].t1_s for t in names]),
        np.array([properties[t].t2_s for t in names]),
        off,
        random.uniform(0.85, 1.1),
        random.uniform(0.92, 1.0),
    )
    found = received(schedule.sequence, tissue, readouts=schedule.centres)
    return {t: properties[t].density * one for t, one in zip(names, found, strict=True)}


def image(body: Any, values: Any, matrix: tuple[int, int], pixel_m: float) -> Any:
    """Image of fully sampled k-space."""
    ky, kx = ((np.arange(n) - n // 2) / (n * pixel_m) for n in matrix)
    kspace = body.spectrum([kx, ky[:, None]], values)
    return np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace))) / pixel_m**2


def shading(matrix: tuple[int, int], random: np.random.Generator) -> Any:
    """Coils in front see more; their combination has a phase."""
    y, x = (np.linspace(-1, 1, n) for n in matrix)
    slope = random.uniform(-0.4, 0.4, 2)
    return np.exp(-slope[0] * x - (0.3 + slope[1]) * y[:, None] + 1j * (x + 0.5 * y[:, None]))


def simulated(count: int, methods: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for depth in DEPTHS_MM:
        for n in range(count):
            scheme, kind = SCHEMES[n % 3], COURSES[(n + n // 4) % 4]
            one = hold(1000 * depth + n, 1e-3 * depth, scheme, kind)
            zero = np.zeros((len(one.images), 2, *one.images.shape[1:]), np.float32)
            row: dict[str, Any] = {"depth_mm": depth, "scheme": scheme, "course": kind, "before_mm": one.left_mm(zero)}
            row["before_sd_ms"] = one.septal_sd_ms(one.images)
            results = {}
            for name, method in methods.items():
                results[name] = found = method(one.images, recovery(one.times_s), one.pixel_m)
                row[name] = one.left_mm(found.fields) / row["before_mm"]
                row[f"{name}_gain"], row[f"{name}_fault"] = found.gain, found.character.fault()
                row[f"{name}_sd_ms"] = one.septal_sd_ms(warp(one.images, found.fields))
            row["chosen"] = "none" if refusal(results["classical"]) else "classical"
            rows.append(row)
    return rows


def measured(methods: dict[str, Any]) -> list[dict[str, Any]]:
    path = MEASURED / "t1net_precontrast_3subjects.mat"
    if not path.exists():
        return []
    data = scipy.io.loadmat(path)["test"][0, 0]
    rows = []
    for subject in range(3):
        images = np.moveaxis(data["input"][subject, 0].astype(np.float32), -1, 0)
        times = data["TI"][subject].ravel() * 1e-3
        mask = data["myoMask"][subject, 0] > 0
        row: dict[str, Any] = {"subject": subject + 1}
        for name, method in methods.items():
            found = method(images, recovery(times), 2.1e-3)  # the pixel is not given; about 270 mm in 128
            level = images.mean(0)[mask].mean()
            row["before"] = float(np.sqrt(np.mean(found.residual_before[mask] ** 2)) / level)
            row[name] = float(np.sqrt(np.mean(found.residual_after[mask] ** 2)) / level)
            row[f"{name}_first_px"] = [float(v) for v in np.mean(found.fields[0][:, mask], axis=1)]
            fits = [fit_look_locker(i[:, mask], times) for i in (images, warp(images, found.fields))]
            row["fit_before"], row[f"{name}_fit"] = (float(np.sqrt(np.nanmean(f.residual**2)) / level) for f in fits)
        rows.append(row)
    return rows


def timed(methods: dict[str, Any]) -> dict[str, float]:
    one = hold(1, 5e-3, "3(3)3(3)5", "breathing")
    templates, found = recovery(one.times_s), {}
    for name, method in methods.items():
        spent = []
        for _ in range(9):
            begun = time.perf_counter()
            fields = method(one.images, templates, one.pixel_m).fields
            spent.append(time.perf_counter() - begun)
        found[f"{name}_ms"] = 1e3 * float(np.median(spent))
    spent = []
    for _ in range(9):
        begun = time.perf_counter()
        groupwise.register(one.images, templates, one.pixel_m, start=fields[:-1], levels=groupwise.ONWARDS)
        spent.append(time.perf_counter() - begun)
    return found | {"classical_last_image_ms": 1e3 * float(np.median(spent))}


def table(rows: list[dict[str, Any]], names: list[str]) -> None:
    print("depth before_mm " + " ".join(f"{n}_ratio worst {n}_sd_ms" for n in names) + " before_sd_ms chosen")
    for depth in (*DEPTHS_MM, "all"):
        these = [r for r in rows if depth in (r["depth_mm"], "all")]
        mean = {k: float(np.mean([r[k] for r in these])) for k in these[0] if isinstance(these[0][k], float)}
        words = " ".join(f"{mean[n]:.3f} {max(r[n] for r in these):.2f} {mean[n + '_sd_ms']:.1f}" for n in names)
        chosen = {m: sum(r["chosen"] == m for r in these) for m in ("classical", "none")}
        print(depth, f"{mean['before_mm']:.2f} {words} {mean['before_sd_ms']:.1f} {chosen}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=6, help="breath-holds of each depth")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--time", action="store_true", help="times only")
    args = parser.parse_args()
    methods: dict[str, Any] = {"classical": groupwise.register}
    if args.time:
        print(json.dumps(timed(methods)))
        return
    rows, real = simulated(args.count, methods), measured(methods)
    if args.json:
        print(json.dumps({"simulated": rows, "measured": real}))
        return
    table(rows, list(methods))
    for row in real:
        print(row)


if __name__ == "__main__":
    main()
