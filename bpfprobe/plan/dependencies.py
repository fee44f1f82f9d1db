"""What the C of a plan depends on: each thing of the machine that it holds, with its state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.value import (
    Argument,
    BinaryOperation,
    Constant,
    ContextAddress,
    ContextField,
    Load,
    RegisterValue,
    SymbolAddress,
    SyscallArgument,
)
from bpfprobe.model.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.model.plan import Plan, ProbePlan
    from bpfprobe.model.span import Span


def dependencies(plan: Plan) -> tuple[tuple[str, str], ...]:
    """Subjects and states, each subject once.

    Raises `SpecError` (OBJECT_ADDRESS) for the address of a kernel symbol, which is another one
    after each boot.
    """
    found: dict[str, str] = {
        "the architecture": plan.facts.arch,
        "the buffer": f"{plan.transport.name} of {plan.buffer_bytes} bytes",
    }
    for probe in plan.probes:
        name = probe.bound.spec.name
        found[f"{name}: the mechanism"] = f"{probe.mechanism.name} at {probe.site}"
        for label, span, value in _values(probe):
            for node in walk(value):
                if isinstance(node, SymbolAddress) and node.symbol:
                    raise _of_one_boot(node, span)
                _add(found, f"{name}: {label}", node)
    return tuple(found.items())


def _values(probe: ProbePlan) -> Iterator[tuple[str, Span, object]]:
    bound = probe.bound
    for capture in bound.captures:
        yield capture.capture.name, capture.capture.span, capture.value
    if bound.spec.filter is not None:
        yield "the filter", bound.spec.filter.span, bound.filter


def _add(found: dict[str, str], where: str, node: object) -> None:
    match node:
        case Load() if node.member:
            size = f"{node.bit_size} bits at {node.bit_offset}" if node.bit_size else ""
            subject = f"member {node.member} of struct {node.struct}"
            found[subject] = f"at offset {node.offset}, {size or node.type}"
        case Argument() | SyscallArgument():
            _number(found, f"{where}: the argument", f"number {node.number}, {node.type}")
        case BinaryOperation("+", _, Constant(offset)):
            _number(found, f"{where}: the bytes added to an address", str(offset))
        case RegisterValue():
            _number(found, f"{where}: the register", f"{node.member}, {node.type}")
        case ContextField() | ContextAddress():
            _number(found, f"{where}: the field", f"at offset {node.offset}, {node.type}")


def _number(found: dict[str, str], subject: str, state: str) -> None:
    """Several in one value are told apart by their numbers."""
    name, count = subject, 1
    while found.get(name, state) != state:
        count += 1
        name = f"{subject} {count}"
    found[name] = state


def _of_one_boot(node: SymbolAddress, span: Span) -> Exception:
    return spec_error(
        "OBJECT_ADDRESS",
        f"{node.symbol} is at another address after each boot, so an object with it would hold "
        "for this boot alone",
        span,
        "leave it out of what is built; bpfprobe trace can have it",
    )
