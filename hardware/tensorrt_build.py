"""From ONNX to a TensorRT engine.

Written against the names of TensorRT 11, where every network is strongly typed: precision is a property of the ONNX
graph, not of the builder. The library is an argument, because TensorRT-RTX has the same names and a parser and builder
that run without a GPU: what is tested there is this code.

TensorRT says that something failed by returning None or False. `need` turns each of these into an error that carries
what the library logged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from hardware.errors import DeviceError, ModelError

if TYPE_CHECKING:
    import tensorrt as trt

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Span:
    """The shapes of one input that an engine is built for.

    Attributes
    ----------
    smallest, typical, largest
        Lengths of all axes; TensorRT chooses its kernels for the typical ones.
    """

    smallest: tuple[int, ...]
    typical: tuple[int, ...]
    largest: tuple[int, ...]


def build(
    trt: Any, model: bytes, spans: Mapping[str, Span], workspace: int, timings: bytes | None = None
) -> tuple[bytes, bytes | None]:
    """Build an engine.

    Parameters
    ----------
    trt
        The `tensorrt` module.
    model
        An ONNX file.
    spans
        For each input with an axis that may change, by name.
    workspace
        Bytes of GPU memory that one layer may use for scratch.
    timings
        What earlier builds measured on this GPU, b"" for the first; None keeps no measurements.

    Returns
    -------
    tuple
        The engine, and the measurements to keep.

    Raises
    ------
    ModelError
        If TensorRT cannot read the model.
    DeviceError
        If it cannot build it.
    """
    builder = need(trt.Builder(messages(trt)), "make a builder", trt)
    network = _parse(trt, builder, model)
    config = need(builder.create_builder_config(), "make a configuration", trt)
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    config.clear_flag(trt.BuilderFlag.TF32)  # single precision means 24 bits of mantissa, as on the CPU
    _span(trt, builder, config, spans)
    measured = _measure(trt, config, timings) if timings is not None else None
    plan = need(builder.build_serialized_network(network, config), "build the engine", trt)
    return bytes(plan), bytes(need(measured.serialize(), "keep its timings", trt)) if measured is not None else None


def _parse(trt: Any, builder: trt.Builder, model: bytes) -> trt.INetworkDefinition:
    typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = need(builder.create_network(typed), "make a network", trt)
    parser = need(trt.OnnxParser(network, messages(trt)), "make a parser", trt)
    if not parser.parse(model):
        errors = [_fault(parser.get_error(index)) for index in range(parser.num_errors)]
        raise ModelError("TensorRT cannot read the model: " + "; ".join(errors))
    if not network.num_outputs:  # no bytes at all are parsed without complaint
        raise ModelError("TensorRT finds no output in the model")
    return network


def _fault(error: trt.ParserError) -> str:
    node = f"{error.node_operator()} {error.node_name()}".strip()
    return f"{node}: {error.desc()}" if node else str(error.desc())


def _span(trt: Any, builder: trt.Builder, config: trt.IBuilderConfig, spans: Mapping[str, Span]) -> None:
    if not spans:
        return
    profile = need(builder.create_optimization_profile(), "make a profile", trt)
    for name, span in spans.items():
        profile.set_shape(name, span.smallest, span.typical, span.largest)
    if need(config.add_optimization_profile(profile), "take the profile", trt) < 0:
        raise DeviceError(f"TensorRT refused the shapes {dict(spans)}: {said(trt)}")


def _measure(trt: Any, config: trt.IBuilderConfig, timings: bytes) -> trt.ITimingCache:
    measured = need(config.create_timing_cache(timings), "read its timings", trt)
    need(config.set_timing_cache(measured, ignore_mismatch=False), "use its timings", trt)
    return measured


def need(value: T | None, what: str, trt: Any) -> T:
    """Return ``value``; raise `DeviceError` where TensorRT returned None or False instead of doing ``what``."""
    if value is None or value is False:
        raise DeviceError(f"TensorRT could not {what}: {said(trt) or 'it gave no reason'}")
    return value


def said(trt: Any) -> str:
    """Return the last errors TensorRT logged, and forget them."""
    heard = messages(trt).heard
    text = "; ".join(heard)
    heard.clear()
    return text


@cache
def messages(trt: Any) -> Any:
    """Return the logger of this process; TensorRT keeps the first one it is given and ignores all others."""

    class Messages(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.heard: deque[str] = deque(maxlen=10)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.heard.append(message)

    return Messages()


def shapes(spans: Mapping[str, Span], pick: str) -> dict[str, Sequence[int]]:
    """Return one shape for each input: the ``smallest``, ``typical`` or ``largest``."""
    return {name: getattr(span, pick) for name, span in spans.items()}
