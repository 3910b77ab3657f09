"""The models there are, and whether they are what their manifests say.

A model is run only from bytes whose SHA-256 was taken from those same bytes: nobody can change the file in between.
ONNX holds numbers and a graph, no code; files that can hold code (pickles) are not read anywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hardware.engine import Engine
from hardware.errors import ModelError
from hardware.manifest import SUFFIX, Manifest, digest


@dataclass(frozen=True, slots=True)
class Model:
    """A model with its manifest.

    Attributes
    ----------
    manifest
        What is known about it.
    folder
        Where it lies.
    """

    manifest: Manifest
    folder: Path

    @property
    def name(self) -> str:
        """Id and version, as images and errors write it."""
        return f"{self.manifest.id} {self.manifest.version}"

    @property
    def path(self) -> Path:
        """The ONNX file."""
        return self.folder / self.manifest.file

    def onnx(self) -> bytes:
        """Return the bytes of the model.

        Raises
        ------
        ModelError
            If the file is missing, or it or the constants are not the ones the manifest was written for.
        """
        wanted, found = self.manifest.constants_sha256, digest(self.manifest.constants)
        if found != wanted:
            raise ModelError(_mismatch(f"constants in the manifest of {self.path}", wanted, found))
        try:
            model = self.path.read_bytes()
        except OSError as error:
            raise ModelError(f"{self.path}: {error.strerror}") from error
        found = hashlib.sha256(model).hexdigest()
        if found != self.manifest.sha256:
            raise ModelError(_mismatch(str(self.path), self.manifest.sha256, found))
        return model

    def check(self, engine: Engine) -> None:
        """Raise `ModelError` unless an engine has the inputs and outputs the manifest declares."""
        for declared, found in ((self.manifest.inputs, engine.inputs), (self.manifest.outputs, engine.outputs)):
            wanted = {one.name: (one.dtype, _lengths(one.shape)) for one in declared}
            present = {port.name: (port.dtype.name, _lengths(port.shape)) for port in found}
            if wanted != present:
                raise ModelError(f"{engine.name} has {present}, the manifest of {self.path} declares {wanted}")


def find(folders: Iterable[Path]) -> Iterator[Model | ModelError]:
    """Read every manifest in some folders, by name; one that cannot be read comes as its error.

    A model without a manifest comes as an error too: nothing is known about it.
    """
    for folder in sorted(folders):
        manifests = sorted(folder.glob(f"*{SUFFIX}"))
        known = set()
        for path in manifests:
            try:
                model = Model(Manifest.read(path), folder)
            except ModelError as error:
                yield error
                known.add(path.name.removesuffix(SUFFIX) + ".onnx")
                continue
            known.add(model.manifest.file)
            yield model
        for stray in sorted(folder.glob("*.onnx")):
            if stray.name not in known:
                yield ModelError(f"{stray}: no manifest {stray.stem}{SUFFIX} beside it")


def pick(folders: Iterable[Path], name: str) -> Model:
    """Return the model with an id.

    Raises
    ------
    ModelError
        If there is none, or its manifest cannot be read.
    """
    found = list(find(folders))
    for model in found:
        if isinstance(model, Model) and model.manifest.id == name:
            return model
    broken = "; ".join(str(one) for one in found if isinstance(one, ModelError))
    raise ModelError(f"there is no model {name!r}" + (f"; these cannot be read: {broken}" if broken else ""))


def _mismatch(what: str, wanted: str, found: str) -> str:
    return f"{what}: SHA-256 is {found}, the manifest says {wanted}; restore the file or export the model again"


def _lengths(shape: Iterable[int | str]) -> tuple[int | None, ...]:
    """Leave out the names of axes: exporters choose them."""
    return tuple(axis if isinstance(axis, int) else None for axis in shape)
