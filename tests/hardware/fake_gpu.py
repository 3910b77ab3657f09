"""TensorRT and CuPy without a GPU: the calls the code makes, computed by ONNX Runtime, any of which can fail.

Device memory is ordinary memory reached by its address, a stream is a list of work that is done when somebody
synchronises, a captured graph is such a list kept: enough that buffers mixed up, a shape not set, a missing wait or a
replay of the wrong graph change the result. A call fails by returning None, raising, hanging or writing NaN.
"""

from __future__ import annotations

import functools
import json
import sys
import threading
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import numpy as np
import onnxruntime

CALLS: set[str] = set()
"""Every call there is, as ``Class.name``."""


class CUDARuntimeError(RuntimeError):
    """What CuPy raises."""


@dataclass
class Faults:
    """Which call fails, and how; ``hit`` tells whether it was reached."""

    call: str = ""
    kind: str = ""
    hit: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    seen: list[str] = field(default_factory=list)

    def set(self, call, kind):
        self.call, self.kind, self.hit = call, kind, 0


faults = Faults()
memory: dict[int, np.ndarray] = {}
owners: dict[int, ndarray] = {}


def call(owner):
    """Make a method or function of the fake fail on demand; its qualified name is ``owner.name``."""

    def decorate(function):
        name = f"{owner}.{function.__name__}".removesuffix(".__init__").lstrip(".")
        CALLS.add(name)

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            faults.seen.append(name)
            if name != faults.call:
                return function(*args, **kwargs)
            return _fail(name, function, args, kwargs)

        return wrapper

    return decorate


def _fail(name, function, args, kwargs):
    if faults.kind == "raise":
        faults.hit += 1
        raise CUDARuntimeError(f"fault in {name}")
    if faults.kind == "hang":
        faults.hit += 1
        faults.released.wait()
        raise CUDARuntimeError(f"{name} came back after all")
    result = function(*args, **kwargs)
    if faults.kind == "none" and result is not None:
        faults.hit += 1
        return False if isinstance(result, bool) else None
    if faults.kind in ("nan", "garbage") and name in WRITERS:
        faults.hit += 1
        _spoil(args, kwargs, np.nan if faults.kind == "nan" else 0.125)
    return result


WRITERS = {"ndarray.set", "ndarray.get", "IExecutionContext.execute_async_v3", "Graph.launch", "copyto", "ndarray.copy"}


def _spoil(args, kwargs, value):
    """Queue writing ``value`` over everything the GPU holds (a transfer that fails spoils as much)."""
    stream = kwargs.get("stream") or Stream.at(next((a for a in args if isinstance(a, int)), 0)) or current()
    out = kwargs.get("out")

    def work():
        for array in [*memory.values(), *([out] if out is not None else [])]:
            if array.dtype.kind == "f":
                array[...] = value

    stream.do(work)


class ndarray:
    def __init__(self, array):
        self.host, self.stream = array, current()
        memory[array.ctypes.data] = array
        owners[array.ctypes.data] = self

    def on(self, stream):
        assert stream is self.stream, "memory is used on another stream than the one it was allocated on"
        return self.host

    shape = property(lambda self: self.host.shape)
    dtype = property(lambda self: self.host.dtype)
    nbytes = property(lambda self: self.host.nbytes)

    @property
    def data(self):
        return SimpleNamespace(ptr=self.host.ctypes.data)

    @call("ndarray")
    def set(self, arr, stream=None):
        stream.do(lambda: np.copyto(self.on(stream), arr))

    @call("ndarray")
    def get(self, stream=None, order="C", out=None, blocking=True):
        if out is None:
            return self.host.copy()
        stream.do(lambda: np.copyto(out, self.on(stream)))
        return out

    @call("ndarray")
    def copy(self):
        result = ndarray(np.empty_like(self.host))
        stream = current()
        stream.do(lambda: np.copyto(result.on(stream), self.host))
        return result


class Here(threading.local):
    """The current stream of each thread."""

    stream: Stream | None = None


here = Here()
null: list[Stream] = []  # CUDA's stream 0, current where no other is


def current():
    return here.stream or null[0]


