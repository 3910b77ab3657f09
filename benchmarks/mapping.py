"""How right and how exact each mapping method is, on simulated hearts and on measured ones, and how fast its fit.

    python benchmarks/mapping.py [--pixels 2000] [--data ../shared/data]

Simulated: bias and scatter of T1 or T2 of healthy muscle at 3 T for each SNR and heart rate, and the scatter over the
least that any unbiased estimate of the fitted model can have (Cramer-Rao). The SNR is that of the largest image.
Measured: native MOLLI of three subjects against the scanner's maps, each slice for itself, by fit and by network; no
figure of them was used in training. The two tables are never mixed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hardware import engines
from hardware.catalog import pick
from recon_models.mapping import echoes, relaxometer, saturation, shmolli, t2, t2star
from recon_models.mapping.fit import Fit
from recon_models.mapping.recovery import fit_look_locker
from recon_models.physics.schedules import Schedule, molli, sasha, t2_prepared
from recon_models.physics.sequence import Tissue
from recon_models.physics.signal import received

Images = npt.NDArray[Any]

T1_S, T2_S = 1.2, 0.045
EFFICIENCY = 1 / 1.0365
SNRS, RATES = (10, 25, 50, 100), (40, 60, 80, 100, 120)
MODELS = Path(__file__).parents[1] / "recon_models" / "mapping" / "models"


@dataclass(frozen=True)
class Method:
    """A protocol with its fit."""

    name: str
    quantity: str
    schedule: Callable[[npt.NDArray[np.float64]], Schedule]
    fit: Callable[..., Fit]


def _shmolli(images: Images, times_s: Images, noise: float | None = None, rr_s: float = 1.0) -> Fit:
    return shmolli.fit(images, times_s, rr_s, noise=noise)


def _prepared(*times_s: float) -> Callable[[npt.NDArray[np.float64]], Schedule]:
    return lambda rr_s: t2_prepared(rr_s, echo_times_s=times_s)


def _sasha(rr_s: npt.NDArray[np.float64]) -> Schedule:
    return sasha(rr_s, centre_delay_s=0.65 * float(rr_s[0]))


METHODS = (
    Method("MOLLI 5(3)3", "T1", lambda rr: molli("5(3)3", rr), fit_look_locker),
    Method("MOLLI 4(1)3(1)2", "T1", lambda rr: molli("4(1)3(1)2", rr), fit_look_locker),
    Method("MOLLI 5s(3s)3s", "T1", lambda rr: molli("5s(3s)3s", rr), fit_look_locker),
    Method("ShMOLLI", "T1", lambda rr: molli("5(1)1(1)1", rr), _shmolli),
    Method("SASHA, 3 parameters", "T1", _sasha, saturation.fit),
    Method("SASHA, 2 parameters", "T1", _sasha, lambda *a, **k: saturation.fit(*a, parameters=2, **k)),
    Method("T2 prep, 2 parameters", "T2", _prepared(0, 0.025, 0.055), lambda x, t, **k: t2.fit_two(np.abs(x), t, **k)),
    Method(
        "T2 prep, 3 parameters",
        "T2",
        _prepared(0, 0.025, 0.055, float("inf")),
        lambda x, t, **k: t2.fit_three(np.abs(x), t, **k),
    ),
)


def simulated(method: Method, rate: float, snr: float, pixels: int) -> tuple[float, float, float]:
    """Return bias and scatter in ms, and scatter over the bound."""
    schedule = method.schedule(np.full(24, 60 / rate))
    spins = Tissue(np.array([T1_S]), np.array([T2_S]))
    clean = received(schedule.sequence, spins, readouts=schedule.centres).T
    deviation = float(np.abs(clean).max()) / snr
    random = np.random.default_rng(0)
    shape = (len(clean), pixels)
    images = clean + deviation * (random.standard_normal(shape) + 1j * random.standard_normal(shape))
    more = {"rr_s": 60 / rate} if method.fit is _shmolli else {}
    bound = method.fit(clean, schedule.times_s, noise=deviation, **more).deviation[method.quantity][0]
    found = method.fit(images, schedule.times_s, noise=deviation, **more)
    values = found.values[method.quantity][found.valid]
    bias = np.median(values) - {"T1": T1_S, "T2": T2_S}[method.quantity]
    scatter = np.diff(np.percentile(values, [15.87, 84.13]))[0] / 2  # a few far off do not make it
    return 1e3 * float(bias), 1e3 * float(scatter), float(scatter / bound)


def table(pixels: int) -> None:
    print(
        f"\nSimulated, T1 {1e3 * T1_S:.0f}, T2 {1e3 * T2_S:.0f} ms: bias and scatter in ms (scatter over its bound)\n"
    )
    print("| method | beats/min | " + " | ".join(f"SNR {snr}" for snr in SNRS) + " |\n|---|---|" + "---|" * len(SNRS))
    for method in METHODS:
        for rate in RATES:
            cells = ("{:+.1f}, {:.1f} ({:.2f})".format(*simulated(method, rate, snr, pixels)) for snr in SNRS)
            print(f"| {method.name} | {rate} | " + " | ".join(cells) + " |")


def measured(data: Path) -> None:
    from scipy.io import loadmat

    test = loadmat(data / "t1_molli_cardiac" / "t1net_precontrast_3subjects.mat")["test"][0, 0]
    series, times, maps = (np.squeeze(np.float64(test[name])) for name in ("input", "TI", "T1"))
    masks = np.squeeze(test["myoMask"]) > 0
    names = {"t1-molli533": 8, "t1-molli4": 4}
    print(
        "\nMeasured, native MOLLI at 3 T, muscle against the scanner's map: mean absolute error, bias, median error\n"
    )
    print("| subject | images | by | MAE, ms | bias, ms | median absolute error, % |\n|---|---|---|---|---|---|")
    for subject in range(len(series)):
        wanted = maps[subject][masks[subject]]
        for name, images in names.items():
            found = np.moveaxis(series[subject][..., :images], -1, 0)
            seconds = times[subject][:images] / 1e3
            fit = fit_look_locker(found, seconds, efficiency=EFFICIENCY)
            answers = {"fit": fit.values["T1"]}
            if (MODELS / f"{name}.manifest.json").exists():
                model = pick([MODELS], name)
                answer = relaxometer.estimate(found, seconds, engines.load(model))
                trusted = relaxometer.believed(answer, fit, relaxometer.Lock.of(model))
                answers["network"] = answer.reads
                answers["network where believed, else fit"] = np.where(trusted, answer.reads, fit.values["T1"])
            for by, values in answers.items():
                error = 1e3 * values[masks[subject]] - wanted
                relative = 100 * np.median(np.abs(error) / wanted)
                print(
                    f"| {subject + 1} | {images} | {by} | {np.abs(error).mean():.1f} | {error.mean():+.1f} "
                    f"| {relative:.2f} |"
                )


def speed() -> None:
    """Time the fits of 256 x 256 pixels."""
    random = np.random.default_rng(0)
    times = np.array([0.1, 0.18, 0.26, 1.0, 1.1, 1.2, 1.9, 2.0, 2.1, 2.9, 3.8])
    t1 = random.uniform(0.3, 1.8, 65536)
    curve = 80 - 80 * 2.25 * np.exp(-times[:, None] / (0.8 * t1)) + 2 * random.standard_normal((11, 65536))
    signed = curve.reshape(11, 256, 256).astype(np.float32)
    turned = (signed * np.exp(0.3j)).astype(np.complex64)
    train = echoes.train(random.uniform(0.03, 0.1, 65536), 1.0, 0.01, 2.6, 11).T.reshape(11, 256, 256)
    saturated = (100 * (1 - np.exp(-times[:, None] / t1))).reshape(11, 256, 256)
    decay = 100 * np.exp(-np.arange(1, 12)[:, None] * 2e-3 / random.uniform(0.01, 0.04, 65536))
    decay = (decay + random.standard_normal(decay.shape)).reshape(11, 256, 256)
    work = {
        "MOLLI, signs by phase": lambda: fit_look_locker(turned, times),
        "MOLLI, signs searched": lambda: fit_look_locker(np.abs(signed), times),
        "saturation recovery": lambda: saturation.fit(saturated, times),
        "T2*, truncated": lambda: t2star.fit(decay, np.arange(1, 12) * 2e-3, noise=1.0),
        "echo train": lambda: echoes.fit(train, np.arange(1, 12) * 0.01),
    }
    for name in ("t1-molli533", "t1-molli4"):
        if (MODELS / f"{name}.manifest.json").exists():
            engine, images = engines.load(pick([MODELS], name)), int(name == "t1-molli533") * 4 + 4
            work[f"network {name}"] = lambda e=engine, n=images: relaxometer.estimate(signed[:n], times[:n], e)
    print("\n256 x 256 pixels, 11 images (networks: 8 and 4): median of 9, ms\n")
    for name, run in work.items():
        run()
        seconds = []
        for _ in range(9):
            began = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - began)
        print(f"{name:26} {1e3 * statistics.median(seconds):6.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pixels", type=int, default=2000)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--only", choices=("simulated", "measured", "speed"))
    args = parser.parse_args()
    if args.only in (None, "speed"):
        speed()
    if args.only in (None, "simulated"):
        table(args.pixels)
    if args.only in (None, "measured") and args.data.is_dir():
        measured(args.data)


if __name__ == "__main__":
    main()
