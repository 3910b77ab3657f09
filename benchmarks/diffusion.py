"""Diffusion tensors of the heart: least squares, MPPCA and networks on two kinds of simulated hearts; dipy on brains.

    python benchmarks/diffusion.py tensors | averages | breath-holds | measured | speed [--scans 12] [--json]

``tensors``: mean absolute errors in the muscle for 1 and 5 repetitions at SNR 6, 12 and 25 of one unweighted image, and
how much of a lesion's contrast is left. ``averages``: 4 averages, with MPPCA, with the noise network (the part of the
noise that 8 averages do not have, and all of it), against 8. ``breath-holds``: how far they lie apart before and after
registration. ``measured``: difference from dipy's fits on the series in ../shared/data. ``speed``: milliseconds for
128 x 128 pixels and 12 directions.

Every simulated scan has breath-holds 2 mm apart (standard deviation), which are registered, noise 1.8 times as strong
at its worst as at its best, and a phase of its own in every shot. The networks were trained on hearts of the first
generator (other draws of it). The second was looked at once before training ended: that lesions faded there, as they
did on the first, is why the anchor and the last leg of training exist; their numbers were chosen on the first.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hardware import engines
from hardware.catalog import pick
from inline.models import folders
from recon_models.diffusion import denoise, refine
from recon_models.diffusion.angles import between, transmurality
from recon_models.diffusion.averaging import without_phase
from recon_models.diffusion.choice import choose
from recon_models.diffusion.learnt import learnt
from recon_models.diffusion.maps import maps_of
from recon_models.diffusion.mppca import mppca
from recon_models.diffusion.registration import groupwise, heart_window, moved
from recon_models.diffusion.running import RunningTensor
from recon_models.diffusion.tensor import Fit, explained, fit_ols, fit_robust, fit_wls
from recon_models.diffusion.wall import find_wall
from recon_models.physics.diffusion import (
    Conditions,
    breath_holds,
    noise_strength,
    shifted,
    shot_phase,
    spin_echo_table,
    weighted_signals,
)
from recon_models.physics.dispersed import random_dispersed
from recon_models.physics.ventricle import random_heart

ROOT = Path(__file__).resolve().parents[1]
GENERATORS = {"first generator": random_heart, "second generator": random_dispersed}
SNRS = (6, 12, 25)
PIXEL_M = 2e-3
TABLE = spin_echo_table(12)
QUANTITIES = ("MD", "FA", "HA", "E2A")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {
        "tensors": tensors,
        "averages": averages,
        "breath-holds": apart,
        "measured": measured,
        "speed": lambda _: speed(),
    }
    parser.add_argument("part", choices=tuple(parts))
    parser.add_argument("--scans", type=int, default=12, help="hearts of each generator at each SNR")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    found = parts[args.part](args.scans)
    if args.json:
        print(json.dumps(found))
        return
    print(found["data"])
    for rows in found["tables"].values():
        print()
        print("".join(f"{key:>18}" for key in rows[0]))
        for row in rows:
            print("".join(f"{value:>18.3f}" if isinstance(value, float) else f"{value:>18}" for value in row.values()))


class Scan:
    """A heart scanned in breath-holds, which are then laid over each other."""

    def __init__(self, draw: Any, seed: tuple[int, ...], snr: float, repetitions: int, shift_m: float = 2e-3) -> None:
        random = np.random.default_rng(seed)
        self.heart = draw(random).maps(refine.SIDE, PIXEL_M)
        conditions, shape = Conditions(snr, 1.0, shift_m, 1.8), self.heart.s0.shape
        self.noise = noise_strength(shape, conditions.noise_varies, random) / snr
        clean = weighted_signals(self.heart.s0, self.heart.tensor, TABLE)
        self.places = breath_holds(repetitions, shift_m if repetitions > 1 else 0.0, random) / PIXEL_M
        shots = []
        for place in self.places:
            for image in shifted(clean, tuple(place)).real:
                phase = np.exp(1j * shot_phase(shape, conditions.shot_phase_rad, random))
                drawn = random.standard_normal((2, *shape))
                shots.append(without_phase(image * phase + self.noise * (drawn[0] + 1j * drawn[1])).real)
        self.shots = np.stack(shots)
        self.entries, self.groups = np.tile(np.arange(len(TABLE)), repetitions), np.repeat(np.arange(repetitions), 13)
        self.repetitions, self.window = repetitions, heart_window(shape, self.heart.centre, 24)

    def registered(self, repetitions: int | None = None) -> Any:
        """Averages (n, y, x) of the first repetitions, and the standard deviation of their noise."""
        count = repetitions or self.repetitions
        own = self.groups < count
        if count == 1:
            return self.shots[own], self.noise
        found = groupwise(self.shots[own], self.entries[own], self.groups[own], TABLE, self.window)
        middle = self.places[:count].mean(axis=0)  # all are compared where the heart of all repetitions lies
        return moved(found.averages, -middle), self.noise / np.sqrt(count)

    @property
    def truth(self) -> Any:
        """The maps of the true tensors."""
        return maps_of(Fit(self.heart.tensor, self.heart.s0), self.heart.centre)

    def maps(self, tensor: Any) -> Any:
        """Return maps of any tensors of this heart."""
        return maps_of(Fit(tensor, self.heart.s0), self.heart.centre)

    def errors(self, maps: Any) -> dict[str, float]:
        """Mean absolute errors in the muscle."""
        truth, wall = self.truth, self.heart.wall
        return {
            "MD": float(np.mean(np.abs(maps.md - truth.md)[wall]) * 1e9),
            "FA": float(np.mean(np.abs(maps.fa - truth.fa)[wall])),
            "HA": float(np.degrees(np.mean(between(maps.ha, truth.ha)[wall]))),
            "E2A": float(np.degrees(np.mean(np.abs(np.abs(maps.e2a) - np.abs(truth.e2a))[wall]))),
        }

    def contrast(self, maps: Any) -> tuple[float, float]:
        """Lesion minus remote, MD in um^2/ms and FA; the lesion's edge is left out of both."""
        ill, well = self.heart.lesion, self.heart.wall & ~self.heart.lesion
        return tuple(float(np.mean(one[ill]) - np.mean(one[well])) * k for one, k in ((maps.md, 1e9), (maps.fa, 1.0)))


