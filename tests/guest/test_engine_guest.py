"""The engine on kernels with kprobes: attaching, its refusals, misses, and CPUs that come and go.

The programs are written out as instructions, so that no compiler is needed in the guest.
"""

from __future__ import annotations

import os
import re
import resource
import select
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from this_kernel import RELEASE

from bpfprobe.engine.live import LiveEngine
from bpfprobe.errors import AttachError, BpfprobeError, LoadError, PrivilegeError
from bpfprobe.model.object import Bytecode, MapDef, MapKind, ProgramDef, ProgramKind
from bpfprobe.model.site import KernelSite, TracepointSite
from tests.taking import take

pytestmark = pytest.mark.guest(shares=True)
HITS = MapDef("hits", MapKind.PERCPU_ARRAY, 4, 8, 1)
OUTPUT = MapDef("output", MapKind.PERF_EVENT_ARRAY, 4, 4, 64)
SYSCALL = "__x64_sys_getpgid"
COUNTS_MISSES = RELEASE >= (6, 7)
TRACEFS = Path("/sys/kernel/tracing")


def op(code, dst=0, src=0, offset=0, number=0):
    return struct.pack("<BBhi", code, src << 4 | dst, offset, number)


def map_address(register, number):
    return op(0x18, register, 1, 0, number) + bytes(8)


EXIT = op(0xB7, 0) + op(0x95)  # r0 = 0; exit
COUNT = (
    op(0x62, 10, 0, -4, 0)  # *(u32 *)(fp - 4) = 0
    + op(0xBF, 2, 10)  # r2 = fp
    + op(0x07, 2, 0, 0, -4)  # r2 -= 4
    + map_address(1, 0)
    + op(0x85, 0, 0, 0, 1)  # bpf_map_lookup_elem
    + op(0x15, 0, 0, 3, 0)  # if not r0: past the next three
    + op(0x79, 1, 0, 0)  # r1 = *(u64 *)r0
    + op(0x07, 1, 0, 0, 1)  # r1 += 1
    + op(0x7B, 0, 1, 0)  # *(u64 *)r0 = r1
    + EXIT
)
SEND = (
    op(0xBF, 6, 1)  # r6 = ctx
    + op(0x85, 0, 0, 0, 8)  # bpf_get_smp_processor_id
    + op(0x7B, 10, 0, -8)  # *(u64 *)(fp - 8) = r0
    + op(0xBF, 1, 6)
    + map_address(2, 1)
    + op(0x18, 3, 0, 0, -1)  # r3 = BPF_F_CURRENT_CPU: the low half all ones, the high half 0
    + bytes(8)
    + op(0xBF, 4, 10)
    + op(0x07, 4, 0, 0, -8)
    + op(0xB7, 5, 0, 0, 8)
    + op(0x85, 0, 0, 0, 25)  # bpf_perf_event_output
    + op(0x15, 0, 0, 10, 0)  # sent: past the count, to the end
    + COUNT
)


class Bench:
    """An engine with a map of counters, an output map, and a loaded program."""

    def __init__(self, code, kind=ProgramKind.KPROBE):
        self.engine = LiveEngine()
        self.maps = [self.engine.create_map(HITS), self.engine.create_map(OUTPUT)]
        program = ProgramDef("program", kind)
        self.program = self.engine.load(Bytecode(program, code), self.maps)

    def hits(self):
        return sum(int.from_bytes(v, "little") for v in self.engine.read_percpu(self.maps[0], 0, 8))

    def attach(self, site):
        return self.engine.attach(self.program, site)


def call(times):
    for _ in range(times):
        os.getpgid(0)


def symbols():
    with open("/proc/kallsyms") as lines:
        return [line.split() for line in lines]


def address_of(name):
    return next(int(fields[0], 16) for fields in symbols() if fields[2] == name)


def open_fds():
    return len(list(Path("/proc/self/fd").iterdir()))


def armed():
    return len(Path("/sys/kernel/debug/kprobes/list").read_text().splitlines())


@pytest.mark.parametrize("returns", [False, True])
@pytest.mark.parametrize("by_address", [False, True])
def test_each_call_is_a_hit_until_closed(returns, by_address):
    bench, before = Bench(COUNT), armed()
    address = address_of(SYSCALL) if by_address else 0
    link = bench.attach(KernelSite(SYSCALL, returns=returns, address=address))
    call(23)
    assert bench.hits() == 23
    assert armed() == before + 1
    link.close()
    call(5)
    assert bench.hits() == 23
    assert armed() == before
    assert (TRACEFS / "kprobe_events").read_text() == ""


