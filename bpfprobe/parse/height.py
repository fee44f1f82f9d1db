"""A bound on the tree of an expression: whoever walks it later does so by recursion."""

from __future__ import annotations

from bpfprobe.errors import spec_error
from bpfprobe.model.expression import (
    Binary,
    Call,
    Cast,
    Element,
    Expression,
    MemberOf,
    Offset,
    StructView,
    Unary,
)

MAX_HEIGHT = 512
"""How high the tree of an expression may be; ``&&`` and ``||`` count 1, all else 4."""


def check_height(expression: Expression) -> None:
    """Raise for a chain of operators that is too long."""
    if _height(expression) > MAX_HEIGHT:
        raise spec_error(
            "TOO_MANY_OPS",
            "this is too long a chain of operators",
            expression.span,
            "make it several captures, or several probes",
        )


def _height(expression: Expression) -> int:
    """The height of the tree, found without recursion."""
    highest, open_nodes = 0, [(expression, 0)]
    while open_nodes:
        node, above = open_nodes.pop()
        light = isinstance(node, Binary) and node.operator in ("&&", "||")
        height = above + (1 if light else 4)
        highest = max(highest, height)
        open_nodes += [(inner, height) for inner in _operands(node)]
    return highest


def _operands(node: Expression) -> tuple[Expression, ...]:
    match node:
        case Binary():
            return (node.left, node.right)
        case Unary() | Cast() | StructView():
            return (node.operand,)
        case Offset() | MemberOf() | Element():
            return (node.base,)
        case Call():
            return node.arguments
        case _:
            return ()
