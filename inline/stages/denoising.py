"""Deep CT images behind the classical ones: a network takes noise away on a thread of its own, while views still come.

It replaces nothing. The classical image has been sent when the network begins; its image follows in a series of its
own. Where the network is late, fails, or does not pass its guard, the classical image stands in its place there and
says why, so that a series is never shorter than the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from hardware.catalog import Model, pick
from hardware.engine import Engine
from hardware.engines import load
from hardware.errors import HardwareError
from inline.errors import ConfigurationError
from inline.models import folders
from inline.parameters import deadline_s, switched
from inline.scan import Context, Image
from inline.stages.ct_images import DEEP
from qc.ct_guard import judge, passes
from qc.ct_noise import noise_level, noise_map
from qc.finding import Finding, Severity, Where
from qc.guard import outside
from recon_models.ct.denoise import INPUT, Preparation, denoise, trained

Pixels = npt.NDArray[np.float32]

USUAL: Final = "resnet"
"""The better of the two on patients that training never saw; ``mapnn`` has depths to choose from."""
_USUAL_SHAPE: Final = (512, 512)

PATIENCE_S: Final = 30.0
"""After which a slice's deep image is given up, unless ``deadline`` says otherwise."""


@dataclass(frozen=True, slots=True)
class Network:
    """A network that is ready to run."""

    model: Model
    engine: Engine
    preparation: Preparation

    @property
    def trained_hu(self) -> tuple[float, float]:
        """Range of CT numbers it was trained on."""
        (given,) = (one for one in self.model.manifest.inputs if one.name == INPUT)
        return given.minimum * self.preparation.hu_per_unit, given.maximum * self.preparation.hu_per_unit


@cache
def network(name: str) -> Network:
    """Return a network by its id, loaded once in a process.

    Raises
    ------
    HardwareError
        If there is none, or it cannot be run.
    """
    model = pick(folders(), name)
    return Network(model, load(model), Preparation.of(model))


def warm_up() -> None:
    """Run the usual network on a slice of zeros; where there is none, every scan will say so."""
    with suppress(HardwareError):
        ready = network(USUAL)
        denoise(np.zeros(_USUAL_SHAPE, np.float32), ready.engine, ready.preparation, 1)


class Denoiser:
    """Deep images of one scan.

    Parameters
    ----------
    context
        Where findings go. Among its parameters ``deep=false`` asks for none, ``network`` names one, ``depth`` is how
        often it is run, and ``deadline`` how many seconds a slice may take.

    Attributes
    ----------
    absent
        Why there are no deep images; empty if there are.

    Raises
    ------
    ConfigurationError
        If the parameters are not numbers, or there is no such depth.
    """

    def __init__(self, context: Context) -> None:
        self.absent = ""
        self._context = context
        self._network: Network | None = None
        self._waiting: deque[tuple[Image, Future[Image]]] = deque()
        self._thread: ThreadPoolExecutor | None = None
        wanted = switched(context.parameters, "deep")
        self._patience_s = deadline_s(context.parameters, PATIENCE_S)
        try:
            self._network = network(context.parameters.get("network", USUAL)) if wanted else None
        except HardwareError as error:
            self.absent = f"no deep image: {error}"
        if not wanted:
            self.absent = "no deep image was asked for"
        self._depth = _depth(context, self._network)

    def take(self, image: Image) -> None:
        """Begin with the deep image of a classical one, after those before it."""
        if self._network is not None:
            self._thread = self._thread or ThreadPoolExecutor(1, "deep images")
            self._waiting.append((image, self._thread.submit(self._deep, image)))

    def ready(self) -> Iterator[Image]:
        """Yield the deep images that are there, in order."""
        while self._waiting and self._waiting[0][1].done():
            yield self._result()

    def rest(self) -> Iterator[Image]:
        """Wait for the deep images that are not there yet, and yield them."""
        while self._waiting:
            yield self._result()

    def close(self) -> None:
        """Drop what nobody waits for any more."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def _result(self) -> Image:
        image, future = self._waiting.popleft()
        try:
            return future.result()
        except Exception as error:  # whatever a network does, a scan has its classical images
            return self._instead(image, str(error) or type(error).__name__, ())

    def _deep(self, image: Image) -> Image:
        assert self._network is not None
        chosen, classical = self._network, np.asarray(image.pixels[0, 0], np.float32)
        pixels = denoise(classical, chosen.engine, chosen.preparation, self._depth, self._patience_s)
        noise = noise_map(classical)
        pixel_mm = 1e3 * image.geometry.field_of_view_m[0] / classical.shape[1]
        measured = {"the noise in HU": noise_level(classical, noise), "the pixel in mm": pixel_mm}
        unlike = outside(measured, trained(chosen.model))
        findings = judge(self._context.limits, pixels, classical, noise, chosen.trained_hu, unlike)
        if not passes(findings):
            return self._instead(image, "; ".join(finding.message for finding in findings), findings)
        for finding in findings:
            self._context.report(finding)
        return replace(
            image,
            pixels=pixels[None, None],
            method=chosen.model.name,
            method_reason=f"depth {self._depth} of {chosen.preparation.depths}, on {image.method_reason}",
            series=DEEP,
            findings=(*image.findings, *findings),
            meta={
                **image.meta,
                "ImageType": ["DERIVED", "PRIMARY", "AXIAL"],
                "SeriesDescription": f"{image.meta['SeriesDescription']} deep {self._depth}",
                "Model_sha256": chosen.model.manifest.sha256,
                "Depth": self._depth,
            },
        )

    def _instead(self, image: Image, why: str, findings: tuple[Finding, ...]) -> Image:
        """Return the classical image in the place of the deep one."""
        lost = Finding(
            Severity.AMBER,
            "no deep image",
            f"Slice {image.counters.slice} has no deep image: {why}",
            "Use the classical image",
            where=Where(series=DEEP, slices=(image.counters.slice,)),
        )
        self._context.report(lost)
        reason = f"classical in the place of the deep image: {why}; {image.method_reason}"
        return replace(image, series=DEEP, method_reason=reason, findings=(*image.findings, *findings, lost))


def _depth(context: Context, network: Network | None) -> int:
    most = network.preparation.depths if network is not None else 1
    text = context.parameters.get("depth", str(most))
    if not text.isdigit() or not int(text):
        raise ConfigurationError(f"depth={text} is no positive whole number")
    if network is not None and int(text) > most:
        raise ConfigurationError(f"depth={text}: {network.model.name} has depths 1 to {most}")
    return int(text)
