"""Whether one source for CPU and GPU (NVIDIA Warp) is fast enough on the CPU, and what the kernels cost there.

Backprojects views of 736 columns into 512 x 512 pixels. Warp appears only where it is installed (`pip install
warp-lang`); its kernel is written in the two ways it can be: a thread for each pixel, as a GPU needs it, and a thread
for each row, which suits a CPU better.

    python benchmarks/kernels.py [--json]

GPU: not executed.
"""  # annotations are not postponed here, because Warp reads the types of its kernels from them

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from hardware.kernels import backproject, project, rebin
from hardware.threads import cores

SIZE, COLUMNS, VIEWS = 512, 736, 1152
ALLOWED = 1.3
"""Times the time of numba, above which one source is not worth its price."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    image, views, lines = scene()
    figures = kernels(image, views, lines)
    for name, run in warp_kernels().items():
        figures[f"{name}, 1 view"] = milliseconds(lambda run=run: run(image, views[:1], lines[:1]))
        figures[f"{name}, 1 view, times numba"] = figures[f"{name}, 1 view"] / figures["backproject, 1 view"]
    if arguments.json:
        print(json.dumps({"unit": "ms", "cores": cores(), "gpu": "not executed", "median": figures}))
        return
    print(f"median, ms, {cores()} cores; Warp is worth it up to {ALLOWED} times numba; GPU: not executed\n")
    for name, value in figures.items():
        print(f"{name:<40}{value:>10.2f}")


def scene() -> tuple[Any, Any, Any]:
    """Return an image, noise for views, and the geometry of half a turn."""
    angles = np.arange(VIEWS) * np.pi / VIEWS
    cosine, sine = 0.95 * np.cos(angles), 0.95 * np.sin(angles)
    lines = np.stack([(COLUMNS - 1) / 2 - (cosine + sine) * (SIZE - 1) / 2, cosine, sine], axis=1)
    views = np.random.default_rng(0).standard_normal((VIEWS, COLUMNS))
    return np.zeros((SIZE, SIZE), np.float32), views.astype(np.float32), lines.astype(np.float32)


def kernels(image: Any, views: Any, lines: Any) -> dict[str, float]:
    shift = np.linspace(-80, 80, COLUMNS, dtype=np.float32)
    column = np.linspace(0, COLUMNS - 1, COLUMNS, dtype=np.float32)
    return {
        "backproject, 1 view": milliseconds(lambda: backproject(image, views[:1], lines[:1])),
        f"backproject, {VIEWS} views": milliseconds(lambda: backproject(image, views, lines), 5),
        "project, 1 view": milliseconds(lambda: project(image, lines[:1], COLUMNS)),
        f"project, {VIEWS} views": milliseconds(lambda: project(image, lines, COLUMNS), 5),
        "rebin, 1 view": milliseconds(lambda: rebin(views, shift, column, 0, 1)),
        f"rebin, {VIEWS} views": milliseconds(lambda: rebin(views, shift, column, 0, VIEWS), 11),
        "backproject in one loop, 1 view": milliseconds(one_loop(image, views[:1], lines[:1])),
    }


def one_loop(image: Any, views: Any, lines: Any) -> Callable[[], None]:
    """Places and gathering in the same loop, for comparison."""
    from numba import njit

    @njit
    def gather(image: Any, padded: Any, lines: Any) -> None:
        top = np.float32(padded.shape[1] - 2)
        for y in range(len(image)):
            for n in range(len(padded)):
                origin = lines[n, 0] + lines[n, 2] * np.float32(y) + np.float32(1)
                for x in range(image.shape[1]):
                    place = min(max(origin + lines[n, 1] * np.float32(np.int32(x)), np.float32(0)), top)
                    left = np.uintp(np.int32(place))
                    part = place - np.float32(np.int32(place))
                    value = padded[n, left]
                    image[y, x] += value + part * (padded[n, left + np.uintp(1)] - value)

    padded = np.pad(views, ((0, 0), (1, 2)))
    return lambda: gather(image, padded, lines)


def warp_kernels() -> dict[str, Callable[[Any, Any, Any], None]]:
    """Return the same backprojection in Warp, or nothing where it is not installed."""
    try:
        import warp
    except ImportError:
        return {}
    warp.config.quiet = True
    grid = warp.array2d(dtype=warp.float32)

    def by_pixel(image: grid, padded: grid, lines: grid):
        y, x = warp.tid()
        total = image[y, x]
        for n in range(padded.shape[0]):
            place = lines[n, 0] + lines[n, 1] * float(x) + lines[n, 2] * float(y) + 1.0
            place = warp.min(warp.max(place, 0.0), float(padded.shape[1] - 2))
            left = int(place)
            total += padded[n, left] + (place - float(left)) * (padded[n, left + 1] - padded[n, left])
        image[y, x] = total

    def by_row(image: grid, padded: grid, lines: grid):
        y = warp.tid()
        for n in range(padded.shape[0]):
            origin = lines[n, 0] + lines[n, 2] * float(y) + 1.0
            for x in range(image.shape[1]):
                place = warp.min(warp.max(origin + lines[n, 1] * float(x), 0.0), float(padded.shape[1] - 2))
                left = int(place)
                value = padded[n, left]
                image[y, x] = image[y, x] + value + (place - float(left)) * (padded[n, left + 1] - value)

    def run(kernel: Any, threads: tuple[int, ...]) -> Callable[[Any, Any, Any], None]:
        def launch(image: Any, views: Any, lines: Any) -> None:
            padded = np.pad(views, ((0, 0), (1, 2)))
            inputs = [warp.array(array, dtype=warp.float32, copy=False) for array in (image, padded, lines)]
            warp.launch(kernel, dim=threads, inputs=inputs)

        compare(launch)
        return launch

    warp.set_device("cpu")
    return {
        "Warp, a thread a pixel": run(warp.kernel(by_pixel), (SIZE, SIZE)),
        "Warp, a thread a row": run(warp.kernel(by_row), (SIZE,)),
    }


def compare(launch: Callable[[Any, Any, Any], None]) -> None:
    """Stop unless another implementation gives the same image: a fast wrong one says nothing."""
    image, views, lines = scene()
    wanted = image.copy()
    backproject(wanted, views[:9], lines[:9])
    launch(image, views[:9], lines[:9])
    np.testing.assert_allclose(image, wanted, atol=1e-3)


def milliseconds(run: Callable[[], None], times: int = 51) -> float:
    run()
    durations = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        durations.append(time.perf_counter() - start)
    return 1e3 * statistics.median(durations)


if __name__ == "__main__":
    main()
