from __future__ import annotations

import inspect

import pytest

from inline import routes
from inline.errors import ConfigurationError

LEGACY = """<?xml version="1.0"?><gadgetronStreamConfiguration>
<gadget><name>Acc</name><dll>gadgetron_mricore</dll><classname>AcquisitionAccumulateTriggerGadget</classname></gadget>
<gadget><name>G</name><dll>gadgetron_mricore</dll><classname>GenericReconCartesianGrappaGadget</classname></gadget>
</gadgetronStreamConfiguration>"""
NEWER = """<configuration><version>2</version><stream>
<gadget><dll>gadgetron_epi</dll><classname>EPIReconXGadget</classname></gadget></stream></configuration>"""


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ("cartesian", "cartesian"),
        ("default.xml", "cartesian"),
        ("Generic_Cartesian_Grappa.xml", "cartesian"),
        ("Generic_Cartesian_FFT.xml", "cartesian"),
        ("simplefft", "cartesian"),
        ("invertcontrast", "invert"),
        ("null", "record"),
        ("savedataonly", "record"),
        ("Generic_Cartesian_Grappa_EPI.xml", "epi"),
        ("default_measurement_dependencies.xml", "dependencies"),
        (LEGACY, "cartesian"),
        (NEWER, "epi"),
        ('{"config": "epi"}', "epi"),
        ('{"parameters": {"config": "null"}}', "record"),
    ],
)
def test_what_clients_send_finds_its_route(config, name):
    assert routes.resolve(config).name == name


@pytest.mark.parametrize("config", ["nonsense.xml", "", "inline.pipelines.cartesian:cartesian", "{", "<xml/>", "{}"])
def test_anything_else_is_refused_with_the_names_that_are_known(config):
    with pytest.raises(ConfigurationError, match="choose one of cartesian"):
        routes.resolve(config)


def test_parameters_choose_and_are_handed_on():
    assert routes.resolve("cartesian", {"customconfig": "null", "config": "epi"}).name == "record"
    assert routes.resolve("cartesian", {"config": "unheard of", "snr": "true"}).parameters["snr"] == "true"


def test_a_site_adds_its_own_routes_in_its_settings():
    own = {"mine": "inline.pipelines.record:record"}
    assert routes.resolve("mine", {"gain": "2"}, own).parameters == {"gain": "2"}
    with pytest.raises(ConfigurationError):
        routes.resolve("mine")


def test_every_alias_leads_somewhere_and_every_route_loads():
    assert set(routes.ALIASES.values()) <= set(routes.ROUTES)
    for route in routes.all_routes():
        assert inspect.isgeneratorfunction(route.load())