def network(name: str) -> Any:
    model = pick(folders(), name)
    return model, engines.load(model)


def tensors(scans: int) -> dict[str, Any]:
    model, engine = network("tensornet")
    rows, contrasts, sent = [], [], []
    for kind, draw in GENERATORS.items():
        for snr in SNRS:
            for repetitions in (1, 5):
                found: dict[str, list[Any]] = {"LLS": [], "MPPCA + LLS": [], "network": [], "sent": []}
                seen: dict[str, list[Any]] = {name: [] for name in ("truth", *found)}
                chosen = []
                for n in range(scans):
                    scan = Scan(draw, (88, n, snr), snr, repetitions)
                    images, noise = scan.registered()
                    results, choice = _tensors(scan, images, noise, model, engine)
                    chosen.append([choice[q].network for q in QUANTITIES])
                    for name, maps in results.items():
                        found[name].append(list(scan.errors(maps).values()))
                    if np.count_nonzero(scan.heart.lesion) >= 10:
                        for name, maps in {"truth": scan.truth, **results}.items():
                            seen[name].append(scan.contrast(maps))
                where = {"generator": kind, "SNR": snr, "repetitions": repetitions}
                for name, errors in found.items():
                    means = np.mean(errors, axis=0)
                    rows.append({**where, "method": name, **dict(zip(QUANTITIES, map(float, means), strict=True))})
                contrasts += [{**where, "method": name, **_kept(seen[name], seen["truth"])} for name in found]
                shares = map(float, np.mean(chosen, axis=0))
                sent.append({**where, **{f"{q} by network": s for q, s in zip(QUANTITIES, shares, strict=True)}})
    said = "simulated; mean absolute errors in the muscle: MD um^2/ms, FA, HA and size of E2A in degrees;\n"
    said += "then the part of the lesion's true contrast that is left; then how often the network's map is sent"
    return {"data": said, "tables": {"errors": rows, "contrast": contrasts, "sent": sent}}


def _tensors(scan: Scan, images: Any, noise: Any, model: Any, engine: Any) -> Any:
    """Return maps by each method, and the choice between them."""
    denoised = fit_wls(mppca(images, step=2)[0], TABLE)
    wall = find_wall(images[1:].mean(axis=0), PIXEL_M, scan.heart.centre)
    result = learnt(images, TABLE, noise, wall, denoised.tensor, engine)
    most = model.manifest.guard["misfit_most"]
    objections = [] if result.misfit <= most else [f"the misfit is {result.misfit:.2f}"]
    choice = choose(model, result.sd_md, objections)
    classical, network = scan.maps(denoised.tensor), scan.maps(result.tensor)
    mixed = type(classical)(
        *(
            getattr(network if choice[q].network else classical, name)
            for q, name in (("MD", "md"), ("FA", "fa"), ("FA", "eigenvalues"), ("FA", "colours"), ("HA", "ha"))
        ),
        (network if choice["E2A"].network else classical).e2a,
    )
    plain = scan.maps(fit_ols(images, TABLE).tensor)
    return {"LLS": plain, "MPPCA + LLS": classical, "network": network, "sent": mixed}, choice


