"""What the atoms of an expression stand for: ``$arg1``, ``%di``, ``$stack2``, ``@jiffies``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model.ktype import KPointer
from bpfprobe.model.scalar import X64
from bpfprobe.model.value import (
    BinaryOperation,
    Builtin,
    BuiltinValue,
    Constant,
    Kept,
    Load,
    RegisterValue,
    Space,
    SymbolAddress,
    Value,
)
from bpfprobe.resolve.operand import MemoryOperand, NumberOperand, Operand
from bpfprobe.resolve.scope import BUILTIN_NAMES

if TYPE_CHECKING:
    from bpfprobe.model import expression as ast
    from bpfprobe.model.span import Span
    from bpfprobe.resolve.scope import Scope

_MOST_SLOTS = 2048
"""The kernel's PARAM_MAX_STACK: how many slots of 8 bytes its stack of 16 KiB has."""
_MOST_USER_SLOTS = 1 << 28


def variable(name: str, span: Span, scope: Scope) -> Operand:
    """``$NAME``."""
    if scope.is_eprobe and name in scope.arguments:
        return scope.arguments[name]  # the kernel's own e has fields so
    if name in ("comm", "COMM"):
        return scope.builtin("comm", span)
    if scope.is_eprobe:
        raise _no_event_field(name, span, scope)
    if name in BUILTIN_NAMES:
        return scope.builtin(name, span)
    if not scope.has_registers and name in scope.arguments:
        return scope.arguments[name]  # $FIELD of an event
    if name == "arg*":
        raise spec_error(
            "BAD_VAR", "$arg* stands for several values", span, "it must be a value by itself"
        )
    if found := re.fullmatch(r"arg(\d+)", name):
        return _argument(int(found[1]), span, scope)
    if found := re.fullmatch(r"stack(\d*)", name):
        return _stack(found[1], span, scope)
    if name == "current" and scope.space is not Space.USER:
        struct = scope.target.struct("task_struct")
        pointer = KPointer("struct task_struct *", struct) if struct else None
        return NumberOperand(BuiltinValue(Builtin.TASK), pointer)
    if name == "current":
        raise spec_error(
            "BAD_VAR",
            "$current leads into the kernel's memory, and all memory here is the program's",
            span,
            "pid tid uid gid comm ppid and cgroup are known here; a kprobe has $current",
        )
    if scope.has_name(name):
        raise spec_error("BAD_VAR", f"${name} is not known", span, f"did you mean {name}?")
    raise spec_error(
        "BAD_VAR",
        f"${name} is not known",
        span,
        "known are $arg1 ... $retval $stack $stackN $comm $current and the builtins, as in $pid",
    )


def _no_event_field(name: str, span: Span, scope: Scope) -> SpecError:
    return spec_error(
        "BAD_VAR",
        f"the event {scope.function} has no field {name}",
        span,
        f"it has {', '.join(scope.arguments)}",
    )


def _argument(number: int, span: Span, scope: Scope) -> Operand:
    known = scope.argument_count is not None and number > 0
    if not known and not 1 <= number <= _MOST_SLOTS:
        raise spec_error(
            "BAD_ARG_NUM",
            f"arguments are counted from 1 to {_MOST_SLOTS}",
            span,
            "$arg1 is the first",
        )
    return scope.argument(number, span)


def _stack(digits: str, span: Span, scope: Scope) -> Operand:
    if not scope.has_registers:
        raise _no_registers("BAD_VAR", span)
    pointer = RegisterValue(scope.arch.stack_pointer)
    if not digits:
        return NumberOperand(pointer, None, scope.space)
    most = _MOST_SLOTS if scope.space is Space.KERNEL else _MOST_USER_SLOTS
    if int(digits) > most:
        raise spec_error("BAD_STACK_NUM", f"the stack has no slot {digits}", span, f"0 to {most}")
    return NumberOperand(Load(pointer, 8 * int(digits), X64, scope.space), None, scope.space)


