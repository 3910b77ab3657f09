"""The page: how long images take, at one glance, and where the time goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files
from string import Template
from typing import Final

import numpy as np

from hardware.latency import Latency, fewest
from inline.bench import plots, scenarios
from inline.bench.machine import Memory
from inline.bench.plots import LogAxis, duration
from inline.bench.result import Measured, Result
from inline.bench.series import Series
from inline.report import style_sheet

_CLASS: Final = {
    scenarios.COLD: "cold",
    scenarios.FIRST: "shape",
    scenarios.AGAIN: "shape",
    scenarios.WARM: "warm",
}
_MEGABYTE: Final = 1e6
_MOST_DOTS: Final = 2000
_FEWEST_FOR_A_TREND: Final = 11
"""So many images in each half: with a confidence of 99 % their longest two lie beyond the true median."""


def render(result: Result) -> str:
    """Return the page as HTML that needs nothing beside itself."""
    page = Template(files("inline.bench").joinpath("page.html").read_text(encoding="utf-8"))
    axis = LogAxis.around([way.latency_s for one in result.measured for series in one.series for way in series.ways])
    return page.substitute(
        style=style_sheet(),
        title=_title(result),
        lead=_lead(result),
        gpu=f"GPU: {escape(result.gpu)}.",
        troubles="".join(f"<br>Not counted: {escape(text)}." for text in result.troubles[:5]),
        scale=plots.scale(axis),
        groups="".join(_group(one, axis) for one in result.measured),
        floors=f"{fewest(0.9)} and {fewest(0.99)}",
        articles="".join(_article(one) for one in result.measured),
        sustained=_sustained(result),
        provenance="".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in _provenance(result)),
        where=_where(result),
        origin=escape(f"boreside {result.provenance.version}, {result.provenance.date}"),
    )


def _title(result: Result) -> str:
    medians = [one.named(scenarios.WARM).latency.quantile_s(0.5) for one in result.measured]
    known = sorted(f"{1e3 * value:.0f}" for value in medians if np.isfinite(value))
    known.sort(key=int)
    if not known:
        return "No image came back"
    shortest, longest = known[0], known[-1]
    figures = shortest if shortest == longest else f"{shortest} to {longest}"
    return f"Images {figures}\u202fms after the last readout"


def _lead(result: Result) -> str:
    made = result.provenance
    return (
        f"Medians of a warm node on {made.cores} cores of {escape(made.processor)}, one scan at a time, "
        f"{len(result.measured)} kinds of scan at the pace of a scanner."
    )


def _group(one: Measured, axis: LogAxis) -> str:
    rows = "".join(_row(series, axis) for series in one.series)
    return f'<tbody><tr><th colspan="7" scope="rowgroup">{escape(one.workload.name)}</th></tr>{rows}</tbody>'


def _row(series: Series, axis: LogAxis) -> str:
    latency = series.latency
    name = _CLASS.get(series.name, "crowd")
    drawn = plots.strip([way.latency_s for way in series.ways], latency.quantile_s(0.5), axis, name)
    return (
        f'<tr class="{"main" if name == "warm" else ""}"><td>{escape(series.name)}</td><td class="wide">{drawn}</td>'
        f'<td class="number">{duration(latency.quantile_s(0.5))}</td><td class="number">{_told(latency, 0.9)}</td>'
        f'<td class="number optional">{_told(latency, 0.99)}</td>'
        f'<td class="number">{duration(latency.quantile_s(1.0))}</td><td class="number">{latency.count}</td></tr>'
    )


def _told(latency: Latency, fraction: float) -> str:
    value = latency.supported_s(fraction)
    return duration(value) if np.isfinite(value) else '<span class="few">too few</span>'


def _article(one: Measured) -> str:
    warm = one.named(scenarios.WARM)
    figure, unit = duration(warm.latency.quantile_s(0.5)).partition("\u202f")[::2]
    stages = warm.stages
    return (
        f'<article><h2>{escape(one.workload.name)}</h2><p class="quiet">{escape(one.workload.description)}</p>'
        f'<div class="halves"><div><p class="big">{figure} <small>{unit}</small></p>'
        f'<p class="quiet">from the last readout due to the image<br>median of {warm.latency.count} images</p>'
        f"{plots.stack(stages)}{_legend(stages)}</div>"
        f"<div><h3>The node's work for each readout</h3>{_work(warm)}"
        f"<dl>{''.join(_facts(one, warm))}</dl></div></div></article>"
    )


def _legend(stages_s: dict[str, float]) -> str:
    lines = "".join(
        f'<li><i class="key-{number}"></i>{escape(name)} <b>{duration(seconds)}</b></li>'
        for number, (name, seconds) in enumerate(stages_s.items())
    )
    return (
        f'<ul class="legend">{lines}<li class="sum"><i></i>together <b>{duration(sum(stages_s.values()))}</b></li></ul>'
    )


def _work(series: Series) -> str:
    inside = series.inside
    if inside is None or not inside.readouts.count:
        return "<p>The node does not say.</p>"
    return plots.percentiles(inside.readouts, series.interval_s, f"a readout comes every {duration(series.interval_s)}")


def _facts(one: Measured, warm: Series) -> Iterator[str]:
    inside = warm.inside
    if inside is not None:
        share = warm.missed / max(1, inside.readouts.count)
        yield (
            f"<dt>Longer than that</dt><dd>{warm.missed} of {inside.readouts.count} readouts ({share:.2%}), at most "
            f"{duration(inside.readouts.longest_s)}</dd>"
        )
    late_s = max(series.late.longest_s for series in one.series)
    yield f"<dt>Readouts left late</dt><dd>by at most {duration(late_s)}, in any condition</dd>"
    if one.memory is not None:
        yield f"<dt>Memory, at most</dt><dd>{_memory(one.memory)}</dd>"
    energy = "not executed" if one.gpu_energy_J is None else f"{one.gpu_energy_J:.3g}\u202fJ per image"
    yield f"<dt>GPU energy</dt><dd>{energy}</dd>"


def _memory(memory: Memory) -> str:
    workers = ", ".join(f"{size / _MEGABYTE:.0f}" for size in sorted(memory.workers, reverse=True))
    return f"gateway {memory.gateway / _MEGABYTE:.0f}\u202fMB; workers {workers}\u202fMB"


def _sustained(result: Result) -> str:
    ways = [way for series in result.sustained for way in series.ways]
    if not ways:
        return "<p>Not measured. <code>boreside bench --sustained 1800</code> measures for half an hour.</p>"
    start_s = min(series.started_s for series in result.sustained)
    tracks = [_thinned([(way.at_s - start_s, way.latency_s) for way in series.ways]) for series in result.sustained]
    names = "".join(
        f'<li><i class="key-{key}"></i>{escape(one.workload.name)}: {_trend(series)}</li>'
        for key, one, series in zip((2, 1, 3, 4), result.measured, result.sustained, strict=False)
    )
    scans = sum(series.scans for series in result.sustained)
    memory = f" Memory, at most: {_memory(result.sustained_memory)}." if result.sustained_memory else ""
    return (
        f'<p class="quiet">{scans} scans of all kinds in turn, without a pause, for {result.plan.sustained_s:g}\u202fs.'
        f"{memory}</p>"
        f'{plots.course(tracks, max(way.at_s for way in ways) - start_s)}<ul class="legend dots">{names}</ul>'
    )


def _thinned(track: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Keep of neighbouring images the one that took longest, so that a page stays small and hides no stall."""
    group = len(track) // _MOST_DOTS + 1
    return [max(track[at : at + group], key=lambda dot: dot[1]) for at in range(0, len(track), group)]


