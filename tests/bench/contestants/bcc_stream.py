"""The same events with bcc: tracepoint|kprobe PID COUNT now|later perf|ring|empty PAGES.

``perf`` is as its documentation writes it; ``ring`` is the best that it can do: a ring buffer that
wakes nobody and is emptied a hundred times a second. ``empty`` is a program that does nothing.
A kprobe has the address of the function where the tracepoint has the number of the call.
"""

import sys
import time

from bcc import BPF

LONGEST_S = 30
PERIOD_S = 0.01
HEAD = """
#include <uapi/linux/ptrace.h>
#include <linux/sched.h>

struct data_t {
    u64 ts;
    u32 pid;
    u32 tid;
    char comm[TASK_COMM_LEN];
    u64 cpu;
    u64 nr;
};
"""
PERF = """
BPF_PERF_OUTPUT(events);

TRACEPOINT_PROBE(syscalls, sys_enter_getppid)
{
    u64 id = bpf_get_current_pid_tgid();
    if (id >> 32 != PID)
        return 0;
    struct data_t data = {};
    data.ts = bpf_ktime_get_ns();
    data.pid = id >> 32;
    data.tid = id;
    bpf_get_current_comm(&data.comm, sizeof(data.comm));
    data.cpu = bpf_get_smp_processor_id();
    data.nr = args->__syscall_nr;
    events.perf_submit(args, &data, sizeof(data));
    return 0;
}
"""
RING = """
BPF_RINGBUF_OUTPUT(events, PAGES);

TRACEPOINT_PROBE(syscalls, sys_enter_getppid)
{
    u64 id = bpf_get_current_pid_tgid();
    if (id >> 32 != PID)
        return 0;
    struct data_t *data = events.ringbuf_reserve(sizeof(struct data_t));
    if (!data)
        return 0;
    data->ts = bpf_ktime_get_ns();
    data->pid = id >> 32;
    data->tid = id;
    bpf_get_current_comm(&data->comm, sizeof(data->comm));
    data->cpu = bpf_get_smp_processor_id();
    data->nr = args->__syscall_nr;
    events.ringbuf_submit(data, BPF_RB_NO_WAKEUP);
    return 0;
}
"""
EMPTY = """
TRACEPOINT_PROBE(syscalls, sys_enter_getppid)
{
    return 0;
}
"""

point, pid, count, when, kind, pages = sys.argv[1:]
got, wanted = 0, int(count)
text = {"perf": PERF, "ring": RING, "empty": EMPTY}[kind].replace("PID", pid)
text = HEAD + text.replace("PAGES", pages)
if point == "kprobe":
    head = "TRACEPOINT_PROBE(syscalls, sys_enter_getppid)"
    text = text.replace(head, "int hit(struct pt_regs *args)")
    text = text.replace("args->__syscall_nr", "PT_REGS_IP(args)")
b = BPF(text=text)
if point == "kprobe":
    b.attach_kprobe(event=b.get_syscall_fnname("getppid"), fn_name="hit")


def take(cpu: int, data: object, size: int) -> None:
    global got
    event = b["events"].event(data)
    event.ts, event.pid, event.comm  # noqa: B018, reading them is the work
    got += 1


def take_from_ring(context: object, data: object, size: int) -> int:
    take(0, data, size)
    return 0


if kind == "perf":
    b["events"].open_perf_buffer(take, page_cnt=int(pages))
if kind == "ring":
    b["events"].open_ring_buffer(take_from_ring)
print('{"attached": 1}', flush=True)
if when == "later" or kind == "empty":
    sys.stdin.readline()
started, last = time.process_time_ns(), time.monotonic() + LONGEST_S
while got < wanted and kind != "empty" and time.monotonic() < last:
    if kind == "perf":
        b.perf_buffer_poll(timeout=100)
    else:
        before = got
        b.ring_buffer_consume()
        if got == before:
            time.sleep(PERIOD_S)
ended, cpu_ns = time.monotonic_ns(), time.process_time_ns() - started
print(f'{{"events": {got}, "ended_ns": {ended}, "cpu_ns": {cpu_ns}}}', flush=True)
