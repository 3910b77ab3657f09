"""A sequence that measures lines again when it is asked to: a scan that moved, and the same one at rest."""

from __future__ import annotations

import json
from dataclasses import replace

from inline.mrd.messages import Flag
from inline.scan import Context

SCAN = {"matrix": 96, "coils": 8, "tr_s": 30e-3, "order": "interleaved", "prescan": 24, "seed": 3, "snr": 60.0}
STEP = "step:6@0.6"


def acquire(pipeline, scan, moved, still, **parameters):
    """Return the images, and the messages for the sequence, of a scan whose spoilt lines are measured again at rest."""
    asked = []
    context = Context(
        report=lambda _: None,
        parameters={"report": "false", **parameters},
        feedback=lambda name, content: asked.append((name, json.loads(content))),
    )

    def sequence():
        yield from moved
        yield from again(asked, moved, still)

    return list(pipeline(sequence(), scan, context)), asked


def again(asked, moved, still):
    """Yield the lines that the complete messages ask for, flagged and counted on."""
    number = int(moved[-1].header["scan_counter"])
    for _, request in asked:
        if not request["complete"]:
            continue
        wanted = {line for first, last in request["lines"] for line in range(first, last + 1)}
        for readout in still:
            if readout.counters.line in wanted and not readout.flags & (Flag.NOISE | Flag.PARALLEL_CALIBRATION):
                number += 1
                header = readout.header.copy()
                header["scan_counter"] = number
                flags = readout.flags & ~int(Flag.LAST_IN_SLICE | Flag.LAST_IN_REPETITION | Flag.LAST_IN_MEASUREMENT)
                yield replace(readout, header=header, flags=flags | Flag.USER7)
