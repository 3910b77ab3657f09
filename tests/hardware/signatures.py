"""What compiled functions say about their arguments and results: pybind11 and Cython write it into docstrings."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from typing import Any


def signatures(real: Any) -> Iterator[str]:
    """Return the argument lists a docstring or the function itself declares."""
    name = getattr(real, "__name__", "")
    sources = [real.__init__.__doc__ if isinstance(real, type) else real.__doc__, real.__doc__]
    found = [
        m
        for source in sources
        for m in re.findall(rf"^(?:\d+\. )?[\w.]*\b(?:{name}|__init__)(\(.*)", source or "", re.M)
    ]
    found = [_balanced(text) for text in found]
    overloads = [text for text in found if "*args" not in text]
    if overloads:
        yield from dict.fromkeys(overloads)
        return
    try:
        yield str(inspect.signature(real)).split(" -> ")[0]
    except (TypeError, ValueError):
        return


def _balanced(text: str) -> str:
    """Return the text up to the bracket that closes its first one."""
    depth = 0
    for position, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0:
            return text[: position + 1]
    return text


def _parameters(signature: str) -> list[tuple[str, bool]]:
    """Return name and whether there is a default, for each parameter."""
    parts, depth, start = [], 0, 1
    for position, letter in enumerate(signature):
        depth += (letter in "([{<") - (letter in ")]}")
        depth -= letter == ">" and signature[position - 1] != "-"
        if (letter == "," and depth == 1) or position == len(signature) - 1:
            parts.append(signature[start:position].strip())
            start = position + 1
    named = [part for part in parts if part and part not in "/*"]
    return [(re.split(r"[:=\s]", _bare(part))[0], "=" in part) for part in named]


def _bare(part: str) -> str:
    """Leave out the C type that Cython writes before a name."""
    head = re.split(r"[:=]", part)[0].strip()
    return head.split()[-1] if " " in head else part


def accepts(signature: str, node: ast.Call, *, bound: bool) -> bool:
    parameters = _parameters(signature)
    if bound and parameters and parameters[0][0] == "self":
        parameters = parameters[1:]
    if any(name.startswith("*") for name, _ in parameters):
        return True
    given = len(node.args) - any(isinstance(one, ast.Starred) for one in node.args)
    keywords = {keyword.arg for keyword in node.keywords}
    rest = parameters[given:]
    known = {name for name, _ in rest}
    return given <= len(parameters) and keywords <= known and all(d or name in keywords for name, d in rest)


def returns(doc: str) -> str:
    match = re.search(r"\) -> ([\w.\[\], ]+)", doc)
    return match[1].strip() if match else ""


def annotation(real: Any) -> str:
    try:
        annotation = inspect.signature(real).return_annotation
    except (TypeError, ValueError):
        return ""
    return "" if annotation is inspect.Signature.empty else str(annotation)
