"""How well motion is told from an image: the network beside the single measures, simulated and measured apart.

    python benchmarks/severity.py [--count 600]

An image counts as spoilt if motion changed it by 5 % or more, as unspoilt if by 1 % at most (NRMSE, without noise);
those in between are left out. Simulated: heads and hearts of seeds that training never saw, without measured pictures.
Measured: heads whose lines are mixed as if they had moved; none was used for training.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import scipy.io
from scipy import ndimage

from hardware.catalog import pick
from hardware.engines import load
from hardware.fourier import to_image
from inline.models import folders
from qc import guard
from qc.images import gradient_entropy
from qc.limits import SHIPPED
from qc.motion import course, motion
from qc.reading import Kind, Plan, Reading
from qc.severity.examples import HARMLESS, SPOILT, Example, example, moving
from qc.severity.measure import MODEL, probability, properties, scaled, trained_range
from qc.watch import MONITORS, Watch

SIMULATED_SEED = 20_000_000
REACHED = 0.9
MEASURED = Path(__file__).resolve().parents[2] / "shared" / "data"


def residual(found: Example) -> float:
    """Return the motion score of the lines as the monitors see them while they come; NaN where they do not judge."""
    coils, number, width = found.kspace.shape
    spaces: OrderedDict = OrderedDict()
    plan = Plan(number, view=1.0, noise_bandwidth=1.0)
    watching = Watch((plan,), SHIPPED, {**MONITORS, "motion": partial(motion, spaces=spaces)})
    random = np.random.default_rng(0)
    for _ in range(16):
        noise = random.standard_normal((2, coils, 512), np.float32)
        watching.see(Reading(noise[0] + 1j * noise[1], 256, Kind.NOISE, dwell_s=1e-5))
    for place, line in enumerate(found.order.tolist()):
        samples = np.ascontiguousarray(found.kspace[:, line])
        watching.see(Reading(samples, width // 2, line=line, number=place, time_s=0.01 * place, dwell_s=1e-5))
    if not spaces:
        return float("nan")
    space = next(iter(spaces.values())).space
    return course(space.trace, space.number).total if len(space.trace) else float("nan")


def entropy_change(found: Example) -> float:
    return gradient_entropy(found.image) / gradient_entropy(found.reference) - 1


def area(spoilt: np.ndarray, still: np.ndarray) -> float:
    return float(np.mean(spoilt[:, None] > still) + 0.5 * np.mean(spoilt[:, None] == still))


def sensitivity(spoilt: np.ndarray, still: np.ndarray, specificity: float = 0.95) -> float:
    return float(np.mean(spoilt > np.quantile(still, specificity)))


def calibration_error(chance: np.ndarray, truth: np.ndarray, bins: int = 10) -> float:
    """Return the expected calibration error over bins of equal width (Naeini et al., AAAI 2015)."""
    place = np.minimum((chance * bins).astype(int), bins - 1)
    return float(sum(abs(np.sum(chance[place == b]) - np.sum(truth[place == b])) for b in range(bins)) / len(chance))


def interval(spoilt: np.ndarray, still: np.ndarray, measure: Callable) -> tuple[float, float]:
    """Return the 95 % interval of a measure over images drawn again (bootstrap)."""
    random = np.random.default_rng(0)
    drawn = [measure(random.choice(spoilt, len(spoilt)), random.choice(still, len(still))) for _ in range(300)]
    return tuple(np.quantile(drawn, [0.025, 0.975]))


def table(found: list[Example], scores: dict[str, np.ndarray]) -> None:
    errors = np.array([one.error for one in found])
    for name, values in scores.items():
        known = np.isfinite(values)
        spoilt, still = values[known & (errors >= SPOILT)], values[known & (errors <= HARMLESS)]
        if min(len(spoilt), len(still)) < 5:
            continue
        low, high = interval(spoilt, still, area)
        print(
            f"  {name:<44}{len(spoilt):>5}/{len(still):<5}{area(spoilt, still):>7.3f} ({low:.3f}-{high:.3f})"
            f"{sensitivity(spoilt, still):>8.2f}",
            flush=True,
        )


HEADER = f"  {'':<44}{'n':>11}{'AUC':>7}{'95 % interval':>16}{'sens. at 95 % spec.':>20}"


class Judge:
    """The network as the node runs it."""

    def __init__(self) -> None:
        self.model = pick(folders(), MODEL)
        self.engine = load(self.model)
        self.constants = self.model.manifest.constants
        self.seconds: list[float] = []

    def odds(self, image: np.ndarray) -> float:
        """Return the log odds, and remember how long that took."""
        start = time.perf_counter()
        found = float(self.engine.run({"image": scaled(image)})["log_odds"][0, 0])
        self.seconds.append(time.perf_counter() - start)
        return found

    def chance(self, odds: float) -> float:
        """Return the recalibrated probability."""
        return probability(odds, self.constants["scale"], self.constants["offset"])

    def outside(self, image: np.ndarray) -> tuple[str, ...]:
        """Return what of an image training never saw."""
        return guard.outside(properties(image), trained_range(self.model.manifest.guard))


def shown(title: str, found: list[Example], judge: Judge, subjects: list[str] | None = None) -> None:
    print(f"\n{title}\n{HEADER}")
    odds = np.array([judge.odds(one.image) for one in found])
    scores = {
        "network": odds,
        "line residual, largest sum (during the scan)": np.array([residual(one) for one in found]),
        "gradient entropy against own reference": np.array([entropy_change(one) for one in found]),
        "gradient entropy alone": np.array([gradient_entropy(one.image) for one in found]),
    }
    table(found, scores)
    kinds = sorted({one.kind for one in found} - {"still"})
    errors = np.array([one.error for one in found])
    still = errors <= HARMLESS
    for kind in kinds:
        own = (np.array([one.kind == kind for one in found])) & (errors >= SPOILT)
        if own.sum() >= 8:
            said = "  ".join(
                f"{name.split(',')[0]} {area(v[own & np.isfinite(v)], v[still & np.isfinite(v)]):.3f}"
                for name, v in scores.items()
                if np.isfinite(v[own]).sum() >= 8
            )
            print(f"    {kind:<12}{own.sum():>4}  {said}")
    judged = still | (errors >= SPOILT)
    truth = (errors >= SPOILT)[judged].astype(float)
    raw = 1 / (1 + np.exp(-odds[judged]))
    recalibrated = np.array([judge.chance(value) for value in odds[judged]])
    print(
        f"  expected calibration error: {calibration_error(raw, truth):.3f} as trained, "
        f"{calibration_error(recalibrated, truth):.3f} recalibrated on simulated validation images"
    )
    if subjects is not None:
        each = np.array(subjects)
        for subject in sorted(set(subjects)):
            mine = each == subject
            spoilt = mine & (errors >= SPOILT)
            print(f"    {subject:<24} network AUC {area(odds[spoilt], odds[mine & still]):.3f}")
        left_out = np.concatenate([_left_out(odds, errors, each, subject) for subject in sorted(set(subjects))], axis=1)
        print(f"  recalibrated on the other heads: {calibration_error(left_out[0], left_out[1]):.3f}")
    chances = np.array([judge.chance(value) for value in odds])
    missed, alarms = np.mean(chances[errors >= SPOILT] < REACHED), np.mean(chances[still] >= REACHED)
    print(f"  a probability of {REACHED}: {alarms:.1%} of unspoilt images reach it, {missed:.0%} of spoilt do not")
    print(f"  outside the range of training: {np.mean([bool(judge.outside(one.image)) for one in found]):.1%}")


def _left_out(odds: np.ndarray, errors: np.ndarray, subjects: np.ndarray, subject: str) -> np.ndarray:
    """Return chance and truth of one subject's images, recalibrated on the others (Platt)."""
    from scipy.optimize import minimize

    judged = (errors >= SPOILT) | (errors <= HARMLESS)
    others, own = judged & (subjects != subject), judged & (subjects == subject)
    truth = (errors >= SPOILT).astype(float)

    def loss(p: np.ndarray) -> float:
        line = p[0] * odds[others] + p[1]
        return float(np.mean(np.logaddexp(0, line) - truth[others] * line))

    scale, offset = minimize(loss, [1.0, 0.0], method="Nelder-Mead").x
    return np.stack([[probability(value, scale, offset) for value in odds[own]], truth[own]])


