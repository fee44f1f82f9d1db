from __future__ import annotations

import pytest

from bpfprobe.engine.verifier_log import complaint

# The end of real logs: first the wording of Linux 5.10, then that of 6.1 and later.
OLD_POINTER = """\
; return *(u64 *)(ctx->di);
92: (79) r3 = *(u64 *)(r6 +112)
93: R0=inv0 R3_w=inv(id=0) R6=ctx(id=0,off=0,imm=0) R10=fp0
94: (79) r1 = *(u64 *)(r3 +8)
R3 invalid mem access 'inv'
processed 95 insns (limit 1000000) max_states_per_insn 0 total_states 4 peak_states 4 mark_read 3
"""
NEW_POINTER = """\
0: R1=ctx(off=0,imm=0) R10=fp0
0: (79) r1 = *(u64 *)(r1 +112)        ; R1_w=scalar()
1: (79) r0 = *(u64 *)(r1 +0)
R1 invalid mem access 'scalar'
verification time 42 usec
stack depth 0
processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
"""
UNCHECKED = """\
5: (85) call bpf_map_lookup_elem#1
6: (79) r0 = *(u64 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
processed 7 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
"""
LOCKDOWN = """\
24: (b7) r2 = 8
25: (85) call bpf_probe_read_kernel#113
unknown func bpf_probe_read_kernel#113
processed 26 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 1
"""
HELPER = """\
3: (85) call bpf_ktime_get_coarse_ns#160
program of this type cannot use helper bpf_ktime_get_coarse_ns#160
processed 4 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
"""
LOOP = "back-edge from insn 8 to 3\n"
COMPLEX = """\
17: (05) goto pc-4
BPF program is too large. Processed 1000001 insn
processed 1000001 insns (limit 1000000) max_states_per_insn 4 total_states 9 peak_states 9
"""
STACK = """\
11: (85) call bpf_ringbuf_output#130
invalid indirect read from stack R2 off -32+12 size 24
processed 12 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
"""
BOUNDS = """\
40: (85) call bpf_probe_read_user#112
R2 unbounded memory access, use 'var &= const' or 'if (var < const)'
processed 41 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 1
"""


@pytest.mark.parametrize(
    ("log", "text", "hint"),
    [
        (
            OLD_POINTER,
            "R3 invalid mem access 'inv' (at instruction 94: r1 = *(u64 *)(r3 +8))",
            "probe read",
        ),
        (
            NEW_POINTER,
            "R1 invalid mem access 'scalar' (at instruction 1: r0 = *(u64 *)(r1 +0))",
            "probe read",
        ),
        (UNCHECKED, "R0 invalid mem access 'map_value_or_null' (at instruction 6", "NULL"),
        (LOCKDOWN, "unknown func bpf_probe_read_kernel#113 (at instruction 25", "lockdown"),
        (HELPER, "program of this type cannot use helper", "helper"),
        (LOOP, "back-edge from insn 8 to 3", "Linux 5.3"),
        (COMPLEX, "BPF program is too large. Processed 1000001 insn", "split"),
        (STACK, "invalid indirect read from stack R2 off -32+12 size 24", "padding"),
        (BOUNDS, "R2 unbounded memory access", "bounded"),
    ],
)
def test_complaint(log: str, text: str, hint: str) -> None:
    found = complaint(log)
    assert found.text.startswith(text)
    assert hint in (found.hint or "")


def test_how_many_instructions_were_walked() -> None:
    assert complaint(COMPLEX).processed == 1_000_001
    assert complaint(NEW_POINTER).processed == 2
    assert complaint(LOOP).processed is None


@pytest.mark.parametrize("log", ["", "\n\n", "processed 3 insns (limit 1000000)\n"])
def test_a_log_without_a_complaint(log: str) -> None:
    assert complaint(log).text == ""
    assert complaint(log).hint is None
