"""What is known about a model and must not change without notice: one JSON file beside its weights.

The file is written once, when the model is exported, and locks it: the weights and the constants of preprocessing
(scales, clips, means: a wrong one gives a plausible wrong image) are named by their SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hardware.device import Array
from hardware.engine import Axis
from hardware.errors import ModelError
from hardware.tensorrt_build import Span

SUFFIX = ".manifest.json"

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Length = Annotated[int, Field(gt=0)]
Kind = Literal["float32", "float16", "float64", "int64", "int32", "uint8", "int8", "bool"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Output(_Strict):
    """One result of a model; ``unit`` is ``"1"`` for pure numbers, ``shape`` names the axes that may change."""

    name: str
    dtype: Kind
    unit: str
    shape: tuple[Axis, ...]


class Input(Output):
    """One argument of a model.

    Attributes
    ----------
    minimum, maximum
        Range of the values it was trained on, in ``unit``.
    smallest, typical, largest
        Shapes it may be given; needed where an axis may change.
    """

    minimum: float
    maximum: float
    smallest: tuple[Length, ...] = ()
    typical: tuple[Length, ...] = ()
    largest: tuple[Length, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.minimum < self.maximum:
            raise ValueError(f"{self.name}: minimum {self.minimum} is not below maximum {self.maximum}")
        if self.varies() and not self.span_fits():
            raise ValueError(f"{self.name}: smallest <= typical <= largest must each fill {self.shape}")
        return self

    def varies(self) -> bool:
        """Return whether some axis may change its length."""
        return any(isinstance(axis, str) for axis in self.shape)

    def span_fits(self) -> bool:
        """Return whether the three shapes are in order and agree with the lengths that are fixed."""
        if not len(self.shape) == len(self.smallest) == len(self.typical) == len(self.largest):
            return False
        axes = zip(self.shape, self.smallest, self.typical, self.largest, strict=True)
        return all(a <= b <= c and (isinstance(axis, str) or a == c == axis) for axis, a, b, c in axes)

    def example(self) -> tuple[int, ...]:
        """Return a typical shape."""
        return self.typical or tuple(int(axis) for axis in self.shape)


class Data(_Strict):
    """One data set a model was trained on."""

    name: str
    licence: str
    source: str


class Training(_Strict):
    """Where the weights come from: the data, and the commit of the script that made them."""

    data: Annotated[tuple[Data, ...], Field(min_length=1)]
    commit: Annotated[str, Field(pattern="^[0-9a-f]{7,40}$")]
    script: str


class Manifest(_Strict):
    """Everything that is known about one model.

    Attributes
    ----------
    id, version
        What images made with it say.
    file
        Name of the ONNX file in the same folder.
    sha256
        Of that file.
    opset
        Version of ONNX's operators it uses.
    precision
        Of its weights; TensorRT computes with what the graph says.
    constants, constants_sha256
        What preprocessing needs, and the SHA-256 of its canonical JSON (`digest`).
    metrics
        Figures on held-out data, each name with its unit.
    guard
        Limits beyond which its result is not shown.
    """

    id: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._-]*$")]
    version: str
    description: str
    licence: str
    file: Annotated[str, Field(pattern=r"^[\w.-]+\.onnx$")]
    sha256: Sha256
    opset: Annotated[int, Field(ge=13)]
    precision: Literal["fp32", "fp16", "int8"]
    inputs: Annotated[tuple[Input, ...], Field(min_length=1)]
    outputs: Annotated[tuple[Output, ...], Field(min_length=1)]
    constants: dict[str, Any] = {}
    constants_sha256: Sha256
    training: Training
    metrics: dict[str, float]
    guard: dict[str, float]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a manifest.

        Raises
        ------
        ModelError
            If it is not there, not JSON, or says too little, too much or nonsense.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise ModelError(f"{path}: {error.strerror}") from error
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, f['loc'])) or 'file'}: {f['msg']}" for f in error.errors()[:5])
            raise ModelError(f"{path} is no manifest: {faults}") from error

    def write(self, folder: Path) -> Path:
        """Write the manifest beside its model; return its path."""
        path = folder / (Path(self.file).stem + SUFFIX)
        path.write_text(self.model_dump_json(indent=2) + "\n")
        return path

    def spans(self) -> dict[str, Span]:
        """Return the shapes to build for, for each input with an axis that may change."""
        return {one.name: Span(one.smallest, one.typical, one.largest) for one in self.inputs if one.varies()}

    def golden(self) -> dict[str, Array]:
        """Return inputs of typical shapes that fill the trained range, the same every time."""
        random = np.random.default_rng(0)
        return {
            one.name: random.uniform(one.minimum, one.maximum, one.example()).astype(one.dtype) for one in self.inputs
        }


def digest(constants: dict[str, Any]) -> str:
    """Return the SHA-256 of constants as JSON with sorted keys and no spaces."""
    canonical = json.dumps(constants, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
