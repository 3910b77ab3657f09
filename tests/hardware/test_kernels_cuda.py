"""The CUDA C of the kernels on machines without a GPU: compiled for every GPU meant, and run on the CPU.

Nothing here says how fast a GPU is, or that its memory is used well; that needs one.
"""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from test_kernels_cone import FEED, FULL, RADIUS, circle, spiral
from test_kernels_tracing import SCENES as FANS
from test_kernels_tracing import fan

from hardware.kernels import (
    backproject,
    backproject_cone,
    backproject_helix,
    cuda,
    project,
    rebin,
    spread,
    trace,
    twins,
)

GPUS = [80, 86, 89, 90, 120]
"""A100, RTX 30, RTX 40 and L4, H100, RTX 50."""

FILES = sorted(set(cuda.SOURCES.values()))
NAMES = {file: [name for name, place in cuda.SOURCES.items() if place == file] for file in FILES}
EMULATOR = Path(__file__).with_name("test_kernels_emulator.cpp")
WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Werror"]
SANITIZERS = ["-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]
F = np.float32


@pytest.mark.parametrize("gpu", GPUS)
@pytest.mark.parametrize("file", FILES)
def test_compiles_without_spilling_registers(file, gpu):
    nvrtc = pytest.importorskip("cupy_backends.cuda.libs.nvrtc", reason="needs cupy-cuda13x")
    try:
        nvrtc.getVersion()
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"needs nvidia-cuda-nvrtc: {error}")
    program = nvrtc.createProgram(cuda.source(NAMES[file][0]), file, [], [])
    try:
        nvrtc.compileProgram(program, [f"-arch=sm_{gpu}", "--ptxas-options=-v", *cuda.OPTIONS])
    finally:
        log = nvrtc.getProgramLog(program)
    assert "warning" not in log, log
    assert set(re.findall(r"entry function '(\w+)'", log)) == set(NAMES[file]), log
    assert len(re.findall(r"\b0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads", log)) == len(NAMES[file])


@pytest.fixture(scope="session")
def workshop(tmp_path_factory):
    """Folder for emulators; skips where there is no compiler."""
    if not shutil.which("g++"):
        pytest.skip("emulating CUDA C needs g++")
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture
def emulated(workshop, monkeypatch):
    """Send everything that would start on a GPU through the emulator, threads in both orders."""
    build = cache(lambda file: built(workshop, file))

    def compiled(name):
        return lambda grid, block, arguments: emulate(build(cuda.SOURCES[name]), name, grid, block, arguments)

    monkeypatch.setattr(cuda, "compiled", compiled)


def built(folder, file):
    """Emulator of the kernels in one file, as it ships."""
    program = folder / f"{file}.emulator"
    if not program.exists():
        names = " ".join(f"KERNEL({name})" for name in NAMES[file])
        source = Path(cuda.__file__).with_name(file)
        macros = [f'-DKERNEL_FILE="{source}"', f"-DKERNELS={names}"]
        command = ["g++", "-std=c++17", "-O1", "-g", *WARNINGS, *SANITIZERS, *macros, EMULATOR, "-o", program]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr
    return program


def emulate(program, name, grid, block, arguments):
    """Run a kernel as CuPy would; its arrays are changed in place."""
    results = []
    for backwards in (0, 1):
        request = struct.pack("6i", backwards, *grid, *block, len(arguments)) + b"".join(map(packed, arguments))
        done = subprocess.run(
            [program, name], input=request, capture_output=True, check=False, env={"ASAN_OPTIONS": "detect_leaks=0"}
        )
        assert not done.returncode, done.stderr.decode()
        results.append(done.stdout)
    assert results[0] == results[1], f"{name}: the result depends on the order of threads"
    at = 0
    for array in (argument for argument in arguments if isinstance(argument, np.ndarray)):
        array[...] = np.frombuffer(results[0], F, array.size, at).reshape(array.shape)
        at += array.nbytes


def packed(argument):
    letter = b"p" if isinstance(argument, np.ndarray) else {np.int32: b"i", np.float32: b"f"}[type(argument)]
    return letter + struct.pack("=Q", argument.nbytes) + argument.tobytes()


class OnGPU(np.ndarray):
    """An array that says a GPU holds it."""

    __cuda_array_interface__ = "emulated"


def on_gpu(array):
    return np.array(array, F).view(OnGPU)


def geometry(count, height, width, columns, columns_per_pixel):
    """Lines about a point beside the centre, first along the axes, then at any angle."""
    random = np.random.default_rng(5)
    angles = np.concatenate([[0, np.pi / 2, np.pi / 4, -np.pi], random.uniform(-np.pi, np.pi, count)])[:count]
    cosine, sine = np.cos(angles) * columns_per_pixel, np.sin(angles) * columns_per_pixel
    return np.stack([columns / 2 + 3.3 - cosine * width / 2 - sine * height / 2, cosine, sine], axis=1)


SCENES = [(37, 45, 50, 23, 0.9), (1, 1, 1, 1, 1.0), (20, 70, 40, 9, 3.1), (33, 9, 40, 6, 0.05), (8, 32, 3, 7, 0.7)]


@pytest.mark.parametrize(("height", "width", "columns", "count", "columns_per_pixel"), SCENES)
def test_emulated_backprojection_is_its_twin(emulated, height, width, columns, count, columns_per_pixel):
    random, lines = np.random.default_rng(1), on_gpu(geometry(count, height, width, columns, columns_per_pixel))
    image, views = (on_gpu(random.standard_normal(shape)) for shape in ((height, width), (count, columns)))
    wanted = twins.backproject(image, views, lines)
    backproject(image, views, lines)
    np.testing.assert_allclose(image, wanted, atol=3e-6 * count * np.abs(lines[:, 0]).max())