def _kept(found: list[Any], truth: list[Any]) -> dict[str, float]:
    """Slope, through zero, of the contrasts found over the true ones."""
    a, b = np.array(found), np.array(truth)
    slopes = np.sum(a * b, axis=0) / np.sum(b * b, axis=0)
    return {"MD contrast": float(slopes[0]), "FA contrast": float(slopes[1]), "lesions": len(a)}


def averages(scans: int) -> dict[str, Any]:
    (_, tensornet), (_, noisenet) = network("tensornet"), network("noisenet")
    rows = []
    for kind, draw in GENERATORS.items():
        for snr in SNRS:
            found: dict[str, list[Any]] = {
                name: [] for name in ("truth", "8", "4", "4 + MPPCA", "4 + network", "4 + all of it")
            }
            for n in range(scans):
                scan = Scan(draw, (99, n, snr), snr, 8)
                wall, depth = scan.heart.wall, scan.heart.depth
                four, noise = scan.registered(4)
                denoised, _ = mppca(four, step=2)
                fits = fit_wls(four, TABLE, noise=noise), fit_wls(denoised, TABLE)
                tensor = refine.refined(*fits, four[1:].mean(axis=0), scan.heart.centre, tensornet)
                model = explained(tensor, four, TABLE)
                images = {"8": scan.registered()[0], "4": four, "4 + MPPCA": denoised}
                images["4 + network"] = denoise.without_noise(four, model, noise, TABLE, noisenet)
                images["4 + all of it"] = denoise.without_noise(four, model, noise, TABLE, noisenet, 1.0)
                results = {name: scan.maps(fit_wls(one, TABLE).tensor) for name, one in images.items()}
                for name, maps in {"truth": scan.truth, **results}.items():
                    turn = transmurality(maps.ha, depth, wall)
                    found[name].append((maps.md[wall].mean() * 1e9, maps.fa[wall].mean(), turn))
            means = {name: np.mean(values, axis=0) for name, values in found.items()}
            for name, value in means.items():
                spread = np.std(np.subtract(found[name], found["8"]), axis=0) / np.sqrt(scans)
                row: dict[str, Any] = {"generator": kind, "SNR": snr, "averages": name}
                row |= dict(zip(("MD", "FA", "HAT"), map(float, value), strict=True))
                row |= dict(zip(("MD - 8", "FA - 8", "HAT - 8"), map(float, value - means["8"]), strict=True))
                row |= dict(zip(("se MD", "se FA", "se HAT"), map(float, spread), strict=True))
                rows.append(row)
    said = (
        "simulated; means over the muscle: MD um^2/ms, FA, HAT degrees per percent of depth; less those of 8 averages"
    )
    return {"data": said, "tables": {"averages": rows}}


def apart(scans: int) -> dict[str, Any]:
    rows = []
    for kind, draw in GENERATORS.items():
        for snr in SNRS:
            before, after, tensor = [], [], []
            for n in range(scans):
                scan = Scan(draw, (77, n, snr), snr, 5, 4e-3)
                found = groupwise(scan.shots, scan.entries, scan.groups, TABLE, scan.window)
                before.append(scan.places)
                after.append(scan.places + found.shifts)
                plain = scan.shots.reshape(5, len(TABLE), *scan.noise.shape).mean(axis=0)
                wall = scan.heart.wall
                tensor.append(
                    [
                        np.sqrt(np.mean((fit_wls(one, TABLE).tensor - scan.heart.tensor)[:, wall] ** 2)) * 1e9
                        for one in (plain, found.averages)
                    ]
                )
            sizes = [PIXEL_M * 1e3 * float(np.sqrt(np.mean(np.square(one)))) for one in (before, after)]
            errors = np.sqrt(np.mean(np.square(tensor), axis=0))
            row = {"generator": kind, "SNR": snr, "before mm": sizes[0], "after mm": sizes[1]}
            row |= {"ratio": sizes[1] / sizes[0], "tensor before": float(errors[0]), "tensor after": float(errors[1])}
            rows.append(row)
    said = "simulated; breath-holds 4 mm apart; root mean square distances, and errors of the tensor in um^2/ms"
    return {"data": said, "tables": {"breath-holds": rows}}


