"""Fan-beam CT, worked in view by view."""

from __future__ import annotations

from hardware.device import Array
from recon_models.ct.geometry import Grid, Scanner, View
from recon_models.ct.rebinned import Rebinned


class FanBeam:
    """Views in as they come, an image out at any time.

    Parameters
    ----------
    scanner
        Where its rays run.
    grid
        Of the image.
    kernel
        One of `recon_models.ct.ramp.WINDOWS`.
    views
        How many are expected; a full turn if None. It says how lines that are met more than once are weighted.
    rows
        Of the detector, reconstructed as one slice each.
    """

    def __init__(
        self, scanner: Scanner, grid: Grid, *, kernel: str = "ram-lak", views: int | None = None, rows: int = 1
    ) -> None:
        self._engine = Rebinned(scanner, grid, kernel=kernel, views=views, rows=rows)

    def add(self, view: View, values: Array) -> None:
        """Work in a view.

        Parameters
        ----------
        view
            Where the source stood; angles grow from view to view.
        values
            (rows, columns) float32 line integrals.

        Raises
        ------
        ValueError
            If the view does not lie behind the last one, or the image was formed.
        """
        self._engine.add(view, values)

    def preview(self) -> Array:
        """Return the image of the views so far: (rows, y, x) float32, attenuation in 1/m."""
        return self._engine.preview()

    def image(self) -> Array:
        """Return the image of all views: (rows, y, x) float32, attenuation in 1/m. Nothing can be added after it."""
        return self._engine.image()

    @property
    def views(self) -> int:
        """Views that came."""
        return self._engine.count

    @property
    def missing(self) -> int:
        """Views left out between those that came."""
        return self._engine.missing