@pytest.mark.parametrize(("height", "width", "columns", "count", "columns_per_pixel"), SCENES)
def test_emulated_projection_is_its_twin(emulated, height, width, columns, count, columns_per_pixel):
    image = on_gpu(np.random.default_rng(2).standard_normal((height, width)))
    lines = on_gpu(geometry(count, height, width, columns, columns_per_pixel))
    wanted = twins.project(image, lines, columns)
    np.testing.assert_allclose(project(image, lines, columns), wanted, atol=3e-5 * (np.abs(wanted).max() + 1))


def test_emulated_geometry_that_makes_no_sense_reaches_no_memory_beyond(emulated):
    lines = on_gpu(np.array([[3, 0, 0], [np.nan, 1, 1], [0, np.inf, 0], [3e38, -3e38, 3e38], [5, np.nan, 1]]))
    image = on_gpu(np.ones((9, 11)))
    backproject(image, on_gpu(np.ones((5, 13))), lines)
    assert np.isfinite(image).all()
    views = project(on_gpu(np.ones((9, 11))), lines, 13)
    np.testing.assert_allclose(views[0], 99 * (np.arange(13) == 3))  # a view that sees all pixels in one place


@pytest.mark.parametrize(("first", "count"), [(0, 40), (17, 3), (-5, 90), (1_000_003, 1), (0, 0)])
def test_emulated_rebinning_is_its_twin(emulated, first, count):
    random = np.random.default_rng(3)
    fan, shift = on_gpu(random.standard_normal((41, 29))), on_gpu(random.uniform(-60, 60, 35))
    column = on_gpu(np.concatenate([random.uniform(-2, 30, 31), [-1, 0, 28, 29]]))
    wanted = twins.rebin(fan, shift, column, first, count)
    np.testing.assert_allclose(rebin(fan, shift, column, first, count), wanted, atol=3e-5)


@pytest.mark.parametrize("curved", [True, False])
@pytest.mark.parametrize("options", [{}, {"rows": 1, "shape": (5, 6, 1)}, {"columns": 1}])
def test_emulated_backprojection_of_a_circle_is_its_twin(emulated, options, curved):
    stack, views, line, heights = map(on_gpu, circle(**options))
    wanted = twins.backproject_cone(*map(np.asarray, (stack, views, line, heights)), curved)
    backproject_cone(stack, views, line, heights, curved=curved)
    np.testing.assert_allclose(stack, wanted, atol=2e-4)


@pytest.mark.parametrize("curved", [True, False])
@pytest.mark.parametrize("feed", [0.0, FEED, -0.011, 0.08])
def test_emulated_backprojection_of_a_helix_is_its_twin(emulated, feed, curved):
    stack, views, line, heights = map(on_gpu, spiral())
    wanted = twins.backproject_helix(*map(np.asarray, (stack, views, line, heights)), RADIUS, feed, FULL, curved)
    backproject_helix(stack, views, line, heights, radius=RADIUS, feed=feed, full=FULL, curved=curved)
    np.testing.assert_allclose(stack, wanted, atol=2e-4)


@pytest.mark.parametrize("nonsense", [np.nan, np.inf, -np.inf, 3e38, -3e38, 0])
def test_emulated_cones_that_make_no_sense_reach_no_memory_beyond(emulated, nonsense):
    for scene, smear in (
        (circle, lambda *arrays: backproject_cone(*arrays, curved=True)),
        (spiral, lambda *arrays: backproject_helix(*arrays, radius=RADIUS, feed=FEED, full=FULL, curved=True)),
    ):
        stack, views, line, heights = map(on_gpu, scene(shape=(3, 4, 5), count=12))
        line[np.arange(12), np.arange(12) % line.shape[1]] = nonsense
        smear(stack, views, line, heights)


@pytest.mark.parametrize("options", FANS)
def test_emulated_sums_along_rays_and_their_adjoint_are_their_twins(emulated, options):
    image, sums, rays = map(on_gpu, fan(**options))
    wanted = [twins.trace(*map(np.asarray, (image, rays))), twins.spread(*map(np.asarray, (sums, rays)), image.shape)]
    np.testing.assert_allclose(trace(image, rays), wanted[0], atol=3e-4)
    np.testing.assert_allclose(spread(sums, rays, image.shape), wanted[1], atol=1e-3)


@pytest.mark.parametrize("nonsense", [np.nan, np.inf, -np.inf, 3e38, 0])
def test_emulated_rays_that_make_no_sense_reach_no_memory_beyond(emulated, nonsense):
    image, sums, rays = map(on_gpu, fan(views=3, columns=9, shape=(4, 5)))
    rays.reshape(-1, 3)[np.arange(27), np.arange(27) % 3] = nonsense
    trace(image, rays)
    spread(sums, rays, image.shape)


def test_every_kernel_has_been_emulated():
    """A kernel added to the list is not forgotten here."""
    emulations = Path(__file__).read_text(encoding="utf-8")
    assert all(re.search(rf"\b{name}\(", emulations) for name in cuda.SOURCES)
    written = {path.name: path.read_text(encoding="utf-8") for path in Path(cuda.__file__).parent.glob("*.cu")}
    kernels = {(name, file) for file, text in written.items() for name in re.findall(r"__global__ void (\w+)", text)}
    assert kernels == set(cuda.SOURCES.items())
