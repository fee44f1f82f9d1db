"""Condition -> event filter (Documentation/trace/events.rst): comparisons of fields with constants.

A field is an argument of the event's line. What a filter asks about and the description does not
capture becomes an argument of its own, named ``filter1`` and on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.ftrace.fetcharg import Fetched, fetch
from bpfprobe.ftrace.place import NoFormError
from bpfprobe.model.scalar import U32, Scalar, Style
from bpfprobe.model.value import (
    AllOf,
    AnyOf,
    BinaryOperation,
    Builtin,
    BuiltinValue,
    CommText,
    Compare,
    Constant,
    GlobText,
    MaskedText,
    NonZero,
    Not,
    TextEquals,
    TextMatches,
    View,
)

if TYPE_CHECKING:
    from bpfprobe.ftrace.place import Place
    from bpfprobe.model.value import Capturable, Condition, TextValue, Value

# A string that could not be read has length 0 in the record, and the kernel then compares what
# stands behind it (regex_match_full, kernel/trace/trace_events_filter.c).
UNREADABLE_TEXT = 'where a string cannot be read, != and ~ "!..." hold there, and here they do not'
_OF_EVERY_EVENT = {Builtin.TID: "common_pid", Builtin.CPU: "CPU"}
_MAX_OPERAND = 255  # MAX_FILTER_STR_VAL, include/linux/trace_events.h, with its NUL


class Fields:
    """The arguments of a line, by name and by value; a filter adds what it needs."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.arguments: dict[str, Fetched] = {}
        self._names: dict[Capturable, str] = {}

    def add(self, name: str, value: Capturable) -> None:
        """An argument. Raises `NoFormError`."""
        self.arguments[name] = fetch(value, self.place)
        self._names[value] = name

    def name_of(self, value: Capturable) -> str:
        """The argument that is this value, a new one where there is none."""
        if value not in self._names:
            number = 1 + sum(name.startswith("filter") for name in self.arguments)
            while f"filter{number}" in self.arguments:
                number += 1
            self.add(f"filter{number}", value)
        return self._names[value]


def filter_text(condition: Condition, fields: Fields) -> str:
    """The condition as the ``filter`` file takes it. Raises `NoFormError`."""
    match condition:
        case Compare():
            return _compare(condition, fields)
        case TextEquals(text, literal, negated):
            operator = "!=" if negated else "=="
            return f"{_text_field(text, fields)} {operator} {_quoted(literal)}"
        case TextMatches(text, pattern, negated):
            if not pattern:
                raise NoFormError("an empty glob matches nothing there")
            test = f"{_text_field(text, fields)} ~ {_quoted(pattern)}"
            return f"!({test})" if negated else test
        case MaskedText(asked) | GlobText(asked):
            return filter_text(asked, fields)
        case NonZero(BinaryOperation("&", left, Constant(mask))):
            return _masked(left, mask, fields)
        case NonZero(value):
            return f"{_number_field(value, fields)[0]} != 0"
        case Not(inner):
            return f"!({filter_text(inner, fields)})"
        case AllOf(parts):
            return " && ".join(_inner(part, fields) for part in parts)
        case AnyOf(parts):
            return " || ".join(_inner(part, fields) for part in parts)


def _inner(condition: Condition, fields: Fields) -> str:
    text = filter_text(condition, fields)
    return f"({text})" if isinstance(condition, (AllOf, AnyOf)) else text


def _compare(condition: Compare, fields: Fields) -> str:
    if not isinstance(condition.right, Constant):
        raise NoFormError("a field is compared with a constant there, never with another field")
    operator, number = condition.operator, condition.right.value
    match condition.left:
        case BinaryOperation("&", left, Constant(mask)) if operator in ("==", "!="):
            single = mask > 0 and mask & (mask - 1) == 0
            if number != 0 and not (single and number == mask):
                raise NoFormError("& only asks there whether any bit of a mask is set")
            test = _masked(left, mask, fields)
            return test if (operator == "==") is (number != 0) else f"!({test})"
    name, scalar = _number_field(condition.left, fields)
    return f"{name} {operator} {_constant(number, scalar, condition.left.type)}"


def _constant(number: int, scalar: Scalar, compared_as: Scalar) -> int:
    """The constant as the field's type takes it: the kernel cuts it to the field's size."""
    if number < 0 and not scalar.signed and scalar.size == compared_as.size == 8:
        number += 1 << 64
    bits = scalar.size * 8 - scalar.signed
    if not (-(1 << bits) if scalar.signed else 0) <= number < 1 << bits:
        raise NoFormError(f"{number} is cut there to the field's type, {scalar}")
    return number


def _masked(value: Value, mask: int, fields: Fields) -> str:
    name, scalar = _number_field(value, fields)
    if not 0 < mask < 1 << (scalar.size * 8):
        raise NoFormError(f"the mask {mask:#x} is cut there to the field's type, {scalar}")
    if scalar.signed and mask >> (scalar.size * 8 - 1):
        raise NoFormError(f"the mask {mask:#x} does not fit the field's type, {scalar}")
    return f"{name} & {mask:#x}"


def _number_field(value: Value, fields: Fields) -> tuple[str, Scalar]:
    inner = value.value if isinstance(value, View) and value.type.size == 4 else value
    if isinstance(inner, BuiltinValue):
        if inner.builtin in _OF_EVERY_EVENT:
            return _OF_EVERY_EVENT[inner.builtin], U32
        if inner.builtin is Builtin.PID:
            raise NoFormError(
                "common_pid is a thread; write the process's threads into set_event_pid"
            )
    name = fields.name_of(value)
    found = fields.arguments[name]
    if found.other or found.scalar.style is Style.SYMBOL_TEXT:
        raise NoFormError(f"{name} is {found.type} there, and this compares a number")
    return name, found.scalar


def _text_field(text: TextValue, fields: Fields) -> str:
    return "COMM" if isinstance(text, CommText) else fields.name_of(text)


def _quoted(literal: bytes) -> str:
    text = literal.decode("ascii", errors="replace")
    if not literal or not text.isprintable() or "\ufffd" in text or len(literal) >= _MAX_OPERAND:
        raise NoFormError(
            f"text in a filter is printable ASCII there, and has 1 to {_MAX_OPERAND - 1} characters"
        )
    quote = "'" if '"' in text else '"'
    if quote in text:
        raise NoFormError("text in a filter cannot hold both kinds of quotes there")
    return f"{quote}{text}{quote}"