def measured(_: int) -> dict[str, Any]:
    sys.path.insert(0, str(ROOT / "tests" / "recon_models"))
    import test_diffusion_measured as series

    rows = []
    for name, read in series.SERIES.items():
        images, table = read(ROOT.parent / "shared" / "data")
        b0 = images[table.unweighted].mean(axis=0)
        mask = (b0 > 0.3 * np.percentile(b0, 95)) & (images.min(axis=0) > 0)
        for method, fit in (("OLS", fit_ols), ("WLS", fit_wls)):
            begun = time.perf_counter()
            md, fa = series.dipy_fit(images, table, mask, method)
            between_them = time.perf_counter()
            own = fit(images[:, mask][:, None], table).tensor
            ended = time.perf_counter()
            maps = maps_of(Fit(own, np.ones(own.shape[1:])))
            fine = maps.eigenvalues[2, 0] > 0
            rows.append(
                {
                    "series": name,
                    "fit": method,
                    "pixels": int(mask.sum()),
                    "possible": float(fine.mean()),
                    "largest dMD %": float(np.max(np.abs(maps.md[0] / md - 1)[fine]) * 100),
                    "largest dFA %": float(np.max(np.abs(maps.fa[0] / np.maximum(fa, 1e-9) - 1)[fine]) * 100),
                    "median MD": float(np.median(md) * 1e9),
                    "median FA": float(np.median(fa)),
                    "dipy / own time": (between_them - begun) / (ended - between_them),
                }
            )
    return {"data": "measured; tensors with all eigenvalues above zero, own against dipy's", "tables": {"dipy": rows}}


def speed() -> dict[str, Any]:
    random = np.random.default_rng(0)
    heart = random_heart(random).maps(128, PIXEL_M)
    images = weighted_signals(heart.s0, heart.tensor, TABLE) + 0.05 * random.standard_normal((13, 128, 128))
    shots = np.tile(images, (4, 1, 1)) + 0.05 * random.standard_normal((52, 128, 128))
    running, window = RunningTensor(TABLE, (128, 128)), refine.Window.about(heart.centre, (128, 128))
    for entry, image in enumerate(images):
        running.replace(entry, image, 1)
    running.fit()
    cut, fit = window.cut(images), fit_wls(images, TABLE, noise=0.05)
    small = fit_wls(cut, TABLE, noise=0.05)
    weight, entries, groups = (
        heart_window((72, 72), window.centre, 24),
        np.tile(np.arange(13), 4),
        np.repeat(range(4), 13),
    )
    (_, tensornet), (_, noisenet) = network("tensornet"), network("noisenet")
    shot, wall = images[3].astype(np.complex64), find_wall(images[1:].mean(axis=0), PIXEL_M)
    steps: dict[str, Callable[[], Any]] = {
        "phase of one shot": lambda: without_phase(shot),
        "running: one image": lambda: running.replace(5, images[5], 2),
        "running: tensor": running.fit,
        "running: tensor, SD": lambda: running.fit(0.05),
        "OLS": lambda: fit_ols(images, TABLE),
        "WLS": lambda: fit_wls(images, TABLE),
        "robust": lambda: fit_robust(images, TABLE),
        "maps": lambda: maps_of(Fit(fit.tensor, fit.s0), heart.centre),
        "maps, SD": lambda: maps_of(fit, heart.centre),
        "MPPCA": lambda: mppca(images),
        "MPPCA, step 2": lambda: mppca(images, step=2),
        "MPPCA of heart": lambda: mppca(cut, step=2),
        "wall": lambda: find_wall(images[1:].mean(axis=0), PIXEL_M),
        "4 breath-holds": lambda: groupwise(window.cut(shots), entries, groups, TABLE, weight),
        "learnt, in all": lambda: learnt(images, TABLE, 0.05, wall, fit.tensor, tensornet),
        "tensor network": lambda: refine.refined(small, small, cut[1:].mean(axis=0), window.centre, tensornet),
        "noise network": lambda: denoise.without_noise(cut, cut, np.full((72, 72), 0.05), TABLE, noisenet),
    }
    rows = [{"step": name, "ms": _milliseconds(step)} for name, step in steps.items()]
    return {
        "data": "medians of 9; 128 x 128 pixels, 13 images; of the heart 72 x 72",
        "tables": {"": rows},
    }


def _milliseconds(step: Callable[[], Any]) -> float:
    step()
    times = []
    for _ in range(9):
        begun = time.perf_counter()
        step()
        times.append(time.perf_counter() - begun)
    return 1e3 * float(np.median(times))


if __name__ == "__main__":
    main()
