"""What a bound probe counts on: places, arguments, members, fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.bound import SyscallSites
from bpfprobe.model.ktype import KFloat, KStruct, declared
from bpfprobe.model.site import KernelSite, TracepointSite, UserSite, UserSites
from bpfprobe.model.stack import StackValue
from bpfprobe.model.value import (
    Argument,
    ArrayValue,
    BinaryOperation,
    BytesAt,
    Constant,
    ContextAddress,
    ContextField,
    Load,
    ReturnValue,
    SymbolAddress,
    SyscallArgument,
    TextAt,
)
from bpfprobe.model.verdict import Reliance
from bpfprobe.model.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.model.bound import Bound
    from bpfprobe.model.ktype import KType, Prototype
    from bpfprobe.model.machine import Tracepoint
    from bpfprobe.target import Target


def reliances(bound: Bound, target: Target) -> tuple[Reliance, ...]:
    """Everything that may be elsewhere on another machine, each once, the place first.

    Asks the target nothing that resolving the same probe did not ask.
    """
    found = [_of_site(bound), *_of_values(bound, target)]
    return tuple(dict.fromkeys(found))


def _of_site(bound: Bound) -> Reliance:
    site = bound.site
    match site:
        case KernelSite(function, offset, module=module, address=address):
            where = f"in {module}" if module else "in the kernel"
            inside = f", {offset:#x} bytes into it" if offset else ""
            return Reliance(f"function {function or hex(address)}", f"{where}{inside}")
        case SyscallSites(wrapper):
            how = f"function {wrapper}" if wrapper else "tracepoints"
            return Reliance(_name_of(bound), how)
        case TracepointSite():
            return Reliance(_name_of(bound), "there")
        case UserSite(path) | UserSites(path):
            return Reliance(f"{site}", f"in {path}")


def _name_of(bound: Bound) -> str:
    """The place in words."""
    kind, _, name = str(bound.spec.point).removesuffix("%return").partition(":")
    return f"system call {name}" if kind == "syscall" else f"{kind} {name}"


def _of_values(bound: Bound, target: Target) -> Iterator[Reliance]:
    site = bound.site
    prototype = None
    tracepoint = site.enter if isinstance(site, SyscallSites) else None
    if isinstance(site, KernelSite) and site.function:
        prototype = target.prototype(site.function, site.module)
    elif isinstance(site, TracepointSite):
        tracepoint = target.tracepoint(site.category, site.name)
    values = [(capture.capture.name, capture.value) for capture in bound.captures]
    for name, value in [*values, ("the filter", bound.filter)]:
        for node in walk(value):
            yield from _of_memory(name, node)
    for node in walk((*(value for _, value in values), bound.filter)):
        match node:
            case Load(struct=struct, member=member) if struct:
                bits = f", bits {node.bit_offset} to {node.bit_offset + node.bit_size - 1}"
                how = f"{node.type} at {node.offset}{bits if node.bit_size else ''}"
                yield Reliance(f"{struct}.{member}" if member else f"struct {struct}", how)
            case Argument(number):
                yield _argument(number, prototype)
            case ReturnValue(scalar) if prototype is not None:
                how = f"{prototype.returns.spelling} ({scalar})"
                yield Reliance(f"return value of {prototype.name}", how)
            case SyscallArgument(number):
                yield _syscall_argument(number, bound, tracepoint)
            case ContextField(offset) | ContextAddress(offset):
                yield _field(offset, bound, tracepoint)
            case StackValue(callers=callers) if callers:
                who = " or ".join(dict.fromkeys(caller.value for caller in callers))
                yield Reliance("the caller at the beginning of a function", f"put in by {who}")
            case SymbolAddress(symbol) if symbol:
                yield Reliance(f"symbol {symbol}", "in the kernel")


def _of_memory(name: str, node: object) -> Iterator[Reliance]:
    """Where an array or a string stands that is part of a struct: no load leads there."""
    match node:
        case TextAt(BinaryOperation("+", _, Constant(offset)), size=size):
            yield Reliance(f"the memory of {name}", f"at {offset}, {size or 'unbounded'} bytes")
        case ArrayValue(BinaryOperation("+", _, Constant(offset)), element, count):
            yield Reliance(f"the memory of {name}", f"at {offset}, {element}[{count}]")
        case BytesAt(BinaryOperation("+", _, Constant(offset))):
            yield Reliance(f"the memory of {name}", f"at {offset}, bytes")
        case ArrayValue(_, element, count):
            yield Reliance(f"the memory of {name}", f"{element}[{count}]")


def _argument(number: int, prototype: Prototype | None) -> Reliance:
    if prototype is None:
        return Reliance(f"argument {number}", "by its number alone")
    types = [prototype.returns, *(one.type for one in prototype.parameters)]
    if not all(_is_one_register(ktype) for ktype in types):
        return Reliance(f"arguments of {prototype.name}", str(prototype))
    parameter = prototype.parameters[number - 1]
    name = parameter.name or str(number)
    how = f"number {number}, {declared(parameter.type, parameter.name)}"
    return Reliance(f"argument {name} of {prototype.name}", how)


def _is_one_register(ktype: KType) -> bool:
    """Whether the number of an argument is that of its register, so far as types decide it."""
    return not isinstance(ktype, (KStruct, KFloat)) and ktype.size <= 8


def _syscall_argument(number: int, bound: Bound, enter: Tracepoint | None) -> Reliance:
    fields = [field for field in enter.fields if field.name != "__syscall_nr"] if enter else []
    if number > len(fields):
        return Reliance(f"argument {number} of {_name_of(bound)}", "by its number alone")
    field = fields[number - 1]
    how = f"number {number}, {field.declaration}"
    return Reliance(f"argument {field.name} of {_name_of(bound)}", how)


def _field(offset: int, bound: Bound, tracepoint: Tracepoint | None) -> Reliance:
    fields = tracepoint.fields if tracepoint else ()
    field = next((f for f in fields if f.offset == offset), None)
    if field is None:
        return Reliance(f"field at {offset} of {_name_of(bound)}", "there")
    return Reliance(f"field {field.name} of {_name_of(bound)}", f"{field.declaration} at {offset}")
