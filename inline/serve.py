"""`boreside serve`: the node as a service."""

from __future__ import annotations

import logging
import resource
import signal

from inline.console import version
from inline.gateway import Gateway
from inline.settings import Settings

log = logging.getLogger("boreside")


def serve(settings: Settings) -> int:
    """Run a node until SIGTERM or SIGINT; running scans may finish within their grace.

    Returns
    -------
    int
        Exit status, 0.

    Raises
    ------
    ConfigurationError
        If the address cannot be listened on.
    """
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)-7s %(name)s %(message)s")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # two files a client; in a worker one for each open slice
    gateway = Gateway(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: gateway.stop())
    host, port = gateway.address
    log.info("boreside %s listens on %s:%d, state in %s", version(), host, port, settings.state.absolute())
    gateway.run()
    log.info("left")
    return 0
