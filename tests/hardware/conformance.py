"""Reads source code, follows what it does with TensorRT and CuPy, and compares every step with the real libraries.

    python conformance.py STUBS FILE...     prints one JSON object: {"checked": [names], "faults": [sentences]}

The code is read, never run: neither library can do anything without a GPU, but both can be imported and asked what
they have. Types come from what the code says (imports, constructors, annotations) and from what the libraries say
(signatures in the docstrings of pybind11 and Cython). A step that cannot be followed is a fault too, so that nothing
escapes by being complicated: the remedy is an annotation.

Runs in a process of its own: constructing almost anything of TensorRT without a driver is a segmentation fault.
"""

from __future__ import annotations

import ast
import ctypes
import importlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signatures import accepts, annotation, returns, signatures

LIBRARIES = {"tensorrt": "tensorrt_bindings", "cupy": "cupy", "cupyx": "cupyx"}

# What the libraries do not say about themselves in a way that can be read.
HINTS = {
    "cupy.ndarray.data": "cupy.cuda.MemoryPointer",
    "cupy.cuda.get_current_stream": "cupy.cuda.Stream",
    "cupy.cuda.Stream.end_capture": "cupy.cuda.Graph",
    "cupy.ndarray.copy": "cupy.ndarray",
    "cupy.ndarray.get": "object",  # of NumPy
    "cupy.arange": "cupy.ndarray",
}
PLAIN = {"int", "float", "bool", "str", "bytes", "None", "list", "tuple", "dict", "object", "tuple[int, int]"}


@dataclass(frozen=True)
class Thing:
    """A module, class, function or value of a library, by its path."""

    path: str
    real: Any


@dataclass(frozen=True)
class Instance:
    """An object of a class of a library."""

    of: Thing


@dataclass(frozen=True)
class Method:
    """A bound method."""

    path: str
    real: Any


@dataclass(frozen=True)
class Mapping:
    """A dictionary whose values are of one class."""

    value: Any


@dataclass(frozen=True)
class Lost:
    """Something a library returned whose class cannot be told."""

    path: str


def load(stubs: Path) -> dict[str, Thing]:
    """Import the real libraries; TensorRT's bindings find empty libraries already loaded under the names they want."""
    for stub in sorted(stubs.glob("*.so*")):
        ctypes.CDLL(str(stub), mode=ctypes.RTLD_GLOBAL)
    importlib.import_module("cupy.cuda")
    return {name: Thing(name, importlib.import_module(real)) for name, real in LIBRARIES.items()}


