"""A pulse sequence as a small JSON file, in the header of a scan or beside it.

    {"format": "boreside sequence 1",
     "name": "one inversion, one beat",
     "slice": {"flip_deg": 15, "duration_s": 0.0008, "time_bandwidth": 2},
     "events": [{"event": "trigger", "delay_s": 0.08},
                {"event": "inversion"},
                {"event": "wait", "duration_s": 0.021},
                {"event": "train", "flips_deg": [{"from": 4, "to": 12.5, "pulses": 16}, 12.5, 12.5], "phases_deg": 0,
                 "tr_s": 0.0051, "te_s": 0.0014, "spoiling": "gradient"}]}

Events are played in order. ``trigger`` waits until so long after the next R wave; every other event is one of
`recon_models.physics.sequence` with the fields it has there. ``flips_deg`` lists pulses, or evenly rising groups of
them (both ends included); ``phases_deg`` is one number for all or a list. ``spoiling`` is ``gradient`` (FISP),
``balanced`` (bSSFP) or ``ideal`` (the simplest FLASH). ``slice`` may be left out: then all spins see the nominal angle.

Files shipped: see `shipped`.
"""

from __future__ import annotations

from importlib import resources
from typing import Annotated, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recon_models.physics.profile import FLAT, Profile, of_pulse
from recon_models.physics.schedules.timeline import Timeline, r_waves
from recon_models.physics.sequence import Inversion, Saturation, Sequence, T2Preparation, Train, Wait

_MOST_PULSES: Final = 20_000

Seconds = Annotated[float, Field(ge=0, le=60)]
Degrees = Annotated[float, Field(ge=-360, le=360)]
Flip = Annotated[float, Field(ge=-180, le=180)]


