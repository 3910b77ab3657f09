"""Quality control on the stream: every item passes at once, and what the monitors find goes to the console.

The stage stands before everything that changes a readout, since some faults show only in the data as measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from inline.header import Encoding, Scan
from inline.mrd.messages import Flag, Waveform
from inline.scan import Context, Item, Readout
from inline.scanner.recording import TICK_S
from qc.finding import Finding, Severity
from qc.heartbeat import Source, Trace
from qc.limits import SHIPPED, Limits
from qc.monitor import Factory
from qc.reading import Kind, Plan, Reading
from qc.watch import MONITORS, Watch

_NAVIGATORS = Flag.NAVIGATION | Flag.PHASE_CORRECTION
_APART = "separate", "external"  # how headers call calibration lines that are no lines of the image
_OTHERS = (
    Flag.HPFEEDBACK
    | Flag.RTFEEDBACK
    | Flag.DUMMYSCAN
    | Flag.SURFACE_COIL_CORRECTION
    | Flag.PHASE_STABILIZATION
    | Flag.PHASE_STABILIZATION_REFERENCE
    | Flag.USER7  # lines that come again, see `inline.stages.repeating`
)

_SOURCES: Final = {0: Source.ECG, 3: Source.TRIGGER}
"""Waveform ids of the standard (ismrmrd/ismrmrd, waveform.h)."""


def watched(
    items: Iterator[Item],
    scan: Scan,
    context: Context,
    limits: Limits = SHIPPED,
    monitors: Mapping[str, Factory] = MONITORS,
) -> Iterator[Item]:
    """Pass on every item, then look at it; findings are reported as they arise and when the stream ends.

    Whatever goes wrong here is reported grey and ends the watch, never the scan.
    """
    watch = Watch(tuple(plan(encoding, scan) for encoding in scan.encodings), limits, monitors)
    for item in items:
        yield item
        if isinstance(item, Readout):
            for finding in _seen(watch, item, scan):
                context.report(finding)
        elif isinstance(item, Waveform):
            for finding in _heard(watch, item):
                context.report(finding)
    for finding in watch.end():
        context.report(finding)


def plan(encoding: Encoding, scan: Scan) -> Plan:
    """Return what monitors need to know of an encoding."""
    encoded, recon = encoding.encoded, encoding.recon
    lines, partitions = encoded.matrix[1:]
    first = [
        encoding.limits[name].center - size // 2 if name in encoding.limits else 0
        for name, size in (("kspace_encoding_step_1", lines), ("kspace_encoding_step_2", partitions))
    ]
    covered = encoded.field_of_view_m[0]
    return Plan(
        lines=lines,
        partitions=partitions,
        first_line=first[0],
        first_partition=first[1],
        view=min(recon.field_of_view_m[0] / covered, 1.0) if covered > 0 else 1.0,
        pixel_m=encoded.field_of_view_m[1] / lines,
        cartesian=encoding.trajectory == "cartesian",
        noise_bandwidth=scan.relative_noise_bandwidth,
        protocol=scan.protocol,
        acceleration=encoding.acceleration[0] * encoding.acceleration[1],
        averages=encoding.limit("average").count,
        prescan=encoding.calibration_mode in _APART,
    )


def reading(readout: Readout, scan: Scan, plans: tuple[Plan, ...]) -> Reading:
    """Return a readout as monitors see it."""
    counters, header, own = readout.counters, readout.header, plans[readout.encoding]
    stamps = header["physiology_time_stamp"]
    return Reading(
        samples=readout.samples,
        centre=readout.center_sample,
        kind=_kind(readout, scan),
        line=counters.line - own.first_line,
        partition=counters.partition - own.first_partition,
        counters=(counters.slice, counters.contrast, counters.phase, counters.repetition, counters.set),
        number=int(header["scan_counter"]),
        time_s=int(header["acquisition_time_stamp"]) * TICK_S,
        since_trigger_s=int(stamps[0]) * TICK_S,
        dwell_s=readout.dwell_s,
        reverse=readout.has(Flag.REVERSE),
        encoding=readout.encoding,
    )


def _kind(readout: Readout, scan: Scan) -> Kind:
    if readout.has(Flag.NOISE):
        return Kind.NOISE
    if readout.has(_NAVIGATORS):
        return Kind.NAVIGATOR
    if readout.has(_OTHERS):
        return Kind.OTHER
    separate = scan.encodings[readout.encoding].calibration_mode in _APART
    return Kind.REFERENCE if separate and readout.has(Flag.PARALLEL_CALIBRATION) else Kind.IMAGING


def _seen(watch: Watch, readout: Readout, scan: Scan) -> list[Finding]:
    """Show a readout to the watch; one that cannot even be read is said, grey, and passes."""
    if readout.encoding >= len(watch.plans) or not readout.samples.size:
        return []
    try:
        return watch.see(reading(readout, scan, watch.plans))
    except Exception as error:
        number = int(readout.header["scan_counter"])
        return watch.new(
            [
                Finding(
                    Severity.GREY,
                    "readout not assessed",
                    f"Readout {number} could not be assessed ({type(error).__name__}: {error})",
                )
            ]
        )


def _heard(watch: Watch, waveform: Waveform) -> list[Finding]:
    """Let the watch hear a waveform; one that cannot be read is said, grey, and passes."""
    header = waveform.header
    source = _SOURCES.get(int(header["waveform_id"]), Source.OTHER)
    try:
        if waveform.data.size and float(header["sample_time_us"]) > 0:
            start, step = int(header["time_stamp"]) * TICK_S, float(header["sample_time_us"]) * 1e-6
            watch.hear(Trace(source, start, step, waveform.data))
    except Exception as error:
        message = f"A waveform could not be read ({type(error).__name__}: {error})"
        return watch.new([Finding(Severity.GREY, "waveform not assessed", message)])
    return []
