"""``FIELD.function == vfs_read``: whether an address is inside of a kernel function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model import expression as ast
from bpfprobe.resolve.number_conditions import within
from bpfprobe.resolve.operand import describe, number_of

if TYPE_CHECKING:
    from bpfprobe.model.machine import SymbolRange
    from bpfprobe.model.value import Condition
    from bpfprobe.resolve.operand import Operand
    from bpfprobe.resolve.scope import Scope


def in_function(
    expression: ast.Binary, field: ast.Expression, operand: Operand, scope: Scope
) -> Condition:
    """``field``, which stands for ``operand``, and a function or an address. Raises `SpecError`.

    A function begins at its symbol and ends at the next one, as the kernel has it too
    (kallsyms_lookup_size_offset()).
    """
    value = number_of(operand)
    if value is None or value.type.size != 8:
        kind = f"{value.type}" if value is not None else describe(operand)
        raise spec_error(
            "ILLEGAL_FIELD_OP",
            f"{field.span.text} is {kind}, and the address of a function has 64 bits",
            field.span,
            "compare a pointer, or a number of 64 bits",
        )
    if expression.operator not in ("==", "!="):
        raise spec_error(
            "INVALID_OP",
            f"{expression.operator} does not compare functions",
            expression.operator_span,
            "== and != do",
        )
    found = _range(expression.right, scope)
    return within(value, found.start, found.size, negated=expression.operator == "!=")


def _range(right: ast.Expression, scope: Scope) -> SymbolRange:
    if isinstance(right, ast.Number) and not right.is_character:
        address = right.value
    elif isinstance(right, ast.Name):
        symbols = scope.target.symbols(right.name)
        if not symbols:
            near = scope.target.similar_functions(right.name)
            raise _no_function(
                f"the kernel has no function {right.name}",
                right,
                f"did you mean {' or '.join(near[:3])}?" if near else _LIST,
            )
        address = symbols[0].address
        if address == 0:
            raise _no_function(
                f"the address of {right.name} is hidden",
                right,
                "root sees it unless the sysctl kernel.kptr_restrict is 2",
            )
    else:
        raise spec_error(
            "INVALID_VALUE",
            ".function is compared with a function or an address",
            right.span,
            "without quotes: caller.function == vfs_read",
        )
    found = scope.target.symbol_at(address)
    if found is None:
        raise _no_function(f"no function is at {right.span.text}", right, _LIST)
    return found


_LIST = "names are those of /proc/kallsyms"


def _no_function(message: str, right: ast.Expression, hint: str) -> SpecError:
    return spec_error("NO_FUNCTION", message, right.span, hint)
