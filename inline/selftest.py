"""`boreside doctor --selftest`: what this machine computes against what it should, for whoever owns the GPU."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hardware.catalog import find
from hardware.device import CPU, Device
from hardware.probe import probe
from hardware.selftest import RUNS, selftest
from inline.errors import StorageError
from inline.models import folders

NOT_EXECUTED = "GPU: not executed"


def run(report: Path, *, as_json: bool, say: Callable[[str], None], runs: int = RUNS) -> int:
    """Test the machine, say what was found and write it down with all that it depends on.

    Parameters
    ----------
    report
        JSON file to write. Its ``sha256`` is that of the rest, as JSON with sorted keys and no spaces.
    as_json
        Whether to say the same JSON instead of lines.
    say
        Takes one line at a time.
    runs
        Timed runs of each kernel and engine.

    Returns
    -------
    int
        0, or 1 if something that ran does not agree.

    Raises
    ------
    StorageError
        If the report cannot be written.
    """
    driver = probe()
    device = Device("cuda:0") if driver.gpus else CPU
    found = selftest(find(folders()), device, driver=driver, runs=runs)
    found["sha256"] = digest(found)
    text = json.dumps(found, indent=2)
    try:
        report.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{report} cannot be written: {error.strerror}") from error
    for line in [json.dumps(found)] if as_json else _lines(found, report):
        say(line)
    return 0 if found["ok"] else 1


def digest(found: dict[str, Any]) -> str:
    """Return the SHA-256 of a report without its own."""
    rest = {name: value for name, value in found.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _lines(found: dict[str, Any], report: Path) -> Iterator[str]:
    for result in found["kernels"]:
        yield _line(f"{result['kernel']} on {result['device']}", result, result)
    for entry in found["models"]:
        if entry["error"]:
            yield f"refused   {entry['error']}"
        for result in entry["engines"]:
            outputs: list[dict[str, float]] = list(result.get("parity", {}).values())
            yield _line(result["engine"], result, max(outputs, key=lambda one: one["nrmse"], default={}))
    if not found["models"]:
        yield "no networks are installed"
    if not found["gpu_executed"]:
        yield f"{NOT_EXECUTED} ({found['machine']['driver']['trouble'] or 'no GPU'})"
    yield f"the report is {report}, sha256 {found['sha256'][:12]}"


def _line(name: str, result: dict[str, Any], parity: dict[str, Any]) -> str:
    if not result["executed"]:
        return f"not run   {name:<40} {result['reason']}"
    word = "agrees" if result["agrees"] else "DIFFERS"
    if "latency" not in result:
        return f"{word:<8}  {name:<40} {result['reason']}"
    times = result["latency"]
    return (
        f"{word:<8}  {name:<40} NRMSE {parity['nrmse']:.1e}  max {parity['max_abs']:.1e}  "
        f"p50 {times['p50_s'] * 1e3:.2f} ms  p90 {times['p90_s'] * 1e3:.2f} ms  n={times['n']}"
    )
