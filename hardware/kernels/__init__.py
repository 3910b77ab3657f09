"""The few loops that no library has: smearing views over images and stacks, adding up along rays, and sorting rays.

Each kernel stands here three times: in NumPy (`twins`), which says what it computes; in numba for the CPU; in CUDA C,
which NVRTC compiles on the machine that has the GPU. Callers see one function, and the array decides which one runs.

One source for both processors would be better. It was measured with NVIDIA Warp 1.19, one view of 736 columns into
512 x 512 pixels on one core (AMD EPYC, AVX-512; medians): numba 0.20 ms, Warp with a thread for each pixel, as a GPU
needs it, 2.2 ms, Warp with a thread for each row 0.81 ms. Ten and four times the time of numba, where 1.3 would have
been worth it: the CPU's speed comes from splitting the loop (see `projection`), which Warp has no means to say.
All 1152 views of a turn take 120 to 160 ms on two cores, rebinning them 2 to 3 ms, their projection 230 to 320 ms.

    python benchmarks/kernels.py

repeats these figures. GPU: not executed. What is known of the CUDA C without one: it compiles for sm_80, 86, 89, 90 and
120 without spilling registers (20 to 40 a thread), and run thread by thread on the CPU, in either order and under
address and undefined-behaviour sanitizers, it agrees with the twins.
"""

from hardware.kernels.cone import backproject_cone
from hardware.kernels.helix import backproject_helix
from hardware.kernels.projection import backproject, project
from hardware.kernels.rebinning import rebin
from hardware.kernels.tracing import spread, trace

__all__ = ["backproject", "backproject_cone", "backproject_helix", "project", "rebin", "spread", "trace"]