class SequenceError(ValueError):
    """A description that cannot be read or played; the message says where it is wrong."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Rise(_Strict):
    """Pulses whose angles rise or fall evenly."""

    from_: Flip = Field(alias="from")
    to: Flip
    pulses: Annotated[int, Field(ge=2, le=_MOST_PULSES)]


class Slice(_Strict):
    """The excitation pulse, a sinc with a Hann window: see `recon_models.physics.profile.of_pulse`."""

    flip_deg: Annotated[float, Field(gt=0, le=90)]
    duration_s: Annotated[float, Field(gt=0, le=0.1)]
    time_bandwidth: Annotated[float, Field(ge=1, le=20)]


class TriggerEvent(_Strict):
    """Waits until some time after the next R wave."""

    event: Literal["trigger"]
    delay_s: Seconds


class WaitEvent(_Strict):
    """Waits."""

    event: Literal["wait"]
    duration_s: Seconds


class InversionEvent(_Strict):
    """Inverts."""

    event: Literal["inversion"]


class SaturationEvent(_Strict):
    """Saturates."""

    event: Literal["saturation"]


class T2PreparationEvent(_Strict):
    """Prepares T2."""

    event: Literal["t2_preparation"]
    echo_time_s: Seconds


class TrainEvent(_Strict):
    """Pulses."""

    event: Literal["train"]
    flips_deg: Annotated[tuple[Flip | Rise, ...], Field(min_length=1, max_length=_MOST_PULSES)]
    phases_deg: Degrees | Annotated[tuple[Degrees, ...], Field(max_length=_MOST_PULSES)] = 0.0
    tr_s: Annotated[float, Field(gt=0, le=10)]
    te_s: Seconds
    spoiling: Literal["gradient", "balanced", "ideal"]

    def train(self) -> Train:
        """Return it as the spins see it."""
        parts = [_angles(part) for part in self.flips_deg]
        flips = np.deg2rad(np.concatenate(parts))
        phases = np.deg2rad(np.asarray(self.phases_deg, np.float64))
        if phases.ndim and phases.size != flips.size:
            raise SequenceError(f"a train has {flips.size} flip angles but {phases.size} phases")
        if self.te_s > self.tr_s:
            raise SequenceError(f"a train has TE {self.te_s} s, longer than its TR {self.tr_s} s")
        spread = np.asarray(np.broadcast_to(phases, flips.shape))
        balanced, ideal = self.spoiling == "balanced", self.spoiling == "ideal"
        return Train(flips, spread, self.tr_s, self.te_s, balanced, ideally_spoilt=ideal)


AnyEvent = Annotated[
    TriggerEvent | WaitEvent | InversionEvent | SaturationEvent | T2PreparationEvent | TrainEvent,
    Field(discriminator="event"),
]


class Description(_Strict):
    """What a file says.

    Attributes
    ----------
    name
        Short; images carry it.
    description
        For people.
    slice
        The excitation pulse; None if all spins see the nominal angle.
    events
        In the order they are played.
    """

    format: Literal["boreside sequence 1"]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    description: str = ""
    slice: Slice | None = None
    events: Annotated[tuple[AnyEvent, ...], Field(min_length=1, max_length=10_000)]

    @classmethod
    def read(cls, text: str | bytes) -> Description:
        """Read a description and see whether it can be played.

        Raises
        ------
        SequenceError
            If it cannot.
        """
        try:
            found = cls.model_validate_json(text)
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, f['loc'])) or 'file'}: {f['msg']}" for f in error.errors()[:5])
            raise SequenceError(f"this is no description of a sequence: {faults}") from error
        if not 0 < found.readouts <= _MOST_PULSES:
            raise SequenceError(f"{found.name!r} has {found.readouts} pulses; 1 to {_MOST_PULSES} can be played")
        return found

    def write(self) -> str:
        """Return it as JSON."""
        return self.model_dump_json(indent=1, by_alias=True, exclude_none=True) + "\n"

    @property
    def beats(self) -> int:
        """R waves it waits for."""
        return sum(isinstance(event, TriggerEvent) for event in self.events)

    @property
    def readouts(self) -> int:
        """Pulses, each of which is read out."""
        return sum(len(event.train().flips_rad) for event in self.events if isinstance(event, TrainEvent))

    def profile(self) -> Profile:
        """Return the flip angles across the slice."""
        if self.slice is None:
            return FLAT
        pulse = self.slice
        return of_pulse(
            float(np.deg2rad(pulse.flip_deg)), duration_s=pulse.duration_s, time_bandwidth=pulse.time_bandwidth
        )

    def sequence(self, rr_s: npt.ArrayLike = ()) -> Sequence:
        """Return the events for the RR intervals that came.

        Parameters
        ----------
        rr_s
            (beats,) seconds, the interval that begins with each R wave waited for; the last plays no part.

        Raises
        ------
        SequenceError
            If their number is not that of the triggers, or a beat is too short.
        """
        given = np.size(rr_s)
        if given != self.beats:
            raise SequenceError(
                f"{self.name!r} waits for {self.beats} heart beats, but {given} RR intervals were given"
            )
        try:
            return self._play(r_waves(rr_s) if given else np.zeros(1))
        except SequenceError:
            raise
        except ValueError as error:
            raise SequenceError(f"{self.name!r}: {error}") from error

    def _play(self, waves: npt.NDArray[np.float64]) -> Sequence:
        timeline, beat = Timeline(), 0
        for event in self.events:
            match event:
                case TriggerEvent():
                    timeline.wait_until(float(waves[beat]) + event.delay_s, f"what waits for R wave {beat + 1}")
                    beat += 1
                case WaitEvent():
                    timeline.play(Wait(event.duration_s))
                case InversionEvent():
                    timeline.play(Inversion())
                case SaturationEvent():
                    timeline.play(Saturation())
                case T2PreparationEvent():
                    timeline.play(T2Preparation(event.echo_time_s))
                case TrainEvent():
                    timeline.play(event.train())
        return timeline.sequence


def shipped(name: str) -> Description:
    """Return a description that is part of the package: ``cardiac`` or ``inversion_train``.

    Raises
    ------
    SequenceError
        If there is none of that name.
    """
    folder = resources.files("recon_models.fingerprint") / "sequences"
    names = sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json"))
    if name not in names:
        raise SequenceError(f"there is no sequence {name!r} here, only {', '.join(names)}; send its description along")
    return Description.read((folder / f"{name}.json").read_bytes())


def _angles(part: float | Rise) -> npt.NDArray[np.float64]:
    return np.linspace(part.from_, part.to, part.pulses) if isinstance(part, Rise) else np.array([part], np.float64)