def _trend(series: Series) -> str:
    """Compare the first half of a series with the second."""
    latencies = [way.latency_s for way in series.ways]
    half = len(latencies) // 2
    if half < _FEWEST_FOR_A_TREND:
        return f"{len(latencies)} images, too few to compare the first half with the second"
    first, second = float(np.median(latencies[:half])), float(np.median(latencies[half:]))
    return f"median {duration(first)} in the first half, {duration(second)} in the second"


def _provenance(result: Result) -> Iterable[tuple[str, str]]:
    made = result.provenance
    yield "Processor", f"{made.processor}, {made.cores} cores, {made.memory_bytes / 1e9:.0f} GB"
    yield "Load before", f"{made.load_average:.1f} processes on average over the minute before"
    yield "GPU", result.gpu
    yield "Software", f"boreside {made.version}{f' at {made.commit}' if made.commit else ''}"
    yield "Python", f"{made.python}, numpy {made.numpy}, {made.kernel}"
    yield "Threads", ", ".join(f"{name}={value}" for name, value in made.threads.items())
    yield "Node", ", ".join(sorted({version for version, _ in result.nodes})) or "none answered"
    digests = ", ".join(digest[:12] for _, digest in result.nodes)
    yield "Settings", digests + ("; folder and port of each node differ" if len(result.nodes) > 1 else "")
    yield "Date", made.date


def _where(result: Result) -> str:
    if result.plan.target is None:
        return "Client and node shared this machine; a node of its own ran for each kind of scan."
    host, port = result.plan.target
    return escape(
        f"The node was {host}:{port}: whether it was warm, which shapes it had met, and what it held in memory, "
        "is not known here."
    )
