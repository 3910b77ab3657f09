"""One text for NumPy and CuPy: array functions, run with libraries that show what CuPy would stumble over.

=====================  ==============================================================================================
array-api-strict       has nothing but the standard, and its second device refuses to meet arrays of the first: a
                       constant made without its device, a hidden ``np.asarray``, a function only NumPy has
torch                  computes: the same numbers come out, of the same type
torch, meta            has shapes and no numbers: whatever needs a number on the host makes a GPU wait
=====================  ==============================================================================================

A function that does not run in one of them names the reason in the table, and must fail there.

By design only for the CPU, and so not in the table: `readout` and `epi` (one line at a time, while the scan runs),
`coils`, `grappa`, `kernel`, `unfolding` and `noise` (calibration: LAPACK on small matrices, once per scan), `sampling`
(masks, before the scan), `physics` (simulation and tests), `hardware.kernels` (numba; CUDA C is their other side, but
for `sorting`), and of `ct` all that calls a kernel: kernels know NumPy and CuPy alone.
"""

from __future__ import annotations

import ast
import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import array_api_compat
import numpy as np
import pytest

from hardware import fourier
from recon_models.cartesian import combine, compressed, partial_fourier, sense
from recon_models.ct import denoise, ramp
from recon_models.noncartesian import nufft
from recon_models.noncartesian import sense as noncartesian

STRICT, TORCH, META = "array-api-strict", "torch", "meta"


@pytest.fixture(params=["numpy", STRICT, TORCH, META])
def library(request):
    """Name of a library and a function that hands NumPy's arrays to it."""
    return request.param, carrier(request.param)


def carrier(name):
    if name == "numpy":
        return lambda array: array
    if name == STRICT:
        strict = pytest.importorskip("array_api_strict", reason="needs array-api-strict")
        return lambda array: strict.asarray(array, device=strict.Device("device1"))
    torch = pytest.importorskip("torch", reason="needs torch")
    return lambda array: torch.asarray(array, device="cpu" if name == TORCH else "meta")


def samples(*shape):
    random = np.random.default_rng(math.prod(shape))
    return (random.standard_normal(shape) + 1j * random.standard_normal(shape)).astype(np.complex64)


def maps(coils, *shape):
    sensitivities = samples(coils, *shape)
    return sensitivities / np.sqrt(np.sum(np.abs(sensitivities) ** 2, axis=0))


def weights(*shape):
    return np.abs(samples(*shape)).astype(np.float32)


def every_second(*shape):
    mask = np.zeros(shape, bool)
    mask[::2] = True
    return mask


REACHED = np.arange(16) > 4


def encoding(sensitivities, weight):
    return sense.Encoding(sensitivities, weight, (-2, -1))


class Unchanging:
    """An engine whose network changes nothing."""

    name = "unchanging"

    def run(self, arrays, _deadline_s):
        return {denoise.OUTPUT: arrays[denoise.INPUT]}


PREPARATION = denoise.Preparation(1000.0, 3, 2, 2)


@dataclass
class Case:
    """A function, arrays it is called with, and where it does not run."""

    function: Callable
    run: Callable
    arrays: list = field(default_factory=list)
    fails: dict = field(default_factory=dict)


# NumPy, CuPy and torch can be told where to write a result; the standard cannot
OUT = {STRICT: "writes its products into one place (out=), 13 % faster than without"}
STOPS = {META: "stops when the residual is down to rounding, for which the host looks at one number a step"}
HOST = {META: "one number for each image, how far symmetry is believed, is looked at on the host"}
WAVELETS = dict.fromkeys((STRICT, TORCH, META), "SigPy's wavelets know NumPy and CuPy alone")

