"""What all tests share: where measured data lie."""

from __future__ import annotations

from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of measured data sets beside the checkout; skips where there is none."""
    if not DATA.is_dir():
        pytest.skip(f"measured data sets are not at {DATA}")
    return DATA
