"""What can go wrong in the lab.

::

    LabError                     from bpfprobe.errors
    ├── LabUnavailable           no guest can be had: a tool, a package or the network is missing
    │   ├── KernelUnavailable    the mirror no longer has a kernel of the matrix
    │   └── HeadersUnavailable   the mirror has a kernel, but its headers no more
    ├── GuestFault               the guest's kernel crashed or warned
    ├── GuestTimeout             the command did not end in time; the guest was stopped
    └── GuestLost                the emulator ended without the guest saying why

The last three carry ``console``, what the guest's kernel printed.
"""

from __future__ import annotations

from bpfprobe.errors import LabError
from bpfprobe.model.printable import lines_text

CONSOLE_TAIL_LINES = 40


class LabUnavailable(LabError):
    """A guest cannot be had on this machine; the hint says what is needed."""

    code = "LAB_UNAVAILABLE"


class KernelUnavailable(LabUnavailable):
    """A kernel of the matrix can no longer be had; others can."""

    code = "LAB_NO_KERNEL"


class HeadersUnavailable(LabUnavailable):
    """A kernel's headers are not to be had; the kernel itself is."""

    code = "LAB_NO_HEADERS"


class ConsoleError(LabError):
    """An error explained by the guest's console; base of those that end a guest."""

    code = "LAB_GUEST"
    exit_status = 1

    def __init__(self, message: str, *, console: bytes, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.console = console

    def __str__(self) -> str:
        return f"{super().__str__()}\n{console_tail(self.console)}"


class GuestFault(ConsoleError):
    """The guest's kernel crashed, locked up or warned while the command ran."""

    code = "LAB_GUEST_FAULT"
    exit_status = 70


class GuestTimeout(ConsoleError):
    """The command did not end within its time."""

    code = "LAB_GUEST_TIMEOUT"
    exit_status = 124


class GuestLost(ConsoleError):
    """The emulator ended, and the console does not say why."""

    code = "LAB_GUEST_LOST"
    exit_status = 71


def console_tail(console: bytes, lines: int = CONSOLE_TAIL_LINES) -> str:
    """The end of a console as text that is safe to print, one marked line per console line."""
    text = console.decode("utf-8", "replace").replace("\r", "")
    tail = [line for line in text.split("\n") if line.strip()][-lines:]
    if not tail:
        return "the guest's console is empty"
    return lines_text(["the guest's console ends with:", *(f"  | {line}" for line in tail)])
