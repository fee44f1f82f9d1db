"""A session of growing work: probes|bytes|threads|choices AMOUNT PID PROGRAM COUNT.

Waits for a line on stdin before it reads its events, and for another before it closes.
"""

import sys
import time

import bpfprobe as bp

LONG_EVENTS_BYTES = 1 << 27
LONGEST_S = 30
FIRST_FUNCTION, FUNCTIONS = 10, 100

mode, amount, pid, program, count = sys.argv[1:]
number = int(amount)


def probes() -> list[bp.ProbeSpec]:
    last = FIRST_FUNCTION + FUNCTIONS
    return [bp.uprobe(program, f"work{n}", n="$arg1:s32") for n in range(last - number, last)]


def bytes_() -> list[bp.ProbeSpec]:
    return [bp.tracepoint("syscalls:sys_enter_write", text="buf:ustring")]


def threads() -> list[bp.ProbeSpec]:
    return [bp.syscall("read", fd="fd", got="retval")]


def choices() -> list[bp.ProbeSpec]:
    """The number of getppid() on x86-64 is 110, which comes last."""
    wanted = " || ".join(f"nr == {value}" for value in [*(1009 * n for n in range(1, number)), 110])
    point, numbered = "syscalls:sys_enter_getppid", "__syscall_nr:u64"
    return [bp.tracepoint(point, nr=numbered, filter=wanted)]


made = {"probes": probes, "bytes": bytes_, "threads": threads, "choices": choices}[mode]()
size = LONG_EVENTS_BYTES if mode == "bytes" else None
session = bp.Session(*made, pid=int(pid), buffer_bytes=size)
for probe in made:
    session.on(probe)(lambda event: None)
with session:
    print(f'{{"attached_ns": {time.monotonic_ns()}}}', flush=True)
    sys.stdin.readline()
    started = time.process_time_ns()
    session.run(max_events=int(count), duration=LONGEST_S)
    cpu = time.process_time_ns() - started
    events = session.statistics().delivered
    print(f'{{"events": {events}, "cpu_ns": {cpu}}}', flush=True)
    sys.stdin.readline()
    detaching = time.monotonic_ns()
print(f'{{"detach_ns": {time.monotonic_ns() - detaching}}}', flush=True)