def test_nothing_is_armed_once_killed_while_a_forked_child_lives():
    before = armed()
    script = (
        "import os, sys, time\n"
        f"sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[2])]!r}\n"
        "from test_engine_guest import *\n"
        "bench = Bench(COUNT)\n"
        "links = [bench.attach(KernelSite(SYSCALL, returns=r)) for r in (False, True)]\n"
        "child = os.fork()\n"
        "if child:\n"
        "    print(child, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as tracer:
        child = int(tracer.stdout.readline())
        assert armed() == before + 2
        tracer.kill()
    deadline = time.monotonic() + 10
    while armed() > before and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(child, 0)
    os.kill(child, 9)
    assert armed() == before


def test_returns_that_found_no_slot_are_told_where_the_kernel_counts_them():
    bench = Bench(COUNT)
    link = bench.attach(KernelSite("__x64_sys_clock_nanosleep", returns=True))
    threads = [threading.Thread(target=time.sleep, args=(2,)) for _ in range(61)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    missed, hits = link.missed(), bench.hits()
    assert hits < 61
    assert missed is None or missed >= 61 - hits
    assert (missed is not None) == COUNTS_MISSES
    link.close()


INSIDE_OF_OUTPUT = "perf_output_sample"
"""A function that bpf_perf_event_output calls, so that a probe there is hit in a program."""
TRACES_ITS_PERF_EVENTS = ["6.1", "6.12", "newest"]  # 5.10 keeps ftrace out of them


@pytest.mark.guest(kernels=TRACES_ITS_PERF_EVENTS)
def test_hits_inside_a_kprobe_are_missed():
    outer, inner = Bench(SEND), Bench(COUNT)
    source = outer.engine.open_perf(outer.maps[1], 8, 1)
    links = [outer.attach(KernelSite(SYSCALL)), inner.attach(KernelSite(INSIDE_OF_OUTPUT))]
    call(23)
    assert len(take(source, 100)) == 23
    assert links[0].missed() == (0 if COUNTS_MISSES else None)
    missed = links[1].missed()
    assert missed is None if not COUNTS_MISSES else missed >= 23
    for link in links:
        link.close()
    assert links[1].missed() is None


@pytest.mark.guest(kernels=TRACES_ITS_PERF_EVENTS)
def test_hits_inside_another_program_are_recursion():
    outer, inner = Bench(SEND, ProgramKind.TRACEPOINT), Bench(COUNT)
    source = outer.engine.open_perf(outer.maps[1], 8, 1)
    links = [outer.attach(syscall_tracepoint()), inner.attach(KernelSite(INSIDE_OF_OUTPUT))]
    call(23)
    assert len(take(source, 100)) == 23
    for link in links:
        link.close()
    misses = inner.engine.recursion_misses(inner.program)
    if COUNTS_MISSES:
        # From 7.2 on the kernel runs a program inside that of a system call.
        assert misses + inner.hits() >= 23
    else:
        assert misses in (0, None)  # None before Linux 5.12


def syscall_tracepoint():
    number = int((TRACEFS / "events/syscalls/sys_enter_getpgid/id").read_text())
    return TracepointSite("syscalls", "sys_enter_getpgid", number)


def ambiguous_name():
    names = [fields[2] for fields in symbols() if len(fields) == 3 and fields[1] in "tT"]
    traceable = set((TRACEFS / "available_filter_functions").read_text().split())
    counts = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return next(name for name, n in counts.items() if n > 1 and name in traceable)


def blacklisted():
    text = Path("/sys/kernel/debug/kprobes/blacklist").read_text()
    names = re.findall(r"\t(\w+)$", text, re.MULTILINE)
    listed = [fields[2] for fields in symbols()]
    return next(name for name in names if listed.count(name) == 1)


def test_each_refusal_has_its_own_code():
    table = {
        "NO_FUNCTION": [KernelSite("vfs_raed"), KernelSite("f", module="not_loaded")],
        "NOT_PROBEABLE": [KernelSite(blacklisted())],
        "BAD_INSN_BNDRY": [KernelSite("vfs_read", offset=6)],
        "NOT_AN_ENTRY": [KernelSite("vfs_read", offset=9, returns=True)],
    }
    bench, before, told = Bench(COUNT), open_fds(), {}
    for site in [site for sites in table.values() for site in sites]:
        with pytest.raises(AttachError) as caught:
            bench.attach(site)
        assert caught.value.site == str(site)
        told.setdefault(caught.value.code, []).append(site)
    assert told == table
    assert open_fds() == before


def test_a_name_of_several_functions():
    bench, name = Bench(COUNT), ambiguous_name()
    if RELEASE >= (6, 6):  # and kernels that have commit b022f0c7e404 from there
        with pytest.raises(AttachError) as caught:
            bench.attach(KernelSite(name))
        assert caught.value.code == "AMBIGUOUS"
    bench.attach(KernelSite(name, address=address_of(name))).close()


def test_a_function_of_a_module():
    (path,) = Path("/run/bpfprobe/modules").glob("*-dummy.ko")
    subprocess.run(["insmod", path], check=True)
    bench = Bench(COUNT)
    link = bench.attach(KernelSite("dummy_validate", module="dummy"))
    subprocess.run(["ip", "link", "add", "d0", "type", "dummy"], check=True)
    assert bench.hits() > 0
    link.close()
    with pytest.raises(AttachError) as caught:
        bench.attach(KernelSite("dummy_raed", module="dummy"))
    assert caught.value.code == "NO_FUNCTION"


def test_a_tracepoint_on_all_cpus():
    bench = Bench(COUNT, ProgramKind.TRACEPOINT)
    link = bench.attach(syscall_tracepoint())
    for cpu in (0, 1):
        os.sched_setaffinity(0, {cpu})
        call(23)
    assert bench.hits() == 46
    link.close()
    with pytest.raises(AttachError) as caught:
        bench.attach(TracepointSite("syscalls", "gone", 1 << 20))
    assert caught.value.code in {"NO_TRACEPOINT", "NOT_PROBEABLE"}


def take_all(source):
    return [int.from_bytes(r[:8], "little") for r in take(source, 10_000)]


def online(cpu, state):
    Path(f"/sys/devices/system/cpu/cpu{cpu}/online").write_text(str(int(state)))
    time.sleep(0.15)  # longer than the source's look at the CPUs waits


@pytest.mark.parametrize("first_online", [True, False])
def test_a_cpu_that_comes_and_goes(first_online):
    bench = Bench(SEND)
    online(1, first_online)
    source = bench.engine.open_perf(bench.maps[1], 8, 1)
    assert len(source.filenos()) == 1 + first_online
    link = bench.attach(KernelSite(SYSCALL))
    if first_online:
        os.sched_setaffinity(0, {1})
        call(7)
        os.sched_setaffinity(0, {0})
        online(1, False)
        assert take_all(source) == [1] * 7  # what was in the buffer when the CPU went
        assert len(source.filenos()) == 1
    call(5)
    assert take_all(source) == [0] * 5
    select.select(source.filenos(), [], [], 0)  # the wake-up of what has been taken already
    assert not select.select(source.filenos(), [], [], 0)[0]
    online(1, True)
    assert take_all(source) == []
    assert len(source.filenos()) == 2
    os.sched_setaffinity(0, {1})
    call(23)
    assert select.select(source.filenos(), [], [], 1)[0]
    assert take_all(source) == [1] * 23
    assert bench.hits() == 0  # sends that failed
    link.close()
    source.close()


def test_records_left_behind_by_a_cpu_that_returned_are_not_lost():
    bench = Bench(SEND)
    source = bench.engine.open_perf(bench.maps[1], 8, 1)
    link = bench.attach(KernelSite(SYSCALL))
    os.sched_setaffinity(0, {1})
    call(7)
    os.sched_setaffinity(0, {0})
    online(1, False)
    assert len(take(source, 3)) == 3
    online(1, True)
    assert take_all(source) == [1] * 4
    link.close()
    source.close()


def as_nobody(action, *, memlock=None):
    """The class and code of what ``action`` raises without privilege."""
    read, write = os.pipe()
    if os.fork() == 0:
        try:
            if memlock is not None:
                resource.setrlimit(resource.RLIMIT_MEMLOCK, (memlock, memlock))
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            action()
            told = "nothing"
        except BpfprobeError as error:
            told = f"{type(error).__name__} {error}"
        finally:
            os.write(write, told.encode())
            os._exit(0)
    os.wait()
    return os.read(read, 4096).decode()


def test_without_privilege():
    told = as_nobody(lambda: LiveEngine().create_map(HITS))
    assert told.startswith("PrivilegeError")
    assert "none of them" in told


@pytest.mark.guest(shares=False)  # its limit holds for what comes after it
def test_locked_memory_is_raised_only_where_it_counts():
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (4096, 4096))
    engine = LiveEngine()
    engine.create_map(MapDef("large", MapKind.HASH, 8, 64, 10_000))
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    assert soft == (resource.RLIM_INFINITY if RELEASE < (5, 11) else 4096)


@pytest.mark.guest(shares=False)  # there is no way back
def test_lockdown_is_named():
    bench = Bench(COUNT)
    try:
        Path("/sys/kernel/security/lockdown").write_text("confidentiality")
    except OSError as error:
        pytest.skip(f"needs lockdown: {error}")
    with pytest.raises(PrivilegeError) as caught:
        bench.attach(KernelSite(SYSCALL))
    assert caught.value.code == "LOCKDOWN"


def test_a_ring_of_no_power_of_two():
    engine = LiveEngine()
    with pytest.raises(LoadError) as caught:
        engine.create_map(MapDef("ring", MapKind.RINGBUF, 0, 0, 12345))
    assert caught.value.code == "NO_MAP_KIND"
