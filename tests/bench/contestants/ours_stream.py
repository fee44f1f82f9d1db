"""Events of getppid(2) with bpfprobe: tracepoint|kprobe PID COUNT now|later each|batches.

``later`` waits for a line on stdin before it looks at the events, which are all there by then.
"""

import sys
import time

import bpfprobe as bp

BUFFER_BYTES = 1 << 26
LONGEST_S = 30

point, pid, wanted, when, how = sys.argv[1:]
count = int(wanted)
if point == "kprobe":
    probe = bp.kprobe("__x64_sys_getppid", place="%ip:u64")
else:
    probe = bp.tracepoint("syscalls:sys_enter_getppid", nr="__syscall_nr:u64")
session = bp.Session(probe, pid=int(pid), buffer_bytes=BUFFER_BYTES)


@session.on(probe)
def take(event: bp.Event) -> None:
    event.time, event.pid, event.comm  # noqa: B018, reading them is the work


def take_batches() -> None:
    got = 0
    for batch in session.batches(duration=LONGEST_S):
        data = batch.array
        data["time"].max(), data["pid"].max(), (data["comm"] == b"producer").sum()
        got += len(batch)
        if got >= count:
            return


if how == "batches":
    import numpy  # noqa: F401, importing it is no part of reading an event

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
