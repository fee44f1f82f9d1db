"""The kernel's side: an event with a filter, what the kernel says to the filter, and its rows."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TRACEFS = Path("/sys/kernel/tracing")

ERRORS = {
    "Invalid operator": "INVALID_OP",
    "Too many '('": "TOO_MANY_OPEN",
    "Too few '('": "TOO_MANY_CLOSE",
    "Missing matching quote": "MISSING_QUOTE",
    "Missing '{'": "MISSING_BRACE_OPEN",
    "Missing '}'": "MISSING_BRACE_CLOSE",
    "Operand too long": "OPERAND_TOO_LONG",
    "Expecting string field": "EXPECT_STRING",
    "Expecting numeric field": "EXPECT_DIGIT",
    "Illegal operation for field type": "ILLEGAL_FIELD_OP",
    "Field not found": "FIELD_NOT_FOUND",
    "Illegal integer value": "ILLEGAL_INTVAL",
    "Too many terms in predicate expression": "TOO_MANY_PREDS",
    "Meaningless filter expression": "INVALID_FILTER",
    "Invalid cpulist": "INVALID_CPULIST",
    "Invalid value (did you forget quotes)?": "INVALID_VALUE",
    "Function not found": "NO_FUNCTION",
    "No filter found": "NO_FILTER",
}
"""The kernel's texts with its names for them (the table ERRORS of trace_events_filter.c)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the kernel said: the name of an error ("" for none), and the column of its caret."""

    code: str
    column: int = -1


class KernelEvent:
    """An event of tracefs whose rows are told apart by a number or a text in each."""

    def __init__(self, name: str, key: str) -> None:
        self._folder = TRACEFS / "events" / name
        self._event = name.partition("/")[2]
        self._key = re.compile(key)

    def refusal(self, text: str) -> Refusal | None:
        """Give the event this filter; None where it is taken."""
        try:
            (self._folder / "filter").write_text(text)
        except OSError:
            return self._complaint()
        return None

    def kept(self, act: Callable[[], None]) -> set[str]:
        """The keys of the rows that come while ``act`` runs."""
        (TRACEFS / "trace").write_text("")
        (self._folder / "enable").write_text("1")
        act()
        (self._folder / "enable").write_text("0")
        rows = (TRACEFS / "trace").read_text(errors="surrogateescape").splitlines()
        assert not any("LOST" in row for row in rows)
        return {_in_decimal(found[1]) for row in rows if (found := self._key.search(row))}

    def _complaint(self) -> Refusal:
        """The filter's file: the text, a caret below it, and the error."""
        lines = (self._folder / "filter").read_text().splitlines()
        (self._folder / "filter").write_text("0")
        for at, line in enumerate(lines):
            if line.startswith("parse_error: "):
                return Refusal(ERRORS[line.removeprefix("parse_error: ")], lines[at - 1].index("^"))
        return Refusal("")


def _in_decimal(key: str) -> str:
    """Old kernels print the arguments of system calls in hexadecimal: 16 digits below zero."""
    return str(int(key, 16)) if re.fullmatch("f{8}[0-9a-f]{8}", key) else key


def prepare(definition: str = "") -> None:
    """Have tracefs where it belongs, a buffer that is large enough, and an event of our own."""
    if not (TRACEFS / "README").exists():
        subprocess.run(["mount", "-t", "tracefs", "tracefs", TRACEFS], check=True)
    (TRACEFS / "buffer_size_kb").write_text("4096")
    # Every filter that is replaced is waited for; this makes the wait short.
    Path("/sys/kernel/rcu_expedited").write_text("1")
    if definition:
        (TRACEFS / "dynamic_events").write_text(definition + "\n")
