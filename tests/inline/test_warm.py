"""A warmed pipeline has nothing left to import when the first readout comes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from inline.scanner.simulate import simulate

CHECK = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[3])))
from streams import read, run
from inline.routes import ROUTES
scan, readouts = read(Path(sys.argv[2]))
route = ROUTES[sys.argv[1]]
route.warm()
pipeline = route.load()
known = set(sys.modules)
images, findings = run(pipeline, readouts, scan)
assert images[-1].pixels.any()
print(len(set(sys.modules) - known))
"""


SMALL = {"coils": 4, "matrix": 32}
SCANS = [
    ("cartesian", {"acceleration": 2, **SMALL}),
    ("cartesian", SMALL),
    ("dti", {**SMALL, "averages": 1, "directions": 6}),
    ("epi", SMALL),
    ("ct", {"matrix": 32, "columns": 64, "views": 64}),
]


@pytest.mark.parametrize(("kind", "options"), SCANS)
def test_first_scan_imports_nothing(tmp_path, kind, options):
    simulate(kind, tmp_path / "scan.h5", **options)
    streams = str(__file__).rsplit("/", 1)[0]
    arguments = [sys.executable, "-c", CHECK, kind, str(tmp_path / "scan.h5"), streams]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert int(done.stdout) == 0
