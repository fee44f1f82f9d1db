"""The fields that every event of the kernel has, by the names that its filters have for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.value import Builtin, BuiltinValue, CommText
from bpfprobe.resolve.operand import NumberOperand, Operand, TextOperand

if TYPE_CHECKING:
    from bpfprobe.model.span import Span

_FIELDS: dict[str, Operand] = {
    "CPU": NumberOperand(BuiltinValue(Builtin.CPU)),
    "common_cpu": NumberOperand(BuiltinValue(Builtin.CPU)),
    "COMM": TextOperand(CommText()),
    "common_pid": NumberOperand(BuiltinValue(Builtin.TID)),  # it is a thread's id in the kernel too
}

_NOT_HANDED = "the kernel puts a pointer over it before the program sees the record"
_SAME_AT_EVERY_HIT = "it is the same at every hit of a probe"
_ABSENT = {
    # perf_trace_run_bpf_submit() overwrites the first 8 bytes of a record, which hold these.
    "common_flags": (_NOT_HANDED, "in a kprobe the interrupt flag is in %flags"),
    "common_preempt_count": (_NOT_HANDED, "nothing that a program may call tells it"),
    "common_type": (_SAME_AT_EVERY_HIT, "leave it out"),
    "__probe_ip": (_SAME_AT_EVERY_HIT, "func is the function's name, and %ip is the register"),
    "__probe_func": (_SAME_AT_EVERY_HIT, "func is the function's name"),
    "__probe_ret_ip": (
        "the place that is returned to is on the stack, and the kernel has replaced it there",
        "probe the callers by name",
    ),
    "stacktrace": ("a stack cannot be compared with anything", "in the kernel it is for hist only"),
}


def event_field(name: str, span: Span) -> Operand | None:
    """``common_pid``, ``CPU``, ``COMM`` and so on; None for what is no such name.

    Raises `SpecError` for those that no program is told.
    """
    if name.startswith("CPUS"):
        raise spec_error(
            "MISSING_BRACE_OPEN", "a set of CPUs stands in braces", span, "cpu & CPUS{0-3}"
        )
    found = _FIELDS.get(name)
    absent = _ABSENT.get("stacktrace" if name == "STACKTRACE" else name)
    if found is None and absent is not None:
        why, way_out = absent
        raise spec_error("FIELD_NOT_FOUND", f"{name} cannot be had: {why}", span, way_out)
    return found
