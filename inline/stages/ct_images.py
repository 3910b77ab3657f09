"""What a CT scan sends: each slice as an image of a series of its own for every kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from inline.header import Scan
from inline.scan import FIRST, Image
from inline.stages.ct_plan import Pixels, Plan

CLASSICAL: Final = 1
DEEP: Final = 2
PREVIEW: Final = 3
NOISE: Final = 4
"""Series of each kind."""

SOFT_TISSUE: Final = {"WindowCenter": 40, "WindowWidth": 400}
"""The window images are opened with, HU."""


@dataclass(frozen=True, slots=True)
class Dresser:
    """Dresses pixels, (y, x) in HU, as images of a scan.

    Attributes
    ----------
    plan, scan
        Where they lie, and whose they are.
    method
        How they were reconstructed, for people.
    remark
        What else there is to say of that, such as why there is no deep image.
    """

    plan: Plan
    scan: Scan
    method: str
    remark: str

    def classical(self, index: int, pixels: Pixels) -> Image:
        """Return the classical image of a slice."""
        return self._image(index, pixels, CLASSICAL, "CT", self._how(), ["ORIGINAL", "PRIMARY", "AXIAL"])

    def preview(self, index: int, pixels: Pixels, views: int) -> Image:
        """Return what a slice looks like after some views; nobody has checked it."""
        how = f"{self._how()}; of {views} views, the scan is still running"
        return self._image(0, pixels, PREVIEW, "CT preview", how, ["DERIVED", "PRIMARY", "AXIAL", "PREVIEW"], index)

    def noise(self, index: int, pixels: Pixels) -> Image:
        """Return a map of the noise of a classical image."""
        how = f"spread of what is finer than 5 pixels, in blocks; {self._how()}"
        return self._image(index, pixels, NOISE, "SD_CT", how, ["DERIVED", "SECONDARY", "AXIAL", "NOISE"])

    def _how(self) -> str:
        return f"{self.method}, kernel {self.plan.kernel}" + (f"; {self.remark}" if self.remark else "")

    def _image(
        self, slice_: int, pixels: Pixels, series: int, quantity: str, how: str, kind: list[str], index: int = 0
    ) -> Image:
        name = " ".join((self.scan.protocol or "CT", self.plan.kernel, *([] if quantity == "CT" else [quantity])))
        return Image(
            pixels[None, None],
            self.plan.geometry(slice_),
            FIRST._replace(slice=slice_),
            quantity=quantity,
            unit="HU",
            method_reason=how,
            series=series,
            index=index or slice_ + 1,
            checked=series != PREVIEW,
            meta={
                **SOFT_TISSUE,
                "DataRole": "Image",
                "ImageType": kind,
                "SeriesDescription": name,
                "ConvolutionKernel": self.plan.kernel,
                "SliceThickness": round(1e3 * self.plan.thickness_m, 4),
            },
        )