def heads() -> dict[str, np.ndarray]:
    """Return coil images (coils, 256, 256) of measured heads."""
    folder = MEASURED / "kspace_cartesian"
    mprage = scipy.io.loadmat(folder / "loraks_mprage_4ch_full.mat")["kData"].transpose(2, 0, 1)
    alias = scipy.io.loadmat(folder / "espirit_brain_alias_8ch.mat")["DATA"].transpose(2, 0, 1)[:, 32:288]
    turbo = scipy.io.loadmat(folder / "loraks_t2_1ch_full.mat")["kData"][None, :, 42:298]
    return {
        "MPRAGE, 4 coils": to_image(mprage, (1, 2)),
        "head, 8 coils": scipy.io.loadmat(folder / "marcsous_head_8ch_coilimages.mat")["data"].transpose(2, 0, 1),
        "aliased T1, 8 coils": to_image(alias, (1, 2)),
        "T2 TSE, 1 coil": to_image(turbo, (1, 2)),
    }


def measured(count: int) -> tuple[list[Example], list[str]]:
    found, subjects = [], []
    for number, (name, images) in enumerate(heads().items()):
        magnitude = np.sqrt(np.sum(np.abs(images) ** 2, axis=0))
        weights = _smooth(magnitude**2)[None]
        products = np.stack([_smooth((one * magnitude).real) + 1j * _smooth((one * magnitude).imag) for one in images])
        array = (products / np.maximum(weights, 1e-3 * weights.max())).astype(np.complex64)
        still = np.where(magnitude > 0.05 * np.quantile(magnitude, 0.99), magnitude, 0).astype(np.float32)
        for seed in range(count):
            found.append(moving(still, array, 128, np.random.default_rng([number, seed, 9])))
            subjects.append(name)
    return found, subjects


def _smooth(values: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(values, 5.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=600, help="simulated images (default 600)")
    arguments = parser.parse_args()
    judge = Judge()
    found = [example(np.random.default_rng([SIMULATED_SEED + n, 5]), (), 128) for n in range(arguments.count)]
    shown(f"Simulated: {arguments.count} images of heads and hearts that training never saw, 128 x 128", found, judge)
    print(f"  network: {statistics.median(judge.seconds) * 1e3:.1f} ms an image (median)")
    if not MEASURED.is_dir():
        print(f"\nMeasured: not executed, {MEASURED} is not there")
        return
    found, subjects = measured(max(arguments.count // 6, 10))
    shown(f"Measured heads, simulated motion: {len(found)} images of 4 heads, 128 x 128", found, judge, subjects)
    print("\nMeasured: one fetal HASTE slice labelled good, another labelled bad (single-shot: no training for that)")
    for name in ("good", "bad"):
        image = np.load(MEASURED / "motion" / f"fetal_haste_{name}.npy")
        outside = "; ".join(judge.outside(image)) or "in range"
        chance, entropy = judge.chance(judge.odds(image)), gradient_entropy(image)
        print(f"  {name:<5} network {chance:.3f}, gradient entropy {entropy:.3f}; {outside}")


if __name__ == "__main__":
    main()
