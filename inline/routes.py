"""Which pipeline a client gets: an explicit table.

Nothing is ever imported by a name that came over the wire. A new pipeline is one file and one line in `ROUTES`; the
names under which the clients of other servers ask for the same thing are in `ALIASES`, so that they work unchanged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Final

from inline.errors import ConfigurationError
from inline.scan import Pipeline


@dataclass(frozen=True, slots=True)
class Route:
    """A pipeline and the names it goes by.

    Attributes
    ----------
    name
        What clients ask for.
    target
        ``module:function`` of the generator.
    description
        One line for people.
    parameters
        What the client set.
    """

    name: str
    target: str
    description: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    def load(self) -> Pipeline:
        """Import the pipeline, which may take a while the first time."""
        module, _, name = self.target.partition(":")
        pipeline: Pipeline = getattr(import_module(module), name)
        return pipeline

    def warm(self) -> None:
        """Import the pipeline now, so that no scan waits for it, and let it run its shapes if it offers to."""
        warm: Callable[[], None] | None = getattr(import_module(self.target.partition(":")[0]), "warm", None)
        if warm is not None:
            warm()


RECORD: Final = "record"
DEPENDENCIES: Final = "dependencies"

ROUTES: Final = {
    route.name: route
    for route in (
        Route("cartesian", "inline.pipelines.cartesian:cartesian", "Cartesian scans, GRAPPA where lines are skipped"),
        Route("epi", "inline.pipelines.epi:epi", "echo-planar imaging with ghost correction"),
        Route(
            "dti", "inline.pipelines.dti:dti", "diffusion tensors: MD, FA, helix angle and E2A while repetitions come"
        ),
        Route("live", "inline.pipelines.live:live", "images of spokes or spirals while the scan runs"),
        Route("ct", "inline.pipelines.ct:ct", "CT views, fan beam, cone beam and helix, classical and deep"),
        Route("t1map", "inline.pipelines.t1map:t1map", "T1 maps with their uncertainty, from k-space or images"),
        Route("t2map", "inline.pipelines.t2map:t2map", "T2 maps with their uncertainty, from k-space or images"),
        Route("t2starmap", "inline.pipelines.t2starmap:t2starmap", "T2* maps with their uncertainty, from either"),
        Route("ecv", "inline.pipelines.ecv:ecv", "T1 before and after contrast medium, and from both the ECV"),
        Route("images", "inline.pipelines.images:images", "T1, T2 or T2* maps of images, by the times they state"),
        Route("mrf", "inline.pipelines.mrf:mrf", "MR fingerprinting: T1, T2 and proton density of spiral arms"),
        Route("invert", "inline.pipelines.invert:invert", "images with their contrast inverted, to test a connection"),
        Route(RECORD, "inline.pipelines.record:record", "keep the raw data, send nothing back"),
        Route(DEPENDENCIES, "inline.pipelines.record:record", "tell which noise measurements are known"),
    )
}

ALIASES: Final = {
    "default": "cartesian",
    "default_optimized": "cartesian",
    "default_short": "cartesian",
    "generic_cartesian_fft": "cartesian",
    "generic_cartesian_grappa": "cartesian",
    "generic_cartesian_grappa_snr": "cartesian",
    "generic_cartesian_grappa_complex": "cartesian",
    "generic_cartesian_grappa_float": "cartesian",
    "generic_cartesian_grappa_t2w": "cartesian",
    "generic_cartesian_nonlinear_spirit": "cartesian",
    "generic_cartesian_randomsampling_nonlinear_spirit": "cartesian",
    "generic_cartesian_image": "cartesian",
    "grappa": "cartesian",
    "grappa_cpu": "cartesian",
    "grappa_float": "cartesian",
    "grappa_float_cpu": "cartesian",
    "simple_gre": "cartesian",
    "simple_gre_3d": "cartesian",
    "simplefft": "cartesian",
    "epi_gtplus_grappa": "epi",
    "generic_cartesian_grappa_epi": "epi",
    "generic_cartesian_grappa_epi_ave": "epi",
    "gtquery": DEPENDENCIES,
    "invertcontrast": "invert",
    "null": "record",
    "savedataonly": "record",
    "isalive": "record",
    "default_measurement_dependencies": DEPENDENCIES,
    "default_measurement_dependencies_ismrmrd_storage": DEPENDENCIES,
    "default_measurement_dependencies_noise_coilsen_scc": "record",
}
"""Names of other servers' configurations, in lower case and without ``.xml``."""

CLASSES: Final = (
    ("DependencyQuery", DEPENDENCIES),
    ("EPIRecon", "epi"),
    ("GenericReconEPI", "epi"),
    ("EPICorr", "epi"),
    ("Grappa", "cartesian"),
    ("CartesianFFT", "cartesian"),
    ("AccumulatorGadget", "cartesian"),
    ("BucketToBuffer", "cartesian"),
    ("SimpleRecon", "cartesian"),
)
"""Parts of class names in a configuration that is written out, most telling first, and what they amount to."""


def all_routes() -> Iterator[Route]:
    """Yield every route of the table."""
    yield from ROUTES.values()


def resolve(config: str, parameters: Mapping[str, str] | None = None, own: Mapping[str, str] | None = None) -> Route:
    """Find the route a client asks for.

    Parameters
    ----------
    config
        A name, the name of another server's configuration, such a configuration written out as XML, or JSON that names
        one as ``{"config": name}``.
    parameters
        What the client set. A ``customconfig`` or ``config`` among them takes precedence where it names a route; that
        they are null or unknown, as in adjustment scans, is no error.
    own
        The site's own routes from its settings: name to ``module:function``.

    Raises
    ------
    ConfigurationError
        If nothing of that name is known, with the names that are.
    """
    parameters = parameters or {}
    if own and config in own:
        return Route(config, own[config], "a route of this site", parameters)
    for choice in (parameters.get("customconfig", ""), parameters.get("config", "")):
        route = _named(choice)
        if route is not None:
            return replace(route, parameters=parameters)
    route = _named(config) or _written_out(config)
    if route is None:
        raise ConfigurationError(
            f"the configuration {config.strip()[:80]!r} is not known here; choose one of {', '.join(ROUTES)}"
        )
    return replace(route, parameters=parameters)


def _named(name: str) -> Route | None:
    key = name.strip().lower().removesuffix(".xml")
    return ROUTES.get(ALIASES.get(key, key))


def _written_out(text: str) -> Route | None:
    """Recognise a configuration by the classes it is made of, or by the name JSON gives it."""
    if text.lstrip().startswith("{"):
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if isinstance(content.get("parameters"), dict):
            content = content["parameters"]
        return _named(str(content.get("config") or ""))
    names = re.findall(r"<(?:classname|dll)>\s*([^<]*)<|class(?:name)?=\"([^\"]*)\"", text)
    used = " ".join(first or second for first, second in names)
    return next((ROUTES[route] for part, route in CLASSES if part in used), None)
