"""The same uprobe with bcc, as its tutorial writes such programs (lesson 7): PROGRAM."""

import sys
import time

from bcc import BPF

began = time.monotonic_ns()
b = BPF(
    text=r"""
#include <uapi/linux/ptrace.h>
#include <linux/sched.h>

struct data_t {
    u64 ts;
    u32 pid;
    u32 tid;
    char comm[TASK_COMM_LEN];
    int n;
};
BPF_PERF_OUTPUT(events);

int probe(struct pt_regs *ctx)
{
    struct data_t data = {};
    u64 id = bpf_get_current_pid_tgid();
    data.ts = bpf_ktime_get_ns();
    data.pid = id >> 32;
    data.tid = id;
    bpf_get_current_comm(&data.comm, sizeof(data.comm));
    data.n = PT_REGS_PARM1(ctx);
    events.perf_submit(ctx, &data, sizeof(data));
    return 0;
}
"""
)
b.attach_uprobe(name=sys.argv[1], sym="work", fn_name="probe")
b["events"].open_perf_buffer(lambda cpu, data, size: None)
attached = time.monotonic_ns()
print(f'{{"describing_ns": {began}, "attached_ns": {attached}}}', flush=True)
sys.stdin.readline()
