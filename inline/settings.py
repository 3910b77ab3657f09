"""What a site may set, and where it says so: a file, then the environment, then the command line; the last one wins."""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from inline.errors import ConfigurationError
from qc.limits import Site
from qc.limits import load as read_limits

ENVIRONMENT: Final = "BORESIDE_"

Target = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
"""``module:function``."""


def _read_limits(given: Any) -> Any:
    """Read the file that a setting names. Workers are sent what stood in it, so that all work with the same limits."""
    if not isinstance(given, str | Path):
        return given
    if given == "":
        return Site()
    try:
        return read_limits(Path(given))
    except OSError as error:
        raise ValueError(f"the limits {given} cannot be read: {error.strerror}") from error


class TextPrefixes(BaseModel):
    """What stands before a line for the console, so that its log viewer colours it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    info: str = "INFO    "
    warning: str = "WARNING "
    error: str = "ERROR   "


class Settings(BaseModel):
    """Everything a site may set; names and meanings are those of the settings file in the operating document."""

    # numbers that are infinite must survive the way to the workers, which JSON as such does not know
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")

    host: str = Field("127.0.0.1", min_length=1)  # an empty one would stand for every network the machine is in
    port: int = Field(9002, ge=0, lt=1 << 16)
    state: Path = Path("state")
    workers: int = Field(2, ge=1)
    max_workers: int = Field(8, ge=1)
    stall_s: float = Field(60.0, ge=2.0)  # a worker that waits for its scanner shows once a second that it lives
    linger_s: float = Field(5.0, ge=0)
    grace_s: float = Field(30.0, ge=0)
    keep_journals: int = Field(100, ge=0)
    memory_limit_bytes: int = Field(4 << 30, gt=0)
    message_limit_bytes: int = Field(1 << 30, gt=0)
    unsent_limit_bytes: int = Field(2 << 30, gt=0)
    limits: Annotated[Site, BeforeValidator(_read_limits)] = Site()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    text_prefixes: TextPrefixes = TextPrefixes()
    pipelines: dict[str, Target] = Field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """Digest of all settings, for the images made with them."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def journals(self) -> Path:
        """Where the bytes of every connection are kept."""
        return self.state / "journals"

    @property
    def noise(self) -> Path:
        """Where noise measurements are kept."""
        return self.state / "noise"

    @property
    def maps(self) -> Path:
        """Where maps wait for the second scan they are needed for."""
        return self.state / "maps"


def load(
    path: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """Gather the settings from all places.

    Parameters
    ----------
    path
        A TOML file, None for none.
    overrides
        From the command line; None stands for what was not given there.
    environment
        ``BORESIDE_PORT=9003`` and the like; tables cannot be set this way.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, or a name or value is wrong: with the place it came from and what is allowed.
    """
    given: dict[str, Any] = {} if path is None else _read(path)
    _validated(given, str(path))
    said = {
        name: environment[ENVIRONMENT + name.upper()] for name in _plain() if ENVIRONMENT + name.upper() in environment
    }
    given |= said
    _validated(given, f"the environment ({ENVIRONMENT}...)")
    given |= {name: value for name, value in (overrides or {}).items() if value is not None}
    return _validated(given, "the command line")


def _plain() -> list[str]:
    return [name for name in Settings.model_fields if name not in ("text_prefixes", "pipelines")]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"the settings {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the settings {path} are not TOML: {error}") from error


def _validated(given: Mapping[str, Any], place: str) -> Settings:
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        faults = "; ".join(_fault(fault) for fault in error.errors())
        raise ConfigurationError(f"{place}: {faults}") from error


def _fault(fault: Any) -> str:
    name = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "value_error":
        return f"{name}: {fault['ctx']['error']}"
    if fault["type"] == "extra_forbidden":
        return f"there is no setting {name!r}; there are {', '.join(Settings.model_fields)}"
    return f"{name} = {fault['input']!r}: {fault['msg'].lower()}"