TABLE = [
    Case(fourier.to_image, lambda k: fourier.to_image(k, (-2, -1)), [samples(3, 16, 12)]),
    Case(fourier.to_image, lambda k: fourier.to_image(k, (1, 2)), [samples(3, 15, 12)]),
    Case(fourier.to_kspace, lambda i: fourier.to_kspace(i, (-2,)), [samples(3, 14, 12)]),
    Case(fourier.filtered, lambda i, t: fourier.filtered(i, t, (-2, -1)), [samples(3, 16, 11), weights(16, 11)]),
    Case(fourier.convolved, fourier.convolved, [samples(3, 8, 6), samples(16, 12)]),
    Case(noncartesian.combined, noncartesian.combined, [samples(3, 16, 12), maps(3, 16, 12)]),
    Case(fourier.half_spectrum, lambda v: fourier.half_spectrum(v, 20), [weights(3, 12)]),
    Case(fourier.from_half_spectrum, lambda s: fourier.from_half_spectrum(s, 20), [samples(3, 11)]),
    Case(ramp.filtered, ramp.filtered, [weights(3, 12), ramp.response(12, 0.1)]),
    Case(denoise.denoise, lambda i: denoise.denoise(i, Unchanging(), PREPARATION), [weights(9, 12)]),
    Case(denoise.depths, lambda i: next(denoise.depths(i, Unchanging(), PREPARATION)), [weights(9, 12)]),
    Case(combine.root_sum_of_squares, combine.root_sum_of_squares, [samples(3, 16, 12)]),
    Case(combine.weighted_sum, combine.weighted_sum, [samples(3, 16, 12), samples(3, 16, 12)], OUT),
    Case(combine.centred, lambda a: combine.centred(a, 8, 0), [samples(16, 12)]),
    Case(combine.centred, lambda a: combine.centred(a, 15, -1), [samples(16, 12)]),
    Case(combine.interpolated, lambda i: combine.interpolated(i, 24, 1), [samples(16, 12)]),
    Case(partial_fourier.pocs, lambda k: partial_fourier.pocs(k, [REACHED]), [samples(16, 12)]),
    Case(partial_fourier.symmetry, lambda k: partial_fourier.symmetry(k, [REACHED]), [samples(16, 12)], HOST),
    Case(partial_fourier.fill, lambda k: partial_fourier.fill(k, [REACHED]), [samples(16, 12)], HOST),
    Case(sense.levelled, lambda s: sense.levelled(s)[0], [samples(3, 16, 12)]),
    Case(
        sense.Encoding, lambda s, w, i: encoding(s, w).forward(i), [maps(3, 16, 12), weights(16, 12), samples(16, 12)]
    ),
    Case(
        sense.Encoding,
        lambda s, w, k: encoding(s, w).adjoint(k),
        [maps(3, 16, 12), weights(16, 12), samples(3, 16, 12)],
    ),
    Case(
        sense.Encoding,
        lambda s, w, i: encoding(s, w).normal(i),
        [maps(3, 16, 12), weights(16, 12), samples(16, 12)],
    ),
    Case(sense.conjugate_gradients, lambda b: sense.conjugate_gradients(lambda x: 2 * x, b, 3), [samples(9)], STOPS),
    Case(sense.cg_sense, sense.cg_sense, [samples(3, 16, 12), every_second(16, 12), maps(3, 16, 12)], STOPS),
    Case(sense.cg_sense_hybrid, sense.cg_sense_hybrid, [samples(3, 16, 12), every_second(16), maps(3, 16, 12)], STOPS),
    Case(compressed.fista, lambda b: compressed.fista(lambda x: 0.5 * x, b, lambda x: 0.9 * x, 3), [samples(9)]),
    Case(
        compressed.l1_wavelet,
        lambda k, s: compressed.l1_wavelet(k, s, iterations=2),
        [samples(3, 16, 12), maps(3, 16, 12)],
        WAVELETS,
    ),
]


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.function.__qualname__)
def test_runs_wherever_arrays_live(case, library):
    name, carry = library
    arrays = [carry(array) for array in case.arrays]
    if name in case.fails:
        with pytest.raises(Exception):  # noqa: B017 - in which way depends on the library
            case.run(*arrays)
        return
    result, wanted = case.run(*arrays), case.run(*case.arrays)
    if isinstance(wanted, float):
        assert result == pytest.approx(wanted, rel=1e-4)
        return
    assert type(result) is type(arrays[0])
    assert array_api_compat.device(result) == array_api_compat.device(arrays[0])
    assert result.shape == wanted.shape
    assert str(result.dtype).endswith(str(wanted.dtype))
    if name != META:
        np.testing.assert_allclose(plain(result), wanted, atol=1e-5 * np.abs(wanted).max(), rtol=1e-4)


def plain(array):
    """Return the numbers of an array of any library."""
    xp = array_api_compat.array_namespace(array)
    if array_api_compat.is_array_api_strict_namespace(xp):
        array = array.to_device(xp.Device("CPU_DEVICE"))
    return np.asarray(array)


def test_no_array_function_is_left_out():
    """Who asks for the namespace of an array claims to run wherever it lives."""
    root = Path(fourier.__file__).parents[1]
    claims = set()
    for path in [Path(fourier.__file__), *(root / "recon_models").rglob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
        if any(str(node.module).startswith("hardware.kernels") for node in imports):
            continue
        if any("namespace" in {a.name for a in node.names} for node in imports):
            public = [n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name[0] != "_"]
            claims |= {getattr(importlib.import_module(module), name) for name in public}
    without_arrays = {denoise.Preparation, denoise.trained}
    finufft_and_cufinufft_alone = {nufft.Transform, nufft.Nufft, noncartesian.cg_sense}
    assert claims - {case.function for case in TABLE} == without_arrays | finufft_and_cufinufft_alone
