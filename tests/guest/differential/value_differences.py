"""Where bpfprobe means to have another value or another text than ftrace, each with its reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from values import Pair

_NUMBER = re.compile(r"-?\d+|0x[0-9a-f]+")
_ZERO = re.compile(r"\{?(0|0x0|'\\0'|'\\x00')(,(0|0x0|'\\0'|'\\x00'))*\}?")


@dataclass(frozen=True)
class ValueDifference:
    """A kind of difference; ``is_this`` looks at both texts and at what was asked for."""

    title: str
    reason: str
    is_this: Callable[[Pair], bool]


def same(pair: Pair) -> bool:
    """Whether both have the same text, or mean to differ."""
    return pair.kernel == pair.ours or any(d.is_this(pair) for d in VALUE_DIFFERENCES)


def _number(text: str) -> int | None:
    return int(text, 0) if _NUMBER.fullmatch(text) else None


def _same_number(pair: Pair, bits: int) -> bool:
    one, other = _number(pair.kernel), _number(pair.ours)
    return one is not None and other is not None and (one - other) % (1 << bits) == 0


VALUE_DIFFERENCES = (
    ValueDifference(
        "Faults of numbers",
        "A number that could not be read is (fault), as a string is; the kernel has 0, which it "
        "may have been as well",
        lambda pair: "(fault)" in pair.ours and _ZERO.fullmatch(pair.kernel) is not None,
    ),
    ValueDifference(
        "Small faults",
        "The kernel leaves the errno in a number of one byte that could not be read from a fixed "
        "address (255, 242)",
        lambda pair: pair.ours == "(fault)" and _number(pair.kernel) in (255, 242),
    ),
    ValueDifference(
        "What a fault leaves",
        "Behind an address that leads nowhere the kernel stores nothing, and prints what stood in "
        "its buffer before, of another event; a pointer that is not one of the variables of CPUs "
        "leads nowhere in this_cpu_read($arg1)",
        lambda pair: (
            pair.ours == "(fault)"
            and pair.asked.body.startswith("this_cpu_read($arg1)")
            and _number(pair.kernel) is not None
        ),
    ),
    ValueDifference(
        "Symbols as text",
        "The kernel does not end a symstr with a NUL: what was stored behind it is printed with it",
        lambda pair: (
            pair.asked.body.endswith(":symstr") and pair.kernel.startswith(pair.ours.rstrip('"'))
        ),
    ),
    ValueDifference(
        "Arguments after a struct",
        "$argN is argument N; the kernel counts registers, of which a struct by value may take two",
        lambda pair: pair.asked.head.endswith("tcp_setsockopt") and "$arg5" in pair.asked.body,
    ),
    ValueDifference(
        "Texts in programs",
        "The kernel looks for a text of the definition in the program's memory, where it is not",
        lambda pair: pair.asked.body.startswith('\\"') and pair.kernel == "(fault)",
    ),
    ValueDifference(
        "Types from BTF",
        "Without a type of its own a value has the one that the kernel's BTF says; before Linux "
        "6.6 the kernel prints all of them as x64, and enumerations always as s32",
        lambda pair: ":" not in pair.asked.body and _same_number(pair, 64),
    ),
    ValueDifference(
        "Wider than they are",
        "A value that BTF has as an int stays one: a wider type extends it with its sign, where "
        "the kernel takes the whole register, or what lies behind it in memory",
        lambda pair: re.match(r"[a-z]", pair.asked.body) is not None and _same_number(pair, 32),
    ),
    ValueDifference(
        "Pointers to char",
        "Without a type of its own a char * is the string that it leads to; the kernel prints the "
        "address",
        lambda pair: (
            ":" not in pair.asked.body and pair.kernel[:2] == "0x" and pair.ours[:1] in ('"', "(")
        ),
    ),
    ValueDifference(
        "Slots behind the stack",
        "The kernel has 0 for slots of the stack behind its end; there is other memory, or a fault",
        lambda pair: "$stack2048" in pair.asked.body and pair.kernel == "0x0",
    ),
    ValueDifference(
        "What is below the stack",
        "What stands below the stack pointer belongs to whoever interrupts next",
        lambda pair: re.search(r"-u?(0x)?8\(%sp\)", pair.asked.body) is not None,
    ),
)