class Stream:
    streams: ClassVar[dict[int, Stream]] = {}

    @call("Stream")
    def __init__(self, null=False, non_blocking=False):
        self.queue, self.captured, self.ptr = [], None, len(Stream.streams) + 1
        Stream.streams[self.ptr] = self

    @staticmethod
    def at(pointer):
        return Stream.streams.get(pointer)

    def do(self, work):
        (self.queue if self.captured is None else self.captured).append(work)

    def finish(self):
        while self.queue:
            self.queue.pop(0)()

    @call("Stream")
    def synchronize(self):
        assert self.captured is None, "a capture must not synchronise"
        self.finish()

    @call("Stream")
    def begin_capture(self, mode=None):
        self.captured = []

    @call("Stream")
    def end_capture(self):
        works, self.captured = self.captured, None
        return Graph(works)

    def __enter__(self):
        self.before, here.stream = current(), self
        return self

    def __exit__(self, *_):
        here.stream = self.before


class Graph:
    def __init__(self, works):
        self.works = works

    @call("Graph")
    def launch(self, stream=None):
        for work in self.works:
            stream.do(work)


class Event:
    @call("Event")
    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self.stream = None

    @call("Event")
    def record(self, stream=None):
        self.stream = stream

    @property
    @call("Event")
    def done(self):
        if self.stream is not None:
            self.stream.finish()
        return True


class Device:
    @call("Device")
    def __init__(self, device=None):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class MemoryAsyncPool:
    @call("MemoryAsyncPool")
    def __init__(self, pool_handles="current"):
        pass

    @call("MemoryAsyncPool")
    def set_limit(self, size=None, fraction=None):
        assert size > 0

    @call("MemoryAsyncPool")
    def malloc(self, size):
        raise NotImplementedError


@call("")
def empty(shape, dtype=float):
    return ndarray(np.full(shape, 77, dtype))  # what was there before


@call("")
def zeros(shape, dtype=float):
    array = empty(shape, dtype)
    current().do(lambda: array.host.fill(0))
    return array


@call("")
def asarray(a):
    return ndarray(np.array(a))


@call("")
def copyto(dst, src):
    stream = current()
    stream.do(lambda: np.copyto(dst.on(stream), src.host))


@call("")
def empty_pinned(shape, dtype=float):
    return np.full(shape, 78, dtype)


@call("")
def set_allocator(allocator=None):
    pass


@call("")
def memGetInfo():
    return 1 << 30, 2 << 30


@call("")
def get_current_stream():
    return current()


# ---- TensorRT


class ILogger:
    ERROR, INTERNAL_ERROR, WARNING = "error", "internal", "warning"

    def __init__(self):
        pass


class Builder:
    @call("Builder")
    def __init__(self, logger):
        self.logger = logger

    @call("Builder")
    def create_network(self, flags=0):
        return INetworkDefinition()

    @call("Builder")
    def create_builder_config(self):
        return IBuilderConfig()

    @call("Builder")
    def create_optimization_profile(self):
        return IOptimizationProfile()

    @call("Builder")
    def build_serialized_network(self, network, config):
        header = json.dumps([profile.shapes for profile in config.profiles])
        return header.encode() + b"\0" + network.model


class INetworkDefinition:
    model = b""

    @property
    @call("INetworkDefinition")
    def num_outputs(self):
        return 1 if self.model else 0


class OnnxParser:
    @call("OnnxParser")
    def __init__(self, network, logger):
        self.network = network

    @call("OnnxParser")
    def parse(self, model, path=None):
        self.network.model = model
        return True

    @property
    @call("OnnxParser")
    def num_errors(self):
        return 0


class IOptimizationProfile:
    def __init__(self):
        self.shapes = {}

    @call("IOptimizationProfile")
    def set_shape(self, input, min, opt, max):
        self.shapes[input] = [list(min), list(opt), list(max)]


class ITimingCache:
    @call("ITimingCache")
    def serialize(self):
        return b"timings"


class IBuilderConfig:
    def __init__(self):
        self.profiles = []

    @call("IBuilderConfig")
    def set_memory_pool_limit(self, pool, pool_size):
        pass

    @call("IBuilderConfig")
    def clear_flag(self, flag):
        pass

    @call("IBuilderConfig")
    def add_optimization_profile(self, profile):
        self.profiles.append(profile)
        return len(self.profiles) - 1

    @call("IBuilderConfig")
    def create_timing_cache(self, serialized_timing_cache):
        return ITimingCache()

    @call("IBuilderConfig")
    def set_timing_cache(self, cache, ignore_mismatch):
        return True


class Runtime:
    @call("Runtime")
    def __init__(self, logger):
        pass

    @call("Runtime")
    def deserialize_cuda_engine(self, serialized_engine):
        header, _, model = serialized_engine.partition(b"\0")
        return ICudaEngine(json.loads(header), model)


