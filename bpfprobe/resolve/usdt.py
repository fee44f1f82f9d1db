"""USDT point -> sites and scope: which marker is meant, where it and its arguments are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, TargetError, spec_error
from bpfprobe.model.ktype import KFloat
from bpfprobe.model.scalar import F32, F64, S64, U64, X64, Scalar, Style
from bpfprobe.model.site import UserSite
from bpfprobe.model.usdt import UsdtConstant, UsdtMemory, UsdtOperand, UsdtRegister, UsdtUnread
from bpfprobe.model.usdt_name import is_called, typed_usdt_name
from bpfprobe.model.value import (
    BinaryOperation,
    ByPlace,
    Constant,
    Load,
    RegisterValue,
    Space,
    Value,
    View,
)
from bpfprobe.resolve.kernel_task import KernelTask
from bpfprobe.resolve.operand import NumberOperand, Operand
from bpfprobe.resolve.scope import Scope
from bpfprobe.resolve.sites import mapped_binary
from bpfprobe.resolve.usdt_operand import parse_usdt_operands
from bpfprobe.resolve.usdt_registers import register_value

if TYPE_CHECKING:
    from bpfprobe.model.arch import Arch
    from bpfprobe.model.machine import Binary, UsdtLocation, UsdtMarker
    from bpfprobe.model.span import Span
    from bpfprobe.model.spec import UsdtPoint
    from bpfprobe.target import Target


def usdt_place(
    point: UsdtPoint, span: Span, target: Target, arch: Arch
) -> tuple[tuple[UserSite, ...], Scope, Binary]:
    """Every place of a marker, the names that it gives, and its file. Raises `SpecError`.

    Arguments go by number: the notes of a marker do not name them.
    """
    try:
        binary = mapped_binary(point, span, target)
        marker = _marker(point, span, target, binary)
        operands = [
            parse_usdt_operands(place.arguments, binary.machine) for place in marker.locations
        ]
    except TargetError as error:
        raise spec_error(error.code, error.message, span, error.hint) from error
    name = f"{marker.provider}:{marker.name}"
    sites = tuple(
        UserSite(
            binary.path,
            place.offset,
            pid=point.pid,
            ref_ctr_offset=marker.semaphore_offset,
            marker=name,
        )
        for place in marker.locations
    )
    count = min(len(some) for some in operands)
    numbered: dict[int, Operand] = {}
    unreadable: dict[int, TargetError] = {}
    for n in range(1, count + 1):
        try:
            values = [
                _value(some[n - 1], place, binary, target, arch)
                for some, place in zip(operands, marker.locations, strict=True)
            ]
            numbered[n] = _operand(_together(values, operands[0][n - 1].text))
        except TargetError as error:
            unreadable[n] = error  # matters only to those who ask for it
    scope = Scope(
        target=target,
        arch=arch,
        task=KernelTask(target),
        function=name,
        space=Space.USER,
        returns=False,
        arguments={},
        numbered=numbered,
        argument_count=count,
        retval=None,
        unreadable=unreadable,
    )
    return sites, scope, binary


def _marker(point: UsdtPoint, span: Span, target: Target, binary: Binary) -> UsdtMarker:
    markers = target.markers(binary)
    if not markers:
        raise spec_error(
            "NO_MARKERS",
            f"{binary.path} has no markers: it was built without them",
            span,
            "bpfprobe list 'usdt:PATH:*' shows those of another file; its libraries have their own",
        )
    fits = [
        marker
        for marker in markers
        if is_called(marker.name, point.name)
        and (not point.provider or is_called(marker.provider, point.provider))
    ]
    fits = [marker for marker in fits if marker.name == point.name] or fits
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise spec_error(
            "NON_UNIQ_MARKER",
            f"{len(fits)} providers of {binary.path} have a marker {point.name}",
            span,
            "name one: " + " ".join(_typed(marker) for marker in fits),
        )
    raise _no_marker(point, span, binary, markers)


def _typed(marker: UsdtMarker) -> str:
    return f"{typed_usdt_name(marker.provider)}:{typed_usdt_name(marker.name)}"


def _no_marker(
    point: UsdtPoint, span: Span, binary: Binary, markers: tuple[UsdtMarker, ...]
) -> SpecError:
    providers = sorted({marker.provider for marker in markers})
    if point.provider and not any(is_called(one, point.provider) for one in providers):
        return spec_error(
            "NO_PROVIDER",
            f"no marker of {binary.path} is of a provider {point.provider}",
            span,
            f"it has {' '.join(map(typed_usdt_name, providers))}",
        )
    from difflib import get_close_matches  # only mistakes want it

    near = get_close_matches(point.name, {marker.name for marker in markers})
    hint = f"did you mean {' or '.join(map(typed_usdt_name, near))}?" if near else None
    return spec_error(
        "NO_MARKER",
        f"{binary.path} has {len(markers)} markers, and none is called {point.name}",
        span,
        hint or f"bpfprobe list 'usdt:{binary.path}:*' shows them",
    )


def _operand(value: Value) -> Operand:
    scalar = value.type
    if scalar.style is Style.FLOAT:
        return NumberOperand(value, KFloat(str(scalar), scalar.size), Space.USER)
    return NumberOperand(value, None, Space.USER, is_argument=True)


def _together(values: list[Value], text: str) -> Value:
    """One value where all places agree, else one that goes by place, of a type that holds each.

    Raises `TargetError` for floats beside what is none; ``text`` is one of the operands.
    """
    if all(value == values[0] for value in values):
        return values[0]
    types = {value.type for value in values}
    if len(types) > 1 and any(scalar.style is Style.FLOAT for scalar in types):
        raise TargetError(
            f"{text} of the marker is another type at another place: "
            + ", ".join(sorted(map(str, types))),
            code="USDT_OPERAND",
            hint="leave that argument out: no type holds both",
        )
    signed = any(scalar.signed for scalar in types)
    common = types.pop() if len(types) == 1 else S64 if signed else U64
    return ByPlace(tuple(values), common)


def _value(
    operand: UsdtOperand, place: UsdtLocation, binary: Binary, target: Target, arch: Arch
) -> Value:
    scalar = Scalar(operand.size, operand.signed)
    if operand.is_float:
        scalar = _float(operand)
    match operand.place:
        case UsdtUnread(message):
            raise TargetError(message, code="USDT_OPERAND", hint="leave that argument out")
        case UsdtConstant(number):
            return View(Constant(number), scalar)
        case UsdtRegister(name):
            return register_value(name, scalar, arch, operand.text)
        case UsdtMemory() as memory:
            return Load(_address(memory, place, binary, target, arch), 0, scalar, Space.USER)


def _float(operand: UsdtOperand) -> Scalar:
    if isinstance(operand.place, UsdtConstant) or operand.size < 4:
        raise TargetError(
            f"{operand.text} of the marker is not a float of 4 or 8 bytes",
            code="USDT_OPERAND",
            hint="leave that argument out",
        )
    return F32 if operand.size == 4 else F64


def _address(
    memory: UsdtMemory, place: UsdtLocation, binary: Binary, target: Target, arch: Arch
) -> Value:
    parts: list[Value] = []
    if memory.symbol:
        address = target.binary_variable(binary, memory.symbol)
        if address is None:
            raise TargetError(
                f"an argument of the marker is the variable {memory.symbol}, which "
                f"{binary.path} has no symbol for",
                code="USDT_OPERAND",
                hint="leave that argument out, or install the file's debug symbols",
            )
        # However far the file was moved when it was loaded, the two are as far apart.
        here: Value = RegisterValue(arch.instruction_pointer)
        distance = address + memory.displacement - place.address
        parts.append(BinaryOperation("+", here, Constant(distance), X64))
    if memory.base:
        parts.append(register_value(memory.base, X64, arch, memory.base))
    if memory.index:
        index = register_value(memory.index, X64, arch, memory.index)
        parts.append(BinaryOperation("*", index, Constant(memory.scale), X64))
    if not parts or (memory.displacement and not memory.symbol):
        parts.append(Constant(memory.displacement))
    total = parts[0]
    for part in parts[1:]:
        total = BinaryOperation("+", total, part, X64)
    return total
