"""Which engine runs a network fastest on this CPU, in single precision and in eight bits, and what eight bits cost.

    python benchmarks/engines.py

Needs onnx and onnxruntime; OpenVINO and PyTorch join in where they are installed. The engines take turns, so that a
busy moment of the machine hits all of them; what is printed is the median of the ratios of each turn to ONNX Runtime's
time in the same turn. A second CPU engine would have to be at least 10 % faster (a ratio of at most 0.90) on the
networks that are shipped to be worth its upkeep.

The networks have random weights: times carry over to trained ones of the same shape, losses of accuracy need not.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from standins import cnn, unet

from hardware.engine_onnx import OnnxRuntimeEngine
from hardware.engines import nrmse
from hardware.threads import cores

NETWORKS = (("CNN 5 x 32, 512^2", cnn(), 512), ("U-Net 16, 256^2", unet(), 256))

Run = Callable[[Any], Any]


def main() -> None:
    turns = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    turns.add_argument("--turns", type=int, default=15)
    number = turns.parse_args().turns
    for name, model, side in NETWORKS:
        image = np.random.default_rng(1).standard_normal((1, 2, side, side)).astype(np.float32)
        runs = dict(contestants(model, eight_bits(model, side)))
        results = {who: run(image) for who, run in runs.items()}
        times = take_turns(runs, image, number)
        reference = next(iter(runs))
        print(f"{name}: {reference} {median(times[reference]) * 1e3:.1f} ms on {cores()} cores, {number} turns")
        for who in runs:
            ratio = median(a / b for a, b in zip(times[who], times[reference], strict=True))
            print(f"  {who:<28} ratio {ratio:5.2f}   NRMSE {nrmse(results[who], results[reference]):.1e}")
    print("GPU: not executed")


def take_turns(runs: dict[str, Run], image: Any, number: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {who: [] for who in runs}
    for turn in range(number + 1):
        for who, run in runs.items():
            start = time.perf_counter()
            run(image)
            if turn:  # the first warms up
                times[who].append(time.perf_counter() - start)
    return times


def contestants(model: bytes, quantised: bytes) -> Iterator[tuple[str, Run]]:
    for bits, one in (("f32", model), ("int8", quantised)):
        engine = OnnxRuntimeEngine(one, bits)
        yield f"ONNX Runtime {bits}", lambda image, engine=engine: engine.run({"image": image})["result"]
        yield from openvino(one, bits)
    yield "ONNX Runtime f32, bare", bare(model)
    yield from pytorch(model)


def bare(model: bytes) -> Run:
    """Return ONNX Runtime with its defaults and without our checks: what those cost."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"image": image})[0]


def openvino(model: bytes, bits: str) -> Iterator[tuple[str, Run]]:
    try:
        import openvino as ov
    except ImportError:
        return
    core = ov.Core()
    settings = {
        "INFERENCE_NUM_THREADS": cores(),
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = core.compile_model(core.read_model(model), "CPU", settings).create_infer_request()
    yield f"OpenVINO {bits}", lambda image: next(iter(request.infer({"image": image}).values())).copy()


def pytorch(model: bytes) -> Iterator[tuple[str, Run]]:
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(cores())
    graph = onnx.load_from_string(model).graph
    for layout in (torch.contiguous_format, torch.channels_last):
        yield f"torch f32, {str(layout).rpartition('.')[2]}", interpreted(torch, graph, layout)


def interpreted(torch: Any, graph: Any, layout: Any) -> Run:
    """Run the graph node by node with PyTorch's functions."""
    weights = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in graph.initializer}
    weights = {name: one.to(memory_format=layout) if one.ndim == 4 else one for name, one in weights.items()}
    f = torch.nn.functional
    functions = {
        "Conv": lambda x, w, b: f.conv2d(x, w, b, padding=w.shape[-1] // 2),
        "ConvTranspose": lambda x, w: f.conv_transpose2d(x, w, stride=2),
        "MaxPool": lambda x: f.max_pool2d(x, 2),
        "Concat": lambda *x: torch.cat(x, 1),
        "Relu": torch.relu,
        "Identity": lambda x: x,
    }

    def run(image: Any) -> Any:
        values = weights | {"image": torch.from_numpy(image).to(memory_format=layout)}
        with torch.inference_mode():
            for node in graph.node:
                values[node.output[0]] = functions[node.op_type](*(values[name] for name in node.input))
        return values["result"].contiguous().numpy()

    return run


def eight_bits(model: bytes, side: int) -> bytes:
    """Return the model quantised to eight bits, calibrated on images like those it is tested with."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    random = np.random.default_rng(2)

    class Images(CalibrationDataReader):  # type: ignore[misc]
        left = 4

        def get_next(self) -> dict[str, Any] | None:
            self.left -= 1
            image = random.standard_normal((1, 2, side, side)).astype(np.float32)
            return {"image": image} if self.left >= 0 else None

    with tempfile.TemporaryDirectory() as folder:
        plain, prepared, small = (Path(folder) / f"{name}.onnx" for name in ("plain", "prepared", "small"))
        plain.write_bytes(model)
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        options: Any = {
            "quant_format": QuantFormat.QDQ,
            "activation_type": QuantType.QUInt8,
            "weight_type": QuantType.QInt8,
            "per_channel": True,
        }
        quantize_static(prepared, small, Images(), **options)
        return small.read_bytes()


if __name__ == "__main__":
    main()
