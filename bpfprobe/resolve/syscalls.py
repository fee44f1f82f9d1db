"""System call -> the entry points that serve it, and the names of its arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model.bound import SyscallSites
from bpfprobe.model.ktype import KPointer
from bpfprobe.model.scalar import S32, S64, U64
from bpfprobe.model.value import (
    ArgumentVector,
    BinaryOperation,
    ByPlace,
    Compare,
    Constant,
    ReturnValue,
    Space,
    SyscallArgument,
    Value,
    View,
)
from bpfprobe.resolve.kernel_task import KernelTask
from bpfprobe.resolve.operand import ArgvOperand, NumberOperand, Operand, scalar_of
from bpfprobe.resolve.scope import Scope
from bpfprobe.resolve.scopes import declared_type
from bpfprobe.resolve.syscall_names import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_SYMLINK_NOFOLLOW,
    OF_THE_MANUAL,
    EntryPoint,
    entry_points,
    instead_of,
    manual_arguments,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.model.arch import Arch
    from bpfprobe.model.machine import Tracepoint, TracepointField
    from bpfprobe.model.span import Span
    from bpfprobe.model.spec import SyscallPoint
    from bpfprobe.model.value import Condition
    from bpfprobe.target import Target

_EXEC_VECTOR = {"execve": 2, "execveat": 3}
_EVERY_KERNEL_HAS = "sys_enter_read"
_MOST_ARGUMENTS = 6  # syscall(2)


def syscall_place(
    point: SyscallPoint, span: Span, target: Target, arch: Arch, *, returns: bool
) -> tuple[tuple[SyscallSites, ...], Scope, Condition | None]:
    """Return the ways to a system call, its names, and what tells its calls from others there.

    Raises `SpecError` where nothing serves it.
    """
    found = [
        (entry, sites)
        for entry in entry_points(point.name)
        if (sites := _sites(entry.name, target, arch)) is not None
    ]
    if not found:
        raise _no_system_call(point.name, span, target, arch)
    if not any(entry.arguments or entry.path_flags is not None for entry, _ in found):
        found = found[:1]  # other names of one thing
    entries = [entry for entry, _ in found]
    scope = _scope(target, arch, point.name, entries, found[0][1].enter, span, returns=returns)
    return tuple(sites for _, sites in found), scope, _is_the_call(entries)


def _sites(name: str, target: Target, arch: Arch) -> SyscallSites | None:
    """The two ways to an entry point, None where there is none, or no program can call it.

    The kernel has functions for calls that only 32-bit programs make, and for those of other
    processors. They have no tracepoints: init_syscall_trace() leaves out what is in no table.
    """
    wrapper = arch.syscall_prefix + name
    enter = target.tracepoint("syscalls", f"sys_enter_{name}")
    leave = target.tracepoint("syscalls", f"sys_exit_{name}")
    is_there = any(symbol.is_text for symbol in target.symbols(wrapper))
    if enter and leave:
        return SyscallSites(wrapper if is_there else "", enter, leave)
    if not is_there or target.tracepoint("syscalls", _EVERY_KERNEL_HAS) is not None:
        return None
    return SyscallSites(wrapper, enter, leave)


def _no_system_call(name: str, span: Span, target: Target, arch: Arch) -> SpecError:
    release = target.facts().release
    instead = instead_of(name)
    wrapper = arch.syscall_prefix + name
    if instead or target.symbols(wrapper):
        return spec_error(
            "BAD_PROBE_ADDR",
            f"this kernel ({release}, {arch.name}) does not serve {name} to 64-bit programs",
            span,
            f"the C library calls syscall:{instead}" if instead else "bpfprobe list 'syscall:*'",
        )
    from difflib import get_close_matches  # only mistakes want it

    wrappers = target.matching_functions(f"{arch.syscall_prefix}*")
    known = [*OF_THE_MANUAL, *(one.removeprefix(arch.syscall_prefix) for one in wrappers)]
    near = [
        one
        for one in get_close_matches(name, dict.fromkeys(known), n=9)
        if any(_sites(entry.name, target, arch) is not None for entry in entry_points(one))
    ]
    return spec_error(
        "BAD_PROBE_ADDR",
        f"this kernel ({release}) has no system call {name}",
        span,
        f"did you mean {' or '.join(near[:3])}?" if near else "bpfprobe list 'syscall:*'",
    )


def _is_the_call(entries: Sequence[EntryPoint]) -> Condition | None:
    """That a call of an entry point which serves several of the manual is the one meant."""
    if all(entry.path_flags is None for entry in entries):
        return None
    wrong = tuple(_wrong_bits(entry.path_flags) for entry in entries)
    return Compare("==", _by_place(wrong), Constant(0))


def _wrong_bits(path_flags: int | None) -> Value:
    if path_flags is None:
        return View(Constant(0), U64)
    by_descriptor = path_flags == AT_EMPTY_PATH
    mask = AT_EMPTY_PATH if by_descriptor else AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH
    flags = BinaryOperation("&", SyscallArgument(4), Constant(mask), U64)
    other = BinaryOperation("^", flags, Constant(path_flags), U64)
    if by_descriptor:
        return other
    folder = BinaryOperation("^", View(SyscallArgument(1), S32), Constant(AT_FDCWD), S64)
    return BinaryOperation("|", other, View(folder, U64), U64)


def _by_place(values: tuple[Value, ...]) -> Value:
    """The value of each entry point, which is one where all agree."""
    return values[0] if len(set(values)) == 1 else ByPlace(values, values[0].type)


def _scope(
    target: Target,
    arch: Arch,
    name: str,
    entries: Sequence[EntryPoint],
    enter: Tracepoint | None,
    span: Span,
    *,
    returns: bool,
) -> Scope:
    """The names of a system call: as its tracepoint has them, all memory in user space."""
    arguments: dict[str, Operand] = {}
    numbered: dict[int, Operand] = {}
    fields = [f for f in enter.fields if f.name != "__syscall_nr"] if enter else []
    fields = fields[:_MOST_ARGUMENTS]  # what a recording has beyond them is not passed
    count = max((len(entry.arguments) for entry in entries), default=0)
    for n in range(1, (count or len(fields) or _MOST_ARGUMENTS) + 1):
        places = [entry.arguments[n - 1] if entry.arguments else n for entry in entries]
        value = _by_place(tuple(SyscallArgument(place) for place in places))
        if not fields:
            numbered[n] = NumberOperand(value, None, Space.USER)
            continue
        field = fields[places[0] - 1]
        numbered[n] = arguments[field.name] = _argument(value, field, target)
    if fields:
        for other, n in manual_arguments(name).items():
            arguments.setdefault(other, numbered[n])
    task = KernelTask(target)
    argv = None
    if name in _EXEC_VECTOR:
        running = task.command_line(span)
        vector = SyscallArgument(_EXEC_VECTOR[name])
        replaced = Compare("==", ReturnValue(S64), Constant(0)) if returns else None
        argv = ArgvOperand(ArgumentVector(running.start, running.end, vector, replaced))
        if "argv" in arguments:
            arguments["argv"] = argv  # the strings; the bare pointer is $arg2
    return Scope(
        target=target,
        arch=arch,
        task=task,
        function=name,
        space=Space.USER,
        returns=returns,
        arguments=arguments,
        numbered=numbered,
        argument_count=len(numbered) if enter or count else None,
        retval=NumberOperand(ReturnValue(S64), None, Space.USER) if returns else None,
        argv=argv,
        has_registers=False,
        is_syscall=True,
    )


def _argument(value: Value, field: TracepointField, target: Target) -> Operand:
    ktype = declared_type(field.declaration, target, user=True)
    scalar = scalar_of(ktype)
    if isinstance(ktype, KPointer) or scalar is None:
        return NumberOperand(value, ktype, Space.USER)
    if scalar.size == 8 and isinstance(value, SyscallArgument):
        return NumberOperand(SyscallArgument(value.number, scalar), ktype, Space.USER)
    return NumberOperand(View(value, scalar), ktype, Space.USER)