def register(name: str, span: Span, scope: Scope) -> Operand:
    """``%NAME``."""
    if not scope.has_registers or scope.is_fprobe:
        raise _no_registers("BAD_VAR", span)
    member = scope.arch.registers.get(name)
    if member is None:
        raise spec_error(
            "BAD_REG_NAME",
            f"{scope.arch.name} has no register {name}",
            span,
            f"it has {' '.join(dict.fromkeys(scope.arch.registers))}",
        )
    return NumberOperand(RegisterValue(member), None, scope.space)


def _no_registers(code: str, span: Span) -> SpecError:
    return spec_error(
        code, "there are no registers at this place", span, "its fields go by their names"
    )


def global_memory(expression: ast.Global, scope: Scope) -> Operand:
    """``@SYMBOL+OFFSET`` or ``@ADDRESS``."""
    if not expression.symbol:
        return MemoryOperand(SymbolAddress("", expression.offset), 0, scope.space)
    if scope.space is Space.USER and scope.has_registers:
        raise spec_error(
            "SYM_ON_UPROBE",
            "kernel symbols mean nothing in user space",
            expression.span,
            "the program's own memory is @+OFFSET, counted in its file, or @0xADDRESS",
        )
    symbols = scope.target.symbols(expression.symbol)
    if not symbols:
        raise spec_error(
            "BAD_MEM_ADDR",
            f"the kernel has no symbol {expression.symbol}",
            expression.span,
            "names are those of /proc/kallsyms",
        )
    address = symbols[0].address
    if address == 0:
        raise spec_error(
            "BAD_MEM_ADDR",
            f"the address of {expression.symbol} is hidden",
            expression.span,
            "root sees it unless the sysctl kernel.kptr_restrict is 2",
        )
    base = SymbolAddress(expression.symbol, address)
    return MemoryOperand(base, expression.offset, Space.KERNEL)


def file_memory(expression: ast.FileMemory, scope: Scope) -> Operand:
    """``@+OFFSET``: from where the probe is, which is at a known offset itself."""
    if scope.file_offset is None and scope.space is Space.USER:
        raise spec_error(
            "FILE_ON_MANY",
            "offsets in the file count from the place of the probe, and this one has several",
            expression.span,
            "probe one of them, by its symbol or its own offset",
        )
    if scope.file_offset is None:
        raise spec_error(
            "FILE_ON_KPROBE",
            "only a program has a file that offsets could count in",
            expression.span,
            "memory of the kernel is @SYMBOL or @0xADDRESS",
        )
    here: Value = RegisterValue(scope.arch.instruction_pointer)
    if scope.returns:
        here = Kept(here)
    return MemoryOperand(here, expression.offset - scope.file_offset, Space.USER)


def this_cpu(address: Value, span: Span, scope: Scope) -> Value:
    """Where the variable of this CPU is; ``address`` is what the kernel calls a __percpu pointer.

    Each CPU has a distance to its own copy in the array ``__per_cpu_offset``.
    """
    if scope.space is Space.USER or not scope.has_registers:
        raise spec_error(
            "NOSUP_PERCPU",
            "only a place in the kernel has variables of a CPU",
            span,
            "probe a function of the kernel",
        )
    symbols = scope.target.symbols("__per_cpu_offset")
    if not symbols or symbols[0].address == 0:
        raise spec_error(
            "NOSUP_PERCPU",
            "this kernel does not show where its CPUs have their variables",
            span,
            "it must have several CPUs (CONFIG_SMP), and show symbols to root",
        )
    distances = SymbolAddress("__per_cpu_offset", symbols[0].address)
    entry = BinaryOperation("<<", BuiltinValue(Builtin.CPU), Constant(3), X64)
    place = BinaryOperation("+", distances, entry, X64)
    return BinaryOperation("+", address, Load(place, 0, X64, Space.KERNEL), X64)
