"""The functions of expressions, and what stands here for those of C, bcc and bpftrace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error

if TYPE_CHECKING:
    from bpfprobe.model.span import Span

FUNCTIONS = ("entry", "this_cpu_ptr", "this_cpu_read")
_TEXTS = "a string is a value with a type: VALUE:string, or VALUE:ustring in user memory"
_SUMMARIES = "there are no summaries in the kernel yet: take the values, and count them in Python"
ELSEWHERE = {
    "container_of": "(STRUCT,MEMBER)POINTER->NAME looks at a pointer to a member: "
    "(file,f_path)$arg1->f_flags",
    "offsetof": "members go by their names, POINTER->MEMBER, and offsets are numbers",
    "sizeof": "write the number of bytes",
    "str": _TEXTS, "kstr": _TEXTS, "ustr": _TEXTS, "buf": "bytes are +0(VALUE):bytes[LENGTH]",
    "ksym": "VALUE:symstr is the function at an address", "sym": "VALUE:symstr",
    "kstack": "kstack, without brackets", "ustack": "ustack, without brackets",
    "stack": "kstack or ustack", "retval": "retval, without brackets",
    "count": _SUMMARIES, "sum": _SUMMARIES, "avg": _SUMMARIES, "min": _SUMMARIES,
    "max": _SUMMARIES, "hist": _SUMMARIES, "lhist": _SUMMARIES, "stats": _SUMMARIES,
    "arg": "$arg1 is the first argument", "reg": "%di is a register",
    "bpf_get_current_pid_tgid": "pid and tid", "bpf_get_current_comm": "comm",
    "bpf_ktime_get_ns": "time",
}  # fmt: skip
"""Functions of C, bcc and bpftrace, each with what there is here."""


def no_function(name: str, span: Span) -> SpecError:
    """Return the refusal of a call of what is not a function here."""
    known = "there are entry(...), the value that it had on entry, this_cpu_ptr and this_cpu_read"
    hint = ELSEWHERE.get(name, known)
    return spec_error("BAD_FETCH_ARG", f"there is no function {name}", span, hint)