class ICudaEngine:
    def __init__(self, profiles, model):
        self.spans = profiles[0] if profiles else {}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # no threads of its own that spin beside the test's
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.ends = [*self.session.get_inputs(), *self.session.get_outputs()]

    def find(self, name):
        return next(end for end in self.ends if end.name == name)

    @property
    @call("ICudaEngine")
    def device_memory_size_v2(self):
        return 1 << 20

    @property
    @call("ICudaEngine")
    def num_io_tensors(self):
        return len(self.ends)

    @call("ICudaEngine")
    def get_tensor_name(self, index):
        return self.ends[index].name

    @call("ICudaEngine")
    def get_tensor_mode(self, name):
        return "in" if self.find(name) in self.session.get_inputs() else "out"

    @call("ICudaEngine")
    def get_tensor_dtype(self, name):
        return {"tensor(float)": "f", "tensor(float16)": "h"}[self.find(name).type]

    @call("ICudaEngine")
    def get_tensor_shape(self, name):
        return [axis if isinstance(axis, int) else -1 for axis in self.find(name).shape]

    @call("ICudaEngine")
    def create_execution_context(self, strategy=None):
        return IExecutionContext(self)


class IExecutionContext:
    def __init__(self, engine):
        self.engine, self.shapes, self.addresses, self.scratch = engine, {}, {}, 0

    @call("IExecutionContext")
    def set_device_memory(self, memory, size):
        self.scratch = memory

    @call("IExecutionContext")
    def set_input_shape(self, name, shape):
        low, _, high = self.engine.spans[name]
        inside = all(a <= n <= b for a, n, b in zip(low, shape, high, strict=True))
        self.shapes[name] = tuple(shape)
        return inside

    @call("IExecutionContext")
    def infer_shapes(self):
        return [one.name for one in self.engine.session.get_inputs() if one.name not in self.shapes]

    @call("IExecutionContext")
    def get_tensor_shape(self, name):
        batch, _, *image = self.shapes["image"]
        return self.shapes.get(name) or [batch, 2, *image]

    @call("IExecutionContext")
    def set_tensor_address(self, name, memory):
        self.addresses[name] = memory
        return True

    @call("IExecutionContext")
    def execute_async_v3(self, stream_handle):
        stream = Stream.at(stream_handle)
        stream.do(lambda: self.compute(stream))
        return True

    def compute(self, stream):
        session = self.engine.session
        for address in (self.scratch, *self.addresses.values()):
            owners[address].on(stream)
        results = session.run(None, {one.name: memory[self.addresses[one.name]] for one in session.get_inputs()})
        for one, result in zip(session.get_outputs(), results, strict=True):
            np.copyto(memory[self.addresses[one.name]], result)


@call("")
def nptype(trt_type):
    return {"f": np.float32, "h": np.float16}[trt_type]


TENSORRT = (
    Builder,
    INetworkDefinition,
    OnnxParser,
    IOptimizationProfile,
    ITimingCache,
    IBuilderConfig,
    Runtime,
    ICudaEngine,
    IExecutionContext,
)
CUDA = (Stream, Graph, Event, Device, MemoryAsyncPool)


def modules() -> dict[str, ModuleType]:
    """Return fresh modules by the names under which they are imported."""
    tensorrt, cupy, cupyx = ModuleType("tensorrt"), ModuleType("cupy"), ModuleType("cupyx")
    for one in (ILogger, nptype, *TENSORRT):
        setattr(tensorrt, one.__name__, one)
    tensorrt.MemoryPoolType = SimpleNamespace(WORKSPACE=0)
    tensorrt.BuilderFlag = SimpleNamespace(TF32=0)
    tensorrt.NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=0)
    tensorrt.TensorIOMode = SimpleNamespace(INPUT="in", OUTPUT="out")
    tensorrt.ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED=2)
    for one in (ndarray, empty, zeros, asarray, copyto):
        setattr(cupy, one.__name__, one)
    cupy.cuda = SimpleNamespace(
        **{one.__name__: one for one in (*CUDA, set_allocator, get_current_stream)},
        runtime=SimpleNamespace(memGetInfo=memGetInfo),
    )
    cupyx.empty_pinned = empty_pinned
    return {"tensorrt": tensorrt, "cupy": cupy, "cupyx": cupyx}


def install(monkeypatch) -> Faults:
    """Put the fake where `import` finds it; return its faults, none set."""
    for name, module in modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    faults.set("", "")
    faults.released = threading.Event()
    faults.seen.clear()
    memory.clear()
    owners.clear()
    Stream.streams.clear()
    here.stream = None
    null[:] = [Stream()]
    return faults
