"""The stream: wire, journal, gateway, worker, pipelines, simulated scanner and command line."""

import hardware as _hardware  # noqa: F401  settles the thread policy before NumPy is loaded
