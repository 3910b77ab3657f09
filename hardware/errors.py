"""What can go wrong below the physics, as one small tree.

    HardwareError
    ├── ModelError         a model file or its manifest that cannot be trusted or read
    ├── ArrayError         arrays that a model does not take: names, shapes, types, values
    ├── ResultError        a result that is no result: not finite, or of the wrong shape
    ├── DeadlineError      no result in time
    ├── MemoryBudgetError  more memory wanted than was granted
    └── DeviceError        a driver or a GPU library that is missing, fails or lies

A pipeline that catches `HardwareError` and sends its classical result has caught everything an engine can raise.
"""

from __future__ import annotations


class HardwareError(Exception):
    """Anything that devices and engines report."""


class ModelError(HardwareError):
    """A model that is refused: its bytes, its manifest, or both."""


class ArrayError(HardwareError):
    """Arrays that do not fit the inputs of a model."""


class ResultError(HardwareError):
    """A model computed something that must not be shown."""


class DeadlineError(HardwareError):
    """The result would come, or came, too late."""


class MemoryBudgetError(HardwareError):
    """The memory granted to networks is not enough."""


class DeviceError(HardwareError):
    """A device cannot be used."""