class Reader:
    """Follows one file."""

    def __init__(self, tree: ast.Module, libraries: dict[str, Thing]) -> None:
        self.libraries, self.checked, self.faults = libraries, set(), []
        self.members: dict[str, Any] = {}
        self.roots = dict(self._imports(tree))
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        self.returns = {f.name: self.annotated(f.returns) for f in functions}
        self.generic = {f.name for f in functions if isinstance(f.returns, ast.Name) and f.returns.id == "T"} | {"need"}
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                for item in node.body:
                    if isinstance(item, ast.AnnAssign):
                        self.members[item.target.id] = self.annotated(item.annotation)
        in_annotations = list(self.faults)
        for _ in range(2):  # members are learnt in one function and used in another
            self.faults = list(in_annotations)
            for function in functions:
                self.function(function)

    def _imports(self, tree: ast.Module) -> Iterator[tuple[str, Thing]]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for name in node.names:
                    if name.name.split(".")[0] in self.libraries:
                        yield name.asname or name.name, self.libraries[name.name]
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in self.libraries:
                raise SystemExit("import the library, not its names: they could not be told from others")

    # ---- statements

    def function(self, function: ast.FunctionDef) -> None:
        names: dict[str, Any] = {}
        arguments = function.args
        for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            names[one.arg] = self.roots.get(one.arg) or self.annotated(one.annotation)
        for statement in function.body:
            self.statement(statement, names)

    def statement(self, node: ast.AST, names: dict[str, Any]) -> None:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
            return
        if isinstance(node, ast.Assign):
            self.assign(node.targets[0], self.value(node.value, names), node.value, names)
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None:
                self.value(node.value, names)
            self.bind(node.target, self.annotated(node.annotation), names)
        elif isinstance(node, ast.For):
            self.loop(node.target, node.iter, names)
            self.children([*node.body, *node.orelse], names)
        else:
            self.others(node, names)

    def others(self, node: ast.AST, names: dict[str, Any]) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.value(child, names)
            else:
                self.statement(child, names)

    def children(self, nodes: list[ast.stmt], names: dict[str, Any]) -> None:
        for node in nodes:
            self.statement(node, names)

    def assign(self, target: ast.expr, value: Any, source: ast.expr, names: dict[str, Any]) -> None:
        if isinstance(target, ast.Tuple) and isinstance(source, ast.Tuple):
            for one, part in zip(target.elts, source.elts, strict=True):
                self.bind(one, self.value(part, names), names)
        elif isinstance(target, ast.Tuple) and isinstance(value, tuple):
            for one, part in zip(target.elts, value, strict=True):
                self.bind(one, part, names)
        else:
            self.bind(target, value, names)

    def bind(self, target: ast.expr, value: Any, names: dict[str, Any]) -> None:
        if isinstance(target, ast.Name):
            names[target.id] = value
        elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
            self.members[target.attr] = value

    def loop(self, target: ast.expr, iterated: ast.expr, names: dict[str, Any]) -> None:
        values = self.value(iterated, names)
        if isinstance(values, tuple) and values and values[0] == "items" and isinstance(target, ast.Tuple):
            self.bind(target.elts[1], values[1], names)

    # ---- expressions

    def value(self, node: ast.expr, names: dict[str, Any]) -> Any:
        """Return what is known about the value of an expression, None if it is none of a library's."""
        if isinstance(node, ast.Name):
            return names[node.id] if node.id in names else self.roots.get(node.id)
        if isinstance(node, ast.Attribute):
            return self.attribute(node, names)
        if isinstance(node, ast.Call):
            return self.call(node, names)
        if isinstance(node, ast.Subscript):
            self.value(node.slice, names)
            whole = self.value(node.value, names)
            return whole.value if isinstance(whole, Mapping) else None
        if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
            return self.comprehension(node, names)
        if isinstance(node, ast.IfExp):
            self.value(node.test, names)
            return self.value(node.body, names) or self.value(node.orelse, names)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.value(child, names)
        return None

    def comprehension(self, node: Any, names: dict[str, Any]) -> Any:
        names = dict(names)
        for part in node.generators:
            self.loop(part.target, part.iter, names)
            for test in part.ifs:
                self.value(test, names)
        if isinstance(node, ast.DictComp):
            self.value(node.key, names)
            return Mapping(self.value(node.value, names))
        self.value(node.elt, names)
        return None

    def attribute(self, node: ast.Attribute, names: dict[str, Any]) -> Any:
        owner = self.value(node.value, names)
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            return self.members.get(node.attr)
        if isinstance(owner, Thing):
            return self.find(owner.path, owner.real, node.attr)
        if isinstance(owner, Instance):
            return self.of_instance(owner.of, node.attr)
        if isinstance(owner, Mapping):
            return ("items", owner.value) if node.attr == "items" else None
        if isinstance(owner, Lost):
            self.faults.append(f"line {node.lineno}: what {owner.path} returns cannot be told; annotate it")
            return None
        return self.members.get(node.attr)  # slot.context: a field of one of our own classes

    def find(self, path: str, real: Any, name: str) -> Thing | None:
        if not hasattr(real, name):
            self.faults.append(f"{path} has no {name}")
            return None
        self.checked.add(f"{path}.{name}")
        return Thing(f"{path}.{name}", getattr(real, name))

    def of_instance(self, of: Thing, name: str) -> Any:
        path = f"{of.path}.{name}"
        if not hasattr(of.real, name) and not hasattr(_example(of), name):
            self.faults.append(f"{of.path} has no {name}")
            return None
        self.checked.add(path)
        member = getattr(of.real, name, None)
        if callable(member):
            return Method(path, member)
        getter = getattr(member, "fget", None)
        return self.named(HINTS.get(path) or returns(getattr(getter, "__doc__", "") or ""), path)

    def call(self, node: ast.Call, names: dict[str, Any]) -> Any:
        arguments = [self.value(one, names) for one in node.args]
        for keyword in node.keywords:
            self.value(keyword.value, names)
        called = self.value(node.func, names)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if isinstance(called, tuple) and called[0] == "items":
            return called
        if isinstance(called, Thing):
            return self.called(called, called.path, node)
        if isinstance(called, Method):
            return self.called(called, called.path, node)
        if isinstance(called, Instance | Lost):
            self.faults.append(f"line {node.lineno}: {ast.unparse(node.func)} is called, which cannot be followed")
        if name in self.generic:
            return arguments[0]
        return self.returns.get(name) or RETURNS.get(name)

    def called(self, what: Thing | Method, path: str, node: ast.Call) -> Any:
        is_class = isinstance(what.real, type)
        declared = list(signatures(what.real))
        if not declared:
            if not path.startswith("cupy"):
                self.faults.append(f"{path} has no signature that can be read")
        elif not any(accepts(signature, node, bound=is_class or isinstance(what, Method)) for signature in declared):
            self.faults.append(f"line {node.lineno}: {path} takes {declared}, not {ast.unparse(node)}")
        if is_class:
            return Instance(Thing(path, what.real))
        return self.named(HINTS.get(path) or returns(what.real.__doc__ or "") or annotation(what.real), path)

    # ---- types

    def named(self, text: str | None, path: str) -> Any:
        """Return what a type's name in a signature stands for."""
        if text and "NDArray" in text:
            text = "cupy.ndarray"
        text = re.sub(r"\w+_bindings\.(tensorrt_rtx|tensorrt)\.", "tensorrt.", text or "")
        if text.split("[")[0] in PLAIN:
            return None
        if not re.fullmatch(r"(tensorrt|cupy|cupyx)[\w.]+", text):
            return Lost(path)
        thing: Any = self.libraries[text.split(".")[0]]
        for part in text.split(".")[1:]:
            thing = thing and self.find(thing.path, thing.real, part)
        return Instance(thing) if thing else Lost(path)

    def annotated(self, node: ast.expr | None) -> Any:
        """Return what an annotation of the code stands for, None if it is none of a library's."""
        if isinstance(node, ast.BinOp):
            return self.annotated(node.left) or self.annotated(node.right)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
            parts = [self.annotated(one) for one in node.slice.elts]
            if isinstance(node.value, ast.Name) and node.value.id == "tuple":
                return tuple(parts) if any(parts) else None
            return Mapping(parts[-1]) if parts[-1] else None
        if isinstance(node, ast.Attribute):
            found = self.value(node, {})
            return Instance(found) if isinstance(found, Thing) else None
        return None


RETURNS: dict[str, Any] = {}
"""What functions of other files return, by name, for methods such as `Device.stream`."""


def _example(of: Thing) -> Any:
    """Return an object of a class, where there is one without a GPU: some attributes are made by the constructor."""
    return getattr(of.real, "null", None)


def main(stubs: str, files: list[str]) -> dict[str, Any]:
    """Read the files twice: what functions return is learnt first and used across files after."""
    libraries = load(Path(stubs))
    trees = {path: ast.parse(Path(path).read_text()) for path in files}
    for tree in trees.values():
        for name, found in Reader(tree, libraries).returns.items():
            if found:
                RETURNS.setdefault(name, found)
    checked, faults = set(), []
    for path, tree in trees.items():
        reader = Reader(tree, libraries)
        checked |= reader.checked
        faults += [f"{Path(path).name}: {fault}" for fault in dict.fromkeys(reader.faults)]
    return {"checked": sorted(checked), "faults": faults}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], sys.argv[2:])))
