"""The whole measurement: every workload on a fresh node of its own, then all of them in turn for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from inline.bench import scenarios
from inline.bench.load import prepare
from inline.bench.machine import Memory, Provenance, gpu_energy, peak_memory
from inline.bench.result import Measured, Plan, Result
from inline.bench.series import Series
from inline.bench.workloads import WORKLOADS, Workload
from inline.own_node import own_node
from inline.scanner.client import Address, connect


def bench(plan: Plan, say: Callable[[str], None], workloads: Sequence[Workload] = WORKLOADS) -> Result:
    """Measure every workload.

    Parameters
    ----------
    plan
        How much.
    say
        Takes a line when something has been measured.
    workloads
        What to send.

    Raises
    ------
    BoresideError
        If a node of our own does not start, or none answers at the target.
    """
    provenance = Provenance.now()
    if plan.target is not None:
        connect(plan.target).close()  # whether anybody is there is settled before scans are simulated
    measured = [_measure(workload, plan, say) for workload in workloads]
    series, memory = _sustain(measured, plan, say)
    return Result(plan, provenance, measured, series, memory)


def _measure(workload: Workload, plan: Plan, say: Callable[[str], None]) -> Measured:
    load = prepare(workload.kind, workload.options, workload.parameters)
    shapes = [prepare(workload.kind, {**workload.options, **shape}, workload.parameters) for shape in workload.shapes]
    with _node(plan) as (address, gateway):
        cold = [scenarios.alone(scenarios.COLD, load, address, 1)] if gateway else []
        scenarios.alone("settling", load, address, 1)  # the reserve may have become ready first and be cold still
        changed = scenarios.new_shapes(shapes, address) if shapes else []
        before_J = gpu_energy() if gateway else None  # the GPU of another machine is not ours to ask
        warm = scenarios.alone(scenarios.WARM, load, address, plan.scans)
        after_J = gpu_energy() if gateway else None
        crowd = [scenarios.at_once(load, address, plan.concurrent, plan.rounds)] if plan.concurrent > 1 else []
        memory = peak_memory(gateway) if gateway else None
    each_J = None if before_J is None or after_J is None else (after_J - before_J) / max(1, len(warm.ways))
    say(f"{workload.name:<40} {warm.latency.quantile_s(0.5) * 1e3:6.1f} ms (median of {len(warm.ways)})")
    return Measured(workload, load, [*cold, *changed, warm, *crowd], memory, each_J)


def _sustain(
    measured: Sequence[Measured], plan: Plan, say: Callable[[str], None]
) -> tuple[list[Series], Memory | None]:
    if plan.sustained_s <= 0:
        return [], None
    with _node(plan) as (address, gateway):
        series = scenarios.sustained([one.load for one in measured], address, plan.sustained_s)
        memory = peak_memory(gateway) if gateway else None
    say(f"{'in turn, without a pause':<40} {sum(one.scans for one in series)} scans in {plan.sustained_s:.0f} s")
    return series, memory


@contextlib.contextmanager
def _node(plan: Plan) -> Iterator[tuple[Address, int]]:
    """Give the address of a node, and the process id of its gateway where it is our own, otherwise 0."""
    if plan.target is not None:
        yield plan.target, 0
        return
    with own_node() as own:
        yield own.address, own.process
