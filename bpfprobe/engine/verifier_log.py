"""What a verifier log says, in a line: the complaint, where, and a way out where one is known.

The wording differs between kernels: a plain number was ``inv`` before Linux 5.18 (commit
7df5072cc05f) and is ``scalar`` since.
"""

from __future__ import annotations

from bpfprobe.model.noun import dataclass
from bpfprobe.model.regex import regex

_STATISTICS = regex(
    r"^(processed \d+ insns|verification time|stack depth|max_states|peak_states|mark_read"
    r"|insns processed|subprog|arg#|func#\d|old state|new state|\s*$)"
)
_INSTRUCTION = regex(r"^\s*(\d+): \([0-9a-f]{2}\) (.*)$")
# Register states, source lines and jumps of the walk, which end no log.
_STATE = regex(
    r"^(\d+: (R\d|frame|safe|\()|\s*R\d+(_\w+)?=|; |from \d+ to \d+|caller:|callee:"
    r"|propagating|last_idx|regs=|mark_precise|parent |frame\d)"
)
_PROCESSED = regex(r"[Pp]rocessed (\d+) insn")

_HINTS = (
    (
        regex(r"invalid mem access '(inv|scalar)"),
        "a pointer is followed without a probe read: in the program, read through "
        "bpf_probe_read_kernel or _user",
    ),
    (
        regex(r"(map_value|mem|ringbuf_mem|alloc_mem)_or_null'"),
        "what a lookup or a reserve gave must be compared with NULL before it is used",
    ),
    (
        regex(r"unknown func (bpf_probe_read\w*)"),
        "this kernel has no such helper (before Linux 5.5), or lockdown=confidentiality forbids it",
    ),
    (
        regex(r"unknown func|cannot use helper|helper call is not allowed|invalid func"),
        "this kernel, or this kind of program, does not have that helper",
    ),
    (regex(r"back-edge"), "loops in BPF programs need Linux 5.3"),
    (
        regex(r"BPF program is too large|too many instructions|jumps is too complex"),
        "split it into several probes, or capture and filter less in one",
    ),
    (
        regex(r"unbounded memory access|min value is (negative|outside)"),
        "a size or an index must be unsigned and bounded right before its use",
    ),
    (
        regex(r"invalid (indirect )?read from stack|uninitialized"),
        "each byte of a key, value or event must be set before it is used, padding too",
    ),
    (regex(r"combined stack size|stack depth|invalid stack"), "BPF has 512 bytes of stack"),
    (
        regex(r"misaligned"),
        "this kernel wants aligned access; values of 8 bytes start at multiples of 8",
    ),
)


@dataclass(frozen=True, slots=True)
class Complaint:
    """``text`` is what the verifier objects to, in one line; ``hint`` the way out, if known.

    ``processed`` counts the instructions that it walked, and ``instruction`` is the number of the
    one it objected to; None where the log does not say.
    """

    text: str
    hint: str | None
    processed: int | None
    instruction: int | None = None


def complaint(log: str) -> Complaint:
    """The complaint of a log; empty text if there is none in it."""
    counted = _PROCESSED.findall(log)
    lines = [line.rstrip() for line in log.splitlines() if not _STATISTICS.match(line)]
    told: list[str] = []
    instruction, number = "", None
    for line in reversed(lines):
        found = _INSTRUCTION.match(line)
        if found:
            instruction, number = f"{found[1]}: {found[2]}", int(found[1])
            break
        if not _STATE.match(line) and len(told) < 3:
            told.insert(0, line.strip())
    text = "; ".join(told)
    if text and instruction:
        text += f" (at instruction {instruction})"
    hint = next((hint for pattern, hint in _HINTS if pattern.search("\n".join(told))), None)
    return Complaint(text or instruction, hint, int(counted[-1]) if counted else None, number)
