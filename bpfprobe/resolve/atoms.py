"""What the atoms of an expression stand for: ``$arg1``, ``%di``, ``$stack2``, ``@jiffies``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model.ktype import KPointer
from bpfprobe.model.scalar import X64
from bpfprobe.model.value import (
    Builtin,
    BuiltinValue,
    Load,
    RegisterValue,
    Space,
    SymbolAddress,
)
from bpfprobe.resolve.operand import MemoryOperand, NumberOperand, Operand

if TYPE_CHECKING:
    from bpfprobe.model import expression as ast
    from bpfprobe.model.span import Span
    from bpfprobe.resolve.scope import Scope

_MAX_STACK_SLOT = 1023  # the kernel's: a stack of 8 KiB in slots of 8 bytes


def variable(name: str, span: Span, scope: Scope) -> Operand:
    """``$NAME``."""
    if name == "retval":
        return scope.return_value(span)
    if found := re.fullmatch(r"arg(\d+)", name):
        number = int(found[1])
        if not 1 <= number <= 128:
            raise spec_error(
                "BAD_ARG_NUM", "arguments are counted from 1 to 128", span, "$arg1 is the first"
            )
        return scope.argument(number, span)
    if found := re.fullmatch(r"stack(\d*)", name):
        return _stack(found[1], span, scope)
    if name in ("comm", "COMM"):
        return scope.builtin("comm", span)
    if name == "current":
        struct = scope.target.struct("task_struct")
        pointer = KPointer("struct task_struct *", struct) if struct else None
        return NumberOperand(BuiltinValue(Builtin.TASK), pointer)
    if name in (
        "pid",
        "tid",
        "uid",
        "gid",
        "cpu",
        "time",
        "ppid",
        "cgroup",
        "duration",
        "kstack",
        "ustack",
    ):
        return scope.builtin(name, span)
    raise spec_error(
        "BAD_VAR",
        f"${name} is not known",
        span,
        "known are $arg1 ... $retval $stack $stackN $comm $current and the builtins, as in $pid",
    )


def _stack(digits: str, span: Span, scope: Scope) -> Operand:
    if not scope.has_registers:
        raise _no_registers("BAD_VAR", span)
    pointer = RegisterValue(scope.arch.stack_pointer)
    if not digits:
        return NumberOperand(pointer, None, scope.space)
    if int(digits) > _MAX_STACK_SLOT:
        raise spec_error(
            "BAD_STACK_NUM", f"the stack has no slot {digits}", span, f"0 to {_MAX_STACK_SLOT}"
        )
    return NumberOperand(Load(pointer, 8 * int(digits), X64, scope.space))


def register(name: str, span: Span, scope: Scope) -> Operand:
    """``%NAME``."""
    if not scope.has_registers:
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
            "nm(1) prints addresses of the program's own: @0xADDRESS (not for a PIE)",
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
