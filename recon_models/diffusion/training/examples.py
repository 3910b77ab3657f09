"""Write the scans of hearts that the networks learn from.

    python -m recon_models.diffusion.training.examples TENSORS --hearts 1600
    python -m recon_models.diffusion.training.examples IMAGES --hearts 1200 --tensornet RUN

The first is for the tensor network, the second, which needs the first's result, for the noise network.

Each heart is drawn by `recon_models.physics.ventricle`, scanned under conditions that are drawn as well (spin echo or
stimulated echo, 6 to 12 directions, 1 to 5 repetitions, SNR 5 to 28, uneven noise, a phase for every shot, breath-holds
that registration left up to a millimetre apart), and then goes through the same steps as in the node. The second
generator, `recon_models.physics.dispersed`, is never seen here.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from recon_models.diffusion import denoise, refine
from recon_models.diffusion.averaging import without_phase
from recon_models.diffusion.btable import BTable
from recon_models.diffusion.frame import from_frame, in_frame, wall_frame
from recon_models.diffusion.mppca import mppca
from recon_models.diffusion.tensor import UNIT, explained, fit_wls
from recon_models.diffusion.training.networks import build
from recon_models.physics.diffusion import Conditions, acquired, spin_echo_table, steam_table, weighted_signals
from recon_models.physics.ventricle import Ventricle, random_heart

Real = npt.NDArray[np.float64]

PIXELS_M: Final = (1.5e-3, 2.7e-3)
SNR: Final = (5.0, 28.0)


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One scan of one heart, reconstructed.

    Attributes
    ----------
    heart, table
        What was scanned, and how.
    clean, averages, denoised
        (n, y, x) without noise, as measured, and after MPPCA.
    noise
        (y, x) standard deviation of one average, as the node takes it to be.
    """

    heart: Ventricle
    table: BTable
    clean: Real
    averages: Real
    denoised: Real
    noise: Real


def main() -> None:
    """Write the scans, a hundred to a file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hearts", type=int, default=1600)
    parser.add_argument("--tensornet", type=Path, help="the folder it was trained in")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    network = None if args.tensornet is None else trained(args.tensornet)
    for first in range(0, args.hearts, 100):
        path = args.folder / f"hearts{first:05}.npz"
        if path.exists():
            continue
        numbers = range(first, min(first + 100, args.hearts))
        examples = [example(np.random.default_rng([2022, n]), network) for n in numbers]
        stacked = {key: np.stack([one[key] for one in examples]) for key in examples[0]}
        np.savez(path.with_suffix(".part.npz"), **stacked)  # type: ignore[arg-type]
        path.with_suffix(".part.npz").replace(path)
        print(path.name, flush=True)  # noqa: T201 - progress of a script


def trained(run: Path) -> Any:
    """Return the tensor network that was trained in a folder."""
    torch.set_num_threads(1)
    network = build("tensornet")
    network.load_state_dict(torch.load(run / "tensornet.pt", weights_only=True)["network"])
    return network.eval()


def example(random: np.random.Generator, network: Any = None) -> dict[str, npt.NDArray[np.float16]]:
    """Return what a network sees of one scan, and what it is to say.

    Parameters
    ----------
    random
        Draws everything.
    network
        The tensor network, for an example of the noise network; of that four images of a scan are kept.
    """
    scan = drawn(random)
    heart = scan.heart
    found: dict[str, npt.NDArray[np.floating]] = {"wall": heart.wall.astype(np.float64) + heart.lesion}
    seen, tensor = tensors(scan, network)
    if network is None:
        found |= {"maps": seen, "truth": in_frame(heart.tensor, wall_frame(heart.s0.shape, heart.centre)) / UNIT}
    else:
        modelled = explained(tensor, scan.averages, scan.table)
        images, scale = denoise.features(scan.averages, modelled, scan.noise, scan.table)
        chosen = random.permutation(len(images))[:4]
        found |= {"images": images[chosen], "clean": scan.clean[chosen] / scale}
    return {key: np.asarray(np.clip(value, -60000, 60000), np.float16) for key, value in found.items()}


def tensors(scan: Scan, network: Any) -> tuple[npt.NDArray[np.float32], Real]:
    """Return what the tensor network sees of a scan, and its tensor, (6, y, x) m^2/s; that of MPPCA without one."""
    measured = fit_wls(scan.averages, scan.table, noise=scan.noise)
    denoised = fit_wls(scan.denoised, scan.table)
    weighted, heart = scan.averages[~scan.table.unweighted].mean(axis=0), scan.heart
    seen = refine.features(measured, denoised, weighted, heart.centre)
    if network is None:
        return seen, denoised.tensor
    with torch.no_grad():
        correction = network(torch.from_numpy(seen[None]))[0].numpy()
    frame = wall_frame((heart.s0.shape[0], heart.s0.shape[1]), heart.centre)
    return seen, from_frame((seen[6:12] + correction).astype(np.float64), frame) * UNIT


def drawn(random: np.random.Generator) -> Scan:
    """Draw a heart and a scan of it."""
    pixel_m = random.uniform(*PIXELS_M)
    heart = random_heart(random).maps(refine.SIDE, pixel_m)
    table = _table(random)
    conditions = Conditions(
        snr=float(np.exp(random.uniform(*np.log(SNR)))),
        shot_phase_rad=random.uniform(0, 1.5),
        shift_m=random.uniform(0, 1e-3),
        noise_varies=random.uniform(1, 2.5),
    )
    return scanned(heart, table, conditions, int(random.choice((1, 1, 1, 2, 3, 4, 4, 5))), random, doubt=0.12)


def scanned(
    heart: Ventricle,
    table: BTable,
    conditions: Conditions,
    repetitions: int,
    random: np.random.Generator,
    doubt: float = 0.0,
) -> Scan:
    """Scan a heart and take the node's steps up to MPPCA; ``doubt`` is by how much the noise is misjudged."""
    clean = weighted_signals(heart.s0, heart.tensor, table)
    shots, noise = acquired(clean, conditions, repetitions, heart.pixel_m, random)
    averages = np.asarray(without_phase(shots).real.mean(axis=0), np.float64)
    denoised, _ = mppca(averages, step=2)
    said = noise / np.sqrt(repetitions) * np.exp(doubt * random.standard_normal())
    return Scan(heart, table, clean, averages, denoised, np.asarray(said))


def _table(random: np.random.Generator) -> BTable:
    if random.random() < 0.25:
        return steam_table(int(random.choice((6, 6, 10))), random.uniform(400, 650), random.uniform(10, 45))
    return spin_echo_table(int(random.choice((6, 10, 12, 12))), random.uniform(350, 650), int(random.integers(1, 3)))


if __name__ == "__main__":
    main()
