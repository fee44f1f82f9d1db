"""The stage itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.arch import arch_named
from bpfprobe.model.noun import replace
from bpfprobe.model.object import COUNTERS, INFLIGHT_KEY_BYTES, MMAPABLE, MapDef, MapKind
from bpfprobe.model.options import OptionError
from bpfprobe.model.plan import (
    SCRATCH_SLOTS,
    STACK_TEXT_BYTES,
    UPROBE,
    UPROBE_MULTI,
    Choice,
    Memory,
    Pairing,
    Plan,
    ProbePlan,
)
from bpfprobe.model.value import GlobText, MaskedText, TextAt
from bpfprobe.model.walk import walk
from bpfprobe.plan.guards import check_globs, shared_text, split_filter, task_guards
from bpfprobe.plan.layouts import make_layout
from bpfprobe.plan.mechanism import choose_mechanism, more_places
from bpfprobe.plan.pairing import pair
from bpfprobe.plan.parameters import Parameters
from bpfprobe.plan.places import shared_programs
from bpfprobe.plan.ranges import ranges

if TYPE_CHECKING:
    from bpfprobe.model.bound import Bound, BoundCapture, BoundProbes
    from bpfprobe.model.layout import Layout
    from bpfprobe.model.machine import MachineFacts
    from bpfprobe.model.options import Options
    from bpfprobe.model.parameters import ParameterBlock
    from bpfprobe.model.value import Condition

DEFAULT_RING_BYTES = 2 << 20  # a process that reads it maps it twice, so it counts twice
DEFAULT_PERF_BYTES = 256 << 10  # a CPU
STACK_EVENT_BYTES = 256
LEAST_WAKE_BYTES = 1024
MAX_PERCPU_BYTES = 32768
"""The largest value of a per-CPU map (PCPU_MIN_UNIT_SIZE)."""


def plan(bound: BoundProbes, options: Options) -> Plan:
    """Choose how each probe is done. Raises `SpecError`, `OptionError`."""
    facts = bound.facts
    parameters = Parameters()
    namespace = facts.pid_namespace
    slots = None
    if namespace is not None:
        slots = (parameters.number(namespace.device), parameters.number(namespace.inode))
    of_session = task_guards(options, parameters)
    handed = [_with_parameters(probe, parameters) for probe in bound.probes]
    transport, uses_ring = _transport(options, facts)
    buffer_bytes = _buffer_bytes(options, facts, uses_ring=uses_ring)
    wake_bytes = buffer_bytes // 4
    own_wake_bytes = _own_wake_bytes(bound, wake_bytes) if uses_ring else 0
    block = parameters.block(own_wake_bytes, len(bound.probes))
    maps = [
        MapDef("events", MapKind.RINGBUF, 0, 0, buffer_bytes)
        if uses_ring
        else MapDef("events", MapKind.PERF_EVENT_ARRAY, 4, 4, facts.cpus),
        MapDef("counters", MapKind.PERCPU_ARRAY, 4, 8 * len(COUNTERS), len(bound.probes)),
    ]
    parameter_map = len(maps)
    maps.append(_parameter_map(block))
    probes = []
    for index, probe in enumerate(handed):
        planned = _plan_probe(probe, index, of_session, options, maps, facts, uses_ring=uses_ring)
        _check_fits(planned, buffer_bytes)
        probes.append(planned)
    return Plan(
        facts=facts,
        arch=arch_named(facts.arch),
        probes=tuple(probes),
        maps=tuple(maps),
        transport=transport,
        uses_ring=uses_ring,
        buffer_bytes=buffer_bytes,
        wake_bytes=wake_bytes,
        latency_s=options.latency_s,
        parameters=block,
        parameter_map=parameter_map,
        namespace=slots,
    )


def _with_parameters(bound: Bound, parameters: Parameters) -> Bound:
    """The probe with all that may change between runs taken out of its conditions."""
    captures = tuple(
        replace(capture, value=parameters.in_capture(capture.value)) for capture in bound.captures
    )
    asked = None if bound.filter is None else parameters.in_filter(bound.filter)
    return replace(bound, captures=captures, filter=asked)


def _own_wake_bytes(bound: BoundProbes, wake_bytes: int) -> int:
    """What each program may send on a CPU before it wakes the reader.

    All together then have at most ``wake_bytes`` lying there, but where there are so many that
    nearly every event would wake it.
    """
    share = wake_bytes // (len(bound.probes) * bound.facts.cpus)
    return max(share, min(LEAST_WAKE_BYTES, wake_bytes // 4))


def _parameter_map(block: ParameterBlock) -> MapDef:
    size = block.value_bytes
    return MapDef("parameters", MapKind.ARRAY, 4, size, 1, MMAPABLE, block.image())


def _plan_probe(
    bound: Bound,
    index: int,
    of_session: tuple[Condition, ...],
    options: Options,
    maps: list[MapDef],
    facts: MachineFacts,
    *,
    uses_ring: bool,
) -> ProbePlan:
    mechanism, site, entry = choose_mechanism(bound, facts)
    more = more_places(bound, facts)
    of_task, guards = split_filter(bound.filter)
    values = tuple(capture.value for capture in bound.captures)
    where = bound.spec.point_span if bound.spec.filter is None else bound.spec.filter.span
    check_globs((tuple(guards), values), where)
    together = ranges(bound, (of_session, of_task, tuple(guards)))
    layout = make_layout(bound, together)
    pairing = None
    if entry is not None:
        kernel = mechanism.name == "kprobe"
        pairing = pair(bound, entry, guards, map_index=len(maps), kernel=kernel)
    if pairing is not None:
        entries = tuple(one for _, one in more if one is not None)
        pairing = replace(pairing, more_sites=entries)
        maps.append(_inflight_map(pairing, index, options))
    shared = shared_text(bound, guards, layout)
    text_bytes = _filter_text_bytes((tuple(guards), values), shared)
    placed, memory = _place(layout, text_bytes, mechanism, uses_ring=uses_ring)
    scratch = len(maps) if placed in (Memory.SCRATCH, Memory.SLOTS) else None
    planned = ProbePlan(
        bound=bound,
        index=index,
        mechanism=mechanism,
        site=site,
        pairing=pairing,
        task_guards=of_session + of_task,
        guards=tuple(guards),
        layout=layout,
        memory=memory,
        placed=placed,
        scratch_map=scratch,
        filter_text_bytes=text_bytes,
        shared_programs=shared_programs(bound),
        shared_text="" if shared is None else shared.capture.name,
        ranges=together,
        more_sites=tuple(one for one, _ in more),
    )
    if scratch is not None:
        maps.append(_scratch_map(planned))
    return planned


def _scratch_map(planned: ProbePlan) -> MapDef:
    size = planned.scratch_bytes
    if size > MAX_PERCPU_BYTES:
        spec = planned.bound.spec
        raise spec_error(
            "EVENT_TOO_BIG",
            f"putting the event together could take {size} bytes, and {MAX_PERCPU_BYTES} is the "
            "most that a CPU has for it",
            spec.point_span,
            f"string_bytes bounds each string: it is {spec.string_bytes} now",
        )
    slots = SCRATCH_SLOTS if planned.placed is Memory.SLOTS else 1
    return MapDef(f"scratch{planned.index}", MapKind.PERCPU_ARRAY, 4, size, slots)


def _place(
    layout: Layout, text_bytes: int, mechanism: Choice, *, uses_ring: bool
) -> tuple[Memory, Choice]:
    if not layout.is_variable and not text_bytes:
        if uses_ring:
            return Memory.RING, Choice(
                Memory.RING.value, "every event has the same size, so none is copied"
            )
        if layout.head_size <= STACK_EVENT_BYTES:
            return Memory.STACK, Choice(Memory.STACK.value, "the event is small")
    because = "events differ in size" if layout.is_variable else "the event or its filter is large"
    can_be_preempted = mechanism.name in (UPROBE, UPROBE_MULTI)
    placed = Memory.SLOTS if can_be_preempted else Memory.SCRATCH
    return placed, Choice(placed.value, because)


def _filter_text_bytes(conditions: object, shared: BoundCapture | None) -> int:
    """Scratch that is needed to hold a string while it is compared; short ones go on the stack."""
    elsewhere = None if shared is None else shared.value
    rooms = [
        node.room
        for node in walk(conditions)
        if isinstance(node, (MaskedText, GlobText))
        and isinstance(node.asked.text, TextAt)
        and node.asked.text != elsewhere
    ]
    return max((room for room in rooms if room > STACK_TEXT_BYTES), default=0)


def _inflight_map(pairing: Pairing, index: int, options: Options) -> MapDef:
    size = 8 * max(pairing.words, 1)
    return MapDef(f"inflight{index}", MapKind.LRU_HASH, INFLIGHT_KEY_BYTES, size, options.inflight)


def _transport(options: Options, facts: MachineFacts) -> tuple[Choice, bool]:
    if options.transport == "perf":
        return Choice("perf buffers", "transport='perf' was asked for"), False
    if facts.ring_buffer.present is False:
        obstacle = ""
        if options.transport == "ring":
            obstacle = f"this kernel has no BPF ring buffer ({facts.ring_buffer.evidence})"
        because = "this kernel has no BPF ring buffer"
        return Choice("perf buffers", because, obstacle=obstacle, way_out="transport='perf'"), False
    because = "one buffer for all CPUs keeps the order of events and wakes the reader rarely"
    return Choice("ring buffer", because, ("perf buffers: one a CPU, no order among them",)), True


def _buffer_bytes(options: Options, facts: MachineFacts, *, uses_ring: bool) -> int:
    wanted = options.buffer_bytes or (DEFAULT_RING_BYTES if uses_ring else DEFAULT_PERF_BYTES)
    size = facts.page_size
    while size < wanted:
        size *= 2
    return size


def _check_fits(planned: ProbePlan, buffer_bytes: int) -> None:
    """A record that can never fit would be lost every time."""
    fixed = planned.layout.head_size + 16
    if fixed > buffer_bytes // 2:
        raise OptionError(
            f"events of {planned.layout.name} take {fixed} bytes, too many for a buffer of "
            f"{buffer_bytes}",
            hint="raise buffer_bytes",
        )
