"""One start of the same uprobe with BCC's Python; prints what each step took, in seconds."""

from __future__ import annotations

import sys
import time

START = time.perf_counter()

import bcc  # noqa: E402, the import is the first step

IMPORTED = time.perf_counter()

# What an event of bpfprobe holds too: time, process, thread, name, and the argument.
TEXT = r"""
#include <uapi/linux/ptrace.h>

struct event { u64 time; u32 pid; u32 tid; char comm[16]; s32 n; };
BPF_PERF_OUTPUT(events);
int probe(struct pt_regs *ctx)
{
    struct event event = {};
    u64 id = bpf_get_current_pid_tgid();
    event.time = bpf_ktime_get_ns();
    event.pid = id >> 32;
    event.tid = id;
    bpf_get_current_comm(&event.comm, sizeof(event.comm));
    event.n = PT_REGS_PARM1(ctx);
    events.perf_submit(ctx, &event, sizeof(event));
    return 0;
}
"""


def main() -> None:
    """Attach once, and say what it took."""
    start = time.perf_counter()
    program = bcc.BPF(text=TEXT)
    compiled = time.perf_counter()
    program.attach_uprobe(name=sys.argv[1], sym="work", fn_name="probe")
    program["events"].open_perf_buffer(lambda cpu, data, size: None)
    end = time.perf_counter()
    program.cleanup()
    print("import", IMPORTED - START)
    print("compile", compiled - start)
    print("load and attach", end - compiled)


if __name__ == "__main__":
    main()
