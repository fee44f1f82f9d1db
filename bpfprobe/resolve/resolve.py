"""The stage itself: specs and a target give bound probes, or every mistake at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bpfprobe.errors import Diagnostic, SpecError, TargetError, spec_error
from bpfprobe.model import expression as ast
from bpfprobe.model.arch import Arch, arch_named
from bpfprobe.model.bound import Bound, BoundCapture, BoundProbes, SyscallSites
from bpfprobe.model.noun import replace
from bpfprobe.model.options import MAX_PLACES
from bpfprobe.model.site import KernelSite, UserSite, UserSites
from bpfprobe.model.spec import KernelPoint, ProbeSpec, TracepointPoint, UsdtPoint, UserPoint
from bpfprobe.model.stack import Caller
from bpfprobe.model.value import AllOf
from bpfprobe.model.walk import walk
from bpfprobe.resolve.all_arguments import all_captures
from bpfprobe.resolve.callers import caller_at, split_by_caller
from bpfprobe.resolve.captures import resolve_capture
from bpfprobe.resolve.conditions import resolve_condition
from bpfprobe.resolve.debug_arguments import DebugArguments
from bpfprobe.resolve.field_names import named_for_fields
from bpfprobe.resolve.scopes import (
    function_scope,
    tracepoint_scope,
    user_scope,
)
from bpfprobe.resolve.sites import (
    kernel_site,
    line_sites,
    matching_sites,
    tracepoint_site,
    user_site,
    virtual_address,
)
from bpfprobe.resolve.syscalls import syscall_place
from bpfprobe.resolve.usdt import usdt_place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.model.machine import Binary
    from bpfprobe.model.site import Site
    from bpfprobe.model.span import Span
    from bpfprobe.model.value import Condition
    from bpfprobe.resolve.operand import Operand
    from bpfprobe.resolve.scope import Scope
    from bpfprobe.target import Target


def resolve(
    specs: Sequence[ProbeSpec], target: Target, max_places: int = MAX_PLACES
) -> BoundProbes:
    """Find what every name of every probe means on this target.

    A probe may go to ``max_places`` places. Raises `SpecError` with all that is wrong, not only the
    first.
    """
    facts = target.facts()
    arch = arch_named(facts.arch)
    wrong: list[Diagnostic] = []
    probes: list[Bound] = []
    for spec in specs:
        try:
            probes.append(_resolve_one(spec, target, arch, max_places))
        except SpecError as error:
            wrong.extend(error.diagnostics)
    if wrong:
        raise SpecError(wrong)
    return BoundProbes(facts, tuple(probes))


def _resolve_one(spec: ProbeSpec, target: Target, arch: Arch, max_places: int) -> Bound:
    try:
        place = _place(spec, target, arch, max_places)
    except SpecError as error:
        _refuse_values_first(spec, error, target, arch)
        raise
    if _names(spec, "ustack", "kstack") and not place.scope.returns:
        place = _with_callers(place, spec, target, arch)
    sites, scope = place.sites, place.scope
    wrong: list[Diagnostic] = []
    captures: list[BoundCapture] = []
    known: dict[str, Operand] = {}
    for capture in named_for_fields(all_captures(spec.captures, scope, wrong), scope):
        try:
            value, operand = resolve_capture(capture, scope)
        except SpecError as error:
            wrong.extend(error.diagnostics)
        else:
            captures.append(BoundCapture(capture, value))
            known[capture.name] = operand
    condition = None
    if spec.filter is not None and not wrong:
        try:
            of_filter = replace(scope, captures=known, in_filter=True)
            condition = resolve_condition(spec.filter, of_filter)
        except SpecError as error:
            wrong.extend(error.diagnostics)
    if wrong:
        raise SpecError(wrong)
    if place.condition is not None:
        asked = condition
        condition = place.condition if asked is None else AllOf((place.condition, asked))
    return Bound(spec, sites[0], scope.returns, tuple(captures), condition, sites[1:], place.notes)


def _refuse_values_first(spec: ProbeSpec, error: SpecError, target: Target, arch: Arch) -> None:
    """Raise what is wrong with the values at an offset where no code is.

    The kernel reads a definition to its end before it looks at the file, and takes any offset.
    """
    point = spec.point
    if not isinstance(point, UserPoint) or point.offset is None or error.code != "BAD_UPROBE_OFFS":
        return
    scope = user_scope(
        target, arch, hex(point.offset), point.offset, returns=point.returns, inside=False
    )
    wrong: list[Diagnostic] = []
    for capture in all_captures(spec.captures, scope, wrong):
        try:
            resolve_capture(capture, scope)
        except SpecError as of_value:
            wrong.extend(of_value.diagnostics)
    if wrong:
        raise SpecError(wrong) from error


_NOT_CHECKED = "whether an instruction begins there is not checked until it is attached"


class _Place(NamedTuple):
    """Where a probe goes, the names that it finds there, and what could not be checked.

    ``binary`` is the file of a place in a program, ``condition`` what the hits that are meant have
    in common.
    """

    sites: tuple[Site | SyscallSites, ...]
    scope: Scope
    notes: tuple[str, ...] = ()
    binary: Binary | None = None
    condition: Condition | None = None


def _place(spec: ProbeSpec, target: Target, arch: Arch, max_places: int) -> _Place:
    point = spec.point
    if isinstance(point, KernelPoint):
        site = kernel_site(point, spec.point_span, target)
        prototype = target.prototype(site.function, site.module) if site.function else None
        scope = function_scope(
            target,
            arch,
            str(site.function or hex(site.address)),
            prototype,
            returns=point.returns,
            inside=point.offset != 0,
            is_fprobe=point.is_fprobe,
        )
        return _Place((site,), scope, (_NOT_CHECKED,) if point.offset else ())
    if isinstance(point, UserPoint) and point.is_glob:
        many, binary = matching_sites(point, spec.point_span, target, max_places)
        scope = user_scope(target, arch, point.symbol, 0, returns=point.returns, inside=False)
        scope = replace(scope, places=many.names, file_offset=None)
        return _Place((many,), scope, binary=binary)
    if isinstance(point, UserPoint) and point.line:
        lines, binary = line_sites(point, spec.point_span, target, max_places)
        scope = user_scope(
            target, arch, lines[0].symbol, lines[0].offset, returns=False, inside=True
        )
        return _Place(lines, scope, binary=binary)
    if isinstance(point, UserPoint):
        return _user_place(point, spec.point_span, target, arch)
    if isinstance(point, UsdtPoint):
        markers, scope, binary = usdt_place(point, spec.point_span, target, arch)
        return _Place(markers, scope, binary=binary)
    if isinstance(point, TracepointPoint):
        event, tracepoint = tracepoint_site(point, spec.point_span, target)
        scope = tracepoint_scope(target, arch, tracepoint, is_eprobe=point.is_eprobe)
        return _Place((event,), scope)
    returns = point.returns if point.returns is not None else _wants_return(spec)
    calls, scope, condition = syscall_place(point, spec.point_span, target, arch, returns=returns)
    return _Place(calls, scope, condition=condition)


def _user_place(point: UserPoint, span: Span, target: Target, arch: Arch) -> _Place:
    """One place of a program, and the names that its function gives."""
    site, binary, note = user_site(point, span, target)
    inside = point.plus != 0
    entry = virtual_address(site.offset - point.plus, binary)
    arguments = None
    if entry is not None:
        arguments = DebugArguments(target, arch, binary, entry, returns=point.returns)
    name = site.symbol or hex(site.offset)
    scope = user_scope(
        target, arch, name, site.offset, returns=point.returns, inside=inside, arguments=arguments
    )
    return _Place((site,), scope, (note,) if note else (), binary)


def _with_callers(place: _Place, spec: ProbeSpec, target: Target, arch: Arch) -> _Place:
    """Add who puts the immediate caller into a stack that is taken at the place."""
    sites, scope = place.sites, place.scope
    if isinstance(sites[0], SyscallSites | KernelSite):
        entry = bool(arch.link_register) and not scope.is_inside
        # kunwind_init_from_regs() of arm64 leaves the link register out, as it may be an old one.
        return place._replace(scope=replace(scope, kernel_callers=(Caller.UNKNOWN,) * entry))
    if place.binary is None:
        return place
    point = spec.point
    named = isinstance(point, UserPoint) and not point.plus and not point.line
    begins = point.symbol if isinstance(point, UserPoint) and named else ""
    try:
        if isinstance(sites[0], UserSites):
            groups, callers = split_by_caller(sites[0], target, arch, place.binary)
            names = tuple(name for group in groups for name in group.names)
            scope = replace(scope, places=names, user_callers=callers)
            return place._replace(sites=groups, scope=scope)
        callers = tuple(
            caller_at(target, arch, place.binary, site.offset, begins)
            for site in sites
            if isinstance(site, UserSite)
        )
    except TargetError as error:
        raise spec_error(error.code, error.message, spec.point_span, error.hint) from error
    return place._replace(scope=replace(scope, user_callers=callers))


def _wants_return(spec: ProbeSpec) -> bool:
    """Whether a description of a system call asks for what exists only on return."""
    return _names(spec, "retval", "duration")


def _names(spec: ProbeSpec, *builtins: str) -> bool:
    """Return whether a description names one of these builtins."""
    parts: list[object] = [capture.expressions for capture in spec.captures]
    if spec.filter is not None:
        parts.append(spec.filter)
    return any(
        isinstance(node, (ast.Name, ast.Variable)) and node.name in builtins
        for part in parts
        for node in walk(part)
    )
