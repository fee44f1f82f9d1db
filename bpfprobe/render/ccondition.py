"""Prints conditions as C: statements that read, and an expression that is 0 or 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.value import (
    AllOf,
    AnyOf,
    CommText,
    Compare,
    Condition,
    Constant,
    GlobText,
    MaskedText,
    NonZero,
    Not,
    Parameter,
    TextAt,
    TextEquals,
    TextMatches,
)
from bpfprobe.model.walk import walk
from bpfprobe.render.cstring import known_already

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfprobe.render.cstring import StringWriter
    from bpfprobe.render.cvalue import ValueWriter


_PARTS_AT_ONCE = 8


class ConditionWriter:
    """Writes conditions into a program. A value that faulted makes its comparison false."""

    def __init__(self, values: ValueWriter, strings: StringWriter) -> None:
        self._values = values
        self.strings = strings
        values.print_condition = self.condition

    def guard(self, condition: Condition, *, before_leaving: Iterable[str] = ()) -> None:
        """Leave the program unless the condition holds."""
        parts = list(walk(condition))
        if any(isinstance(node, CommText) for node in parts):
            self._values.comm()  # here, where all that follows can use it
        texts = [node for node in parts if isinstance(node, (MaskedText, GlobText))]
        has_text = any(isinstance(node.asked.text, TextAt) for node in texts)
        self.strings.hold(texts)
        with self._values.scope(own=has_text):
            test = self.condition(condition)
            with self._values.block(f"if (!{test})"):
                for line in before_leaving:
                    self._values.line(line)
                self._values.line("return 0;")

    def condition(self, condition: Condition) -> str:
        """C that is 0 or 1, in brackets."""
        match condition:
            case Compare():
                return self._compare(condition)
            case NonZero(value):
                seen = self._values.value(value)
                return _unless_faulted(f"{seen.text} != 0", seen.fault)
            case Not(inner):
                return f"(!{self.condition(inner)})"
            case MaskedText():
                return self.strings.masked(condition)
            case GlobText():
                return self.strings.glob(condition)
            case TextEquals() | TextMatches():
                return "1" if known_already(condition) else "0"
            case AllOf(parts):
                return self._chain(parts, start="1", go_on="")
            case AnyOf(parts):
                return self._chain(parts, start="0", go_on="!")

    def _compare(self, condition: Compare) -> str:
        left, right = self._values.value(condition.left), self._values.value(condition.right)
        fault = " | ".join(part for part in (left.fault, right.fault) if part)
        if _compares_signed(condition):
            return _unless_faulted(
                f"(s64){left.text} {condition.operator} (s64){right.text}", fault
            )
        return _unless_faulted(f"{left.text} {condition.operator} {right.text}", fault)

    def _chain(self, parts: tuple[Condition, ...], *, start: str, go_on: str) -> str:
        """One after the other, as long as the outcome is open."""
        name = self._values.fresh("holds")
        self._values.line(f"u64 {name} = {start};")
        for number, part in enumerate(parts, 1):
            with self._values.block(f"if ({go_on}{name})"):
                self._values.line(f"{name} = {self.condition(part)};")
            if number % _PARTS_AT_ONCE == 0:
                # Else the compiler holds the outcome of each part on the stack and joins them last.
                self._values.line(f'asm volatile("" : "+r"({name}));')
        return f"({name})"


def _compares_signed(condition: Compare) -> bool:
    """Signed, unless a side is an unsigned number of 64 bits."""
    return not any(
        side.type.size == 8 and not side.type.signed and not isinstance(side, (Constant, Parameter))
        for side in (condition.left, condition.right)
    )


def _unless_faulted(test: str, fault: str) -> str:
    return f"(!({fault}) && {test})" if fault else f"({test})"
