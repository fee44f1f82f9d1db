"""Scopes: which names the function, the tracepoint or the system call at a point gives."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.ktype import KArray, KInt, KOther, KPointer, KType
from bpfprobe.model.scalar import S64, X64, Scalar
from bpfprobe.model.value import (
    Argument,
    ContextAddress,
    ContextField,
    ReturnValue,
    Space,
    TextAt,
)
from bpfprobe.resolve.cpu_conditions import CPUMASK
from bpfprobe.resolve.kernel_task import KernelTask
from bpfprobe.resolve.operand import (
    MemoryOperand,
    NumberOperand,
    Operand,
    TextOperand,
)
from bpfprobe.resolve.passing import argument_places, untyped_argument
from bpfprobe.resolve.returned import returned
from bpfprobe.resolve.scope import Scope

if TYPE_CHECKING:
    from bpfprobe.model.arch import Arch
    from bpfprobe.model.ktype import Prototype
    from bpfprobe.model.machine import Tracepoint, TracepointField
    from bpfprobe.resolve.debug_arguments import DebugArguments
    from bpfprobe.target import Target


def function_scope(
    target: Target,
    arch: Arch,
    name: str,
    prototype: Prototype | None,
    *,
    returns: bool,
    inside: bool,
    is_fprobe: bool = False,
) -> Scope:
    """A kernel function; ``inside`` for a place behind its entry, where arguments are gone."""
    arguments: dict[str, Operand] = {}
    numbered: dict[int, Operand] = {}
    unreadable: dict[int, TargetError] = {}
    refused: dict[str, TargetError] = {}
    if inside:  # registers hold anything by now
        names = [parameter.name for parameter in prototype.parameters] if prototype else []
        refused = {one: _gone(one, name) for one in names if one}
    elif prototype is None:
        for n in range(1, len(arch.arguments) + 1):
            numbered[n] = NumberOperand(Argument(n), None, Space.ANY)
    else:
        places = argument_places(
            prototype, arch, target.members, space=Space.KERNEL, returns=returns
        )
        for n, (parameter, place) in enumerate(places, 1):
            if isinstance(place, TargetError):
                unreadable[n] = refused[parameter.name] = place
            else:
                numbered[n] = arguments[parameter.name] = place
        for nameless in (arguments, refused):
            nameless.pop("", None)
    retval: Operand | TargetError | None = None
    if returns and prototype is None:
        retval = NumberOperand(ReturnValue(S64), None, Space.ANY)
    elif returns and prototype is not None:
        retval = returned(prototype, arch, target.members, Space.KERNEL)
    untyped = partial(untyped_argument, arch=arch, space=Space.KERNEL, returns=returns)
    return Scope(
        target=target,
        arch=arch,
        task=KernelTask(target),
        function=name,
        space=Space.KERNEL,
        returns=returns,
        arguments=arguments,
        numbered=numbered,
        argument_count=None if inside or prototype is None else len(prototype.parameters),
        refused=refused,
        unreadable=unreadable,
        retval=retval,
        is_inside=inside,
        is_fprobe=is_fprobe,
        untyped=None if inside or prototype else untyped,
    )


def _gone(argument: str, function: str) -> TargetError:
    return TargetError(
        f"{argument} is an argument of {function}, and is there at its entry only",
        code="NOSUP_BTFARG",
        hint="here there are registers, as %ax, and the $stack",
    )


def user_scope(
    target: Target,
    arch: Arch,
    name: str,
    offset: int,
    *,
    returns: bool,
    inside: bool,
    arguments: DebugArguments | None = None,
) -> Scope:
    """A function of a program: its arguments by number, all memory in user space.

    ``offset`` is the place of the probe in the file, ``arguments`` those by name.
    """
    numbered: dict[int, Operand] = {}
    if not inside:
        for n in range(1, len(arch.arguments) + 1):
            numbered[n] = NumberOperand(Argument(n), None, Space.USER)
    return Scope(
        target=target,
        arch=arch,
        task=KernelTask(target),
        function=name,
        space=Space.USER,
        returns=returns,
        arguments={},
        numbered=numbered,
        argument_count=None,
        retval=NumberOperand(ReturnValue(S64), None, Space.USER) if returns else None,
        file_offset=offset,
        is_inside=inside,
        untyped=None
        if inside
        else partial(untyped_argument, arch=arch, space=Space.USER, returns=returns),
        debug_arguments=arguments,
    )


def tracepoint_scope(
    target: Target, arch: Arch, tracepoint: Tracepoint, *, is_eprobe: bool = False
) -> Scope:
    """A tracepoint: its fields by name."""
    return Scope(
        target=target,
        arch=arch,
        task=KernelTask(target),
        function=tracepoint.name,
        space=Space.KERNEL,
        returns=False,
        arguments={f.name: _field(f, target) for f in tracepoint.fields},
        numbered={},
        argument_count=None,
        retval=None,
        has_registers=False,
        is_eprobe=is_eprobe,
    )


def _field(field: TracepointField, target: Target) -> Operand:
    if field.is_string:
        size = 0 if field.is_dynamic else field.size
        address = ContextAddress(field.offset, field.is_dynamic, field.relative)
        return TextOperand(TextAt(address, Space.KERNEL, size))
    if CPUMASK in field.declaration and field.is_dynamic:
        words = -(-target.facts().cpus // 64)
        ktype = KArray(CPUMASK, KInt("u64", 8, signed=False), words, 8 * words)
        address = ContextAddress(field.offset, field.is_dynamic, field.relative)
        return MemoryOperand(address, 0, Space.KERNEL, ktype)
    if field.is_dynamic or field.size not in (1, 2, 4, 8) or "[" in field.declaration:
        step = field.element_size or 1
        element = KInt(f"u{step * 8}", step, field.signed)
        address = ContextAddress(field.offset, field.is_dynamic, field.relative)
        count = 0 if field.is_dynamic else field.size // step
        ktype = KArray(field.declaration, element, count, field.size)
        return MemoryOperand(address, 0, Space.KERNEL, ktype)
    if field.is_pointer:
        user = "__user" in field.declaration
        pointer = declared_type(field.declaration, target, user=user)
        return NumberOperand(ContextField(field.offset, X64), pointer, Space.ANY)
    return NumberOperand(ContextField(field.offset, Scalar(field.size, field.signed)))


_INTEGERS = {
    "int": KInt("int", 4, signed=True),
    "unsigned int": KInt("unsigned int", 4, signed=False),
    "unsigned": KInt("unsigned int", 4, signed=False),
    "u32": KInt("u32", 4, signed=False),
    "s32": KInt("s32", 4, signed=True),
    "pid_t": KInt("pid_t", 4, signed=True),
    "uid_t": KInt("uid_t", 4, signed=False),
    "gid_t": KInt("gid_t", 4, signed=False),
    "qid_t": KInt("qid_t", 4, signed=False),
    "key_t": KInt("key_t", 4, signed=True),
    "key_serial_t": KInt("key_serial_t", 4, signed=True),
    "clockid_t": KInt("clockid_t", 4, signed=True),
    "mqd_t": KInt("mqd_t", 4, signed=True),
    "timer_t": KInt("timer_t", 4, signed=True),
    "rwf_t": KInt("rwf_t", 4, signed=True),
    "umode_t": KInt("umode_t", 2, signed=False),
    "short": KInt("short", 2, signed=True),
    "char": KInt("char", 1, signed=True, is_char=True),
    "long": KInt("long", 8, signed=True),
    "loff_t": KInt("loff_t", 8, signed=True),
    "off_t": KInt("off_t", 8, signed=True),
    "ssize_t": KInt("ssize_t", 8, signed=True),
    "size_t": KInt("size_t", 8, signed=False),
    "unsigned long": KInt("unsigned long", 8, signed=False),
    "u64": KInt("u64", 8, signed=False),
}


def declared_type(declaration: str, target: Target, *, user: bool) -> KType | None:
    """The type in a field's C declaration (``const char * filename``), None if it is not known.

    ``user`` says that pointers point into user memory.
    """
    words = re.sub(r"\b(const|volatile|__user)\b", " ", declaration)
    found = re.match(
        r"\s*(?P<type>[A-Za-z_][\w\s]*?)\s*(?P<stars>[*\s]*)\s*(?P<name>\w+)\s*$", words
    )
    if found is None:
        return None
    base, stars = " ".join(found["type"].split()), found["stars"].count("*")
    if not stars:
        return _INTEGERS.get(base)
    target_type: KType
    if base.startswith(("struct ", "union ")):
        name = base.split()[1]
        target_type = target.struct(name) or KOther(base)
    else:
        target_type = _INTEGERS.get(base, KOther(base))
    spelling = "const " * ("const" in declaration) + base + " "
    for depth in range(1, stars + 1):
        target_type = KPointer(spelling + "*" * depth, target_type, user=user)
    return target_type
