"""``$arg*``: every argument of the function, each a capture of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import Diagnostic, SpecError, spec_error
from bpfprobe.model.expression import Variable
from bpfprobe.model.names import default_capture_name
from bpfprobe.model.spec import Capture
from bpfprobe.model.value import Space

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfprobe.resolve.scope import Scope


def all_captures(
    captures: Iterable[Capture], scope: Scope, wrong: list[Diagnostic]
) -> list[Capture]:
    """The captures with ``$arg*`` replaced by what it stands for.

    What is wrong with it is added to ``wrong``.
    """
    found: list[Capture] = []
    for capture in captures:
        if not (isinstance(capture.value, Variable) and capture.value.name == "arg*"):
            found.append(capture)
            continue
        try:
            found += _arguments(
                capture, scope, found, {one.name for one in captures if one is not capture}
            )
        except SpecError as error:
            wrong.extend(error.diagnostics)
    return found


def _arguments(
    capture: Capture, scope: Scope, before: list[Capture], names: set[str]
) -> list[Capture]:
    span = capture.value.span
    if scope.is_inside or scope.file_offset is not None or not scope.has_registers:
        raise spec_error(
            "BAD_VAR" if scope.space is Space.USER or scope.is_eprobe else "NOFENTRY_ARGS",
            "only the entry or the return of a kernel function has all its arguments",
            span,
            "take what there is by its name or number",
        )
    if scope.argument_count is None:
        raise spec_error(
            "NO_BTF_ENTRY",
            f"how many arguments {scope.function} has is not known",
            span,
            "take them by number: $arg1 $arg2",
        )
    made: list[Capture] = []
    for number in range(1, scope.argument_count + 1):
        scope.argument(number, span)  # raises for what cannot be reached
        own = [
            name for name, operand in scope.arguments.items() if operand is scope.numbered[number]
        ]
        taken = names.union(other.name for other in (*before, *made))
        name = default_capture_name(own[0] if own else "", taken, len(before) + len(made) + 1)
        made.append(Capture(name, Variable(f"arg{number}", span), None, capture.span, span))
    return made
