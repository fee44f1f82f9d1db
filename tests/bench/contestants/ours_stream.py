"""Events of a system call's tracepoint with bpfprobe: PID COUNT now|later each|batches.

``later`` waits for a line on stdin before it looks at the events, which are all there by then.
"""

import sys
import time

import bpfprobe as bp

BUFFER_BYTES = 1 << 26
LONGEST_S = 30

pid, count, when, how = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
probe = bp.tracepoint("syscalls:sys_enter_getppid", nr="__syscall_nr:u64")
session = bp.Session(probe, pid=pid, buffer_bytes=BUFFER_BYTES)


@session.on(probe)
def take(event: bp.Event) -> None:
    event.time, event.pid, event.comm  # noqa: B018, reading them is the work


def take_batches() -> None:
    got = 0
    for batch in session.batches(duration=LONGEST_S):
        data = batch.data
        data["time"].sum(), data["pid"].max(), data["comm"][0]
        got += len(data)
        if got >= count:
            return


with session:
    print('{"attached": 1}', flush=True)
    if when == "later":
        sys.stdin.readline()
    started = time.process_time_ns()
    if how == "batches":
        take_batches()
    else:
        session.run(max_events=count, duration=LONGEST_S)
    ended, cpu = time.monotonic_ns(), time.process_time_ns() - started
    events = session.statistics().delivered
print(f'{{"events": {events}, "ended_ns": {ended}, "cpu_ns": {cpu}}}', flush=True)
