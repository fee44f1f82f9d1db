"""The live engine on this kernel: uprobes on a program that the test started, both transports."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import select
import shutil
import struct
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bpfprobe.engine import bpf
from bpfprobe.engine.live import LiveEngine
from bpfprobe.engine.syscalls import Kernel
from bpfprobe.errors import AttachError, LoadError, PrivilegeError, VerifierError
from bpfprobe.model.machine import FileOffset
from bpfprobe.model.object import (
    Bytecode,
    CSource,
    MapDef,
    MapKind,
    ProgramDef,
    ProgramKind,
)
from bpfprobe.model.site import KernelSite, TracepointSite, UserSite
from tests.taking import take

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.engine import Link

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="reads x86-64 registers"),
    pytest.mark.skipif(
        not Path("/sys/bus/event_source/devices/uprobe").exists(), reason="needs uprobes"
    ),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc"),
]

HEADER = (Path(__file__).parents[1] / "engine" / "header.h").read_text()
PAGE = os.sysconf("SC_PAGE_SIZE")

WORKER = """\
#include <stdlib.h>
#include <unistd.h>
__attribute__((noinline)) long work(unsigned long n) { asm volatile("" ::"r"(n)); return n * 2; }
int main(void)
{
    unsigned calls;
    while (read(0, &calls, sizeof(calls)) == sizeof(calls)) {
        for (unsigned i = 0; i < calls; i++)
            work(1000 + i);
        if (write(1, "k", 1) != 1)
            return 1;
    }
    return 0;
}
"""

# Each sends the argument (or, at the return, the result) and counts what could not be sent.
PROGRAM = """\
struct event { u64 value; u32 pid; u32 tail; u32 odd; } __attribute__((packed));
static void failed(void)
{
    u32 zero = 0;
    u64 *count = bpf_map_lookup_elem((void *)bpf_pseudo_fd(1, 2), &zero);
    if (count) { *count += 1; }
}
int ring_entry(struct pt_regs *ctx)
{
    struct event e = {ctx->di, bpf_get_current_pid_tgid() >> 32, 7, 9};
    if (bpf_ringbuf_output((void *)bpf_pseudo_fd(1, 0), &e, sizeof(e), 0)) { failed(); }
    return 0;
}
int perf_entry(struct pt_regs *ctx)
{
    struct event e = {ctx->di, bpf_get_current_pid_tgid() >> 32, 7, 9};
    if (bpf_perf_event_output(ctx, (void *)bpf_pseudo_fd(1, 1), 0xffffffffULL, &e, sizeof(e))) {
        failed();
    }
    return 0;
}
int ring_return(struct pt_regs *ctx)
{
    struct event e = {ctx->ax, bpf_get_current_pid_tgid() >> 32, 7, 9};
    if (bpf_ringbuf_output((void *)bpf_pseudo_fd(1, 0), &e, sizeof(e), 0)) { failed(); }
    return 0;
}
"""
EVENT = struct.Struct("=QIII")
RING_SIZE = PAGE
PROGRAMS = tuple(
    ProgramDef(name, ProgramKind.KPROBE) for name in ("ring_entry", "perf_entry", "ring_return")
)
MAPS = (
    MapDef("ring", MapKind.RINGBUF, 0, 0, RING_SIZE),
    MapDef("perf", MapKind.PERF_EVENT_ARRAY, 4, 4, 1024),
    MapDef("failed", MapKind.PERCPU_ARRAY, 4, 8, 1),
)


@pytest.fixture(scope="module")
def code() -> dict[str, Bytecode]:
    compiled = LiveEngine().compile(CSource(PROGRAM, HEADER, PROGRAMS, MAPS))
    return {bytecode.program.name: bytecode for bytecode in compiled}


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("worker")
    (folder / "worker.c").write_text(WORKER)
    path = folder / "worker"
    subprocess.run(["gcc", "-O1", "-no-pie", "-o", path, folder / "worker.c"], check=True)
    return path


@dataclass
class Worker:
    """A running program that calls ``work`` as often as it is told."""

    process: subprocess.Popen[bytes]
    site: UserSite

    def call(self, times: int) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(struct.pack("=I", times))
        self.process.stdin.flush()
        assert self.process.stdout.read(1) == b"k"


@pytest.fixture
def worker(binary: Path) -> Iterator[Worker]:
    table = subprocess.run(["nm", binary], capture_output=True, text=True, check=True).stdout
    (address,) = [int(line.split()[0], 16) for line in table.splitlines() if line.endswith(" work")]
    with subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        offset = FileOffset(address - 0x400000)  # where ld puts the first segment without PIE
        yield Worker(process, UserSite(str(binary), offset, pid=process.pid, symbol="work"))
        process.kill()


@dataclass
class Loaded:
    engine: LiveEngine
    maps: list[int]
    programs: dict[str, int]

    def failed(self) -> int:
        values = self.engine.read_percpu(self.maps[2], 0, 8)
        return sum(int.from_bytes(value, "little") for value in values)


@pytest.fixture
def loaded(code: dict[str, Bytecode]) -> Iterator[Loaded]:
    engine = LiveEngine()
    maps = [engine.create_map(definition) for definition in MAPS]
    programs = {name: engine.load(bytecode, maps) for name, bytecode in code.items()}
    yield Loaded(engine, maps, programs)
    for fd in [*programs.values(), *maps]:
        engine.close_fd(fd)


def open_fds() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def kernel_fds() -> list[str]:
    """What this process holds of BPF and perf."""
    names = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            names.append(str(link.readlink()))
    return [name for name in names if "bpf" in name or "perf" in name]


@pytest.mark.parametrize(
    ("program", "returns", "values"),
    [
        ("ring_entry", False, [1000 + i for i in range(23)]),
        ("perf_entry", False, [1000 + i for i in range(23)]),
        ("ring_return", True, [2000 + 2 * i for i in range(23)]),
    ],
)
def test_each_call_is_a_record(
    loaded: Loaded, worker: Worker, program: str, returns: bool, values: list[int]
) -> None:
    engine = loaded.engine
    if program.startswith("ring"):
        source = engine.open_ring(loaded.maps[0], RING_SIZE)
    else:
        source = engine.open_perf(loaded.maps[1], 8, 1)
    site = UserSite(worker.site.path, worker.site.offset, returns, worker.site.pid)
    link = engine.attach(loaded.programs[program], site)
    assert select.select(source.filenos(), [], [], 0)[0] == []
    worker.call(23)
    assert select.select(source.filenos(), [], [], 1)[0]
    records = [EVENT.unpack_from(record) for record in take(source, 100)]
    assert records == [(value, worker.process.pid, 7, 9) for value in values]
    assert take(source, 100) == []
    link.close()
    worker.call(5)
    assert take(source, 100) == []
    source.close()
    source.close()
    assert take(source, 100) == []
    assert source.filenos() == ()
    assert loaded.failed() == 0


def test_a_map_has_its_first_value_from_the_start() -> None:
    engine = LiveEngine()
    value = bytes(range(23))
    fd = engine.create_map(MapDef("params", MapKind.ARRAY, 4, 23, 1, initial=value))
    assert bpf.lookup(Kernel(), fd, bytes(4), 23) == value
    engine.close_fd(fd)


def test_the_older_way_without_links(
    loaded: Loaded, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> int:
        raise OSError(errno.EINVAL, "before Linux 5.15")

    monkeypatch.setattr("bpfprobe.engine.bpf.create_perf_link", no_links)
    before = open_fds()
    source = loaded.engine.open_ring(loaded.maps[0], RING_SIZE)
    link = loaded.engine.attach(loaded.programs["ring_entry"], worker.site)
    worker.call(23)
    assert len(take(source, 100)) == 23
    assert link.missed() is None
    link.close()
    worker.call(3)
    assert take(source, 100) == []
    source.close()
    assert open_fds() == before


@pytest.mark.parametrize("transport", ["ring", "perf"])
def test_what_does_not_fit_is_counted(loaded: Loaded, worker: Worker, transport: str) -> None:
    if transport == "ring":
        source = loaded.engine.open_ring(loaded.maps[0], RING_SIZE)
    else:
        source = loaded.engine.open_perf(loaded.maps[1], 1, 1)
    link = loaded.engine.attach(loaded.programs[f"{transport}_entry"], worker.site)
    worker.call(3001)
    records = take(source, 10_000)
    assert 0 < len(records) < 3001
    assert len(records) + loaded.failed() == 3001
    worker.call(23)  # what was taken has made room
    assert len(take(source, 100)) == 23
    link.close()
    source.close()


def test_a_hundred_cycles_leave_nothing_open(code: dict[str, Bytecode], worker: Worker) -> None:
    engine = LiveEngine()
    before = open_fds()
    for _ in range(100):
        maps = [engine.create_map(definition) for definition in MAPS]
        program = engine.load(code["ring_entry"], maps)
        sources = [engine.open_ring(maps[0], RING_SIZE), engine.open_perf(maps[1], 1, 64)]
        link = engine.attach(program, worker.site)
        for held in (link, *sources):
            held.close()
        for fd in (program, *maps):
            engine.close_fd(fd)
    assert open_fds() == before


def test_failures_leave_nothing_open(loaded: Loaded, worker: Worker) -> None:
    before = open_fds()
    with pytest.raises(AttachError):
        loaded.engine.attach(loaded.maps[0], worker.site)  # a map is no program
    with pytest.raises(LoadError):
        loaded.engine.open_ring(loaded.maps[2], RING_SIZE)
    with pytest.raises(LoadError):
        loaded.engine.open_perf(loaded.maps[2], 1, 1)
    assert open_fds() == before


def test_a_forked_child_lets_go(loaded: Loaded, worker: Worker) -> None:
    """A probe ends with its last descriptor: the child that lives on must not hold one."""
    source = loaded.engine.open_ring(loaded.maps[0], RING_SIZE)
    perf = loaded.engine.open_perf(loaded.maps[1], 1, 1)
    links: list[Link] = [loaded.engine.attach(loaded.programs["ring_entry"], worker.site)]
    ready, done = os.pipe(), os.pipe()
    assert kernel_fds()
    child = os.fork()
    if child == 0:
        try:
            held = kernel_fds()
            for closeable in (*links, source, perf):
                closeable.close()  # as a with block on its way out would
            os.write(ready[1], b"y" if not held and take(source, 1) == [] else b"n")
            os.close(done[1])
            os.read(done[0], 1)
        finally:
            os._exit(1)
    assert os.read(ready[0], 1) == b"y"
    worker.call(23)
    assert len(take(source, 100)) == 23  # the parent's are as they were
    links[0].close()
    worker.call(3)
    assert take(source, 100) == []
    source.close()
    perf.close()
    for fd in (*ready, *done):
        os.close(fd)
    os.waitpid(child, 0)


def test_misses(loaded: Loaded, worker: Worker) -> None:
    link = loaded.engine.attach(loaded.programs["ring_entry"], worker.site)
    assert link.missed() is None  # the kernel counts them for kprobes only
    link.close()
    assert loaded.engine.recursion_misses(loaded.programs["ring_entry"]) in (0, None)


def test_keys_of_a_hash() -> None:
    engine = LiveEngine()
    fd = engine.create_map(MapDef("h", MapKind.HASH, 8, 4, 64))
    assert engine.keys(fd, 8) == []
    wanted = [key.to_bytes(8, "little") for key in range(41)]
    for key in wanted:
        bpf.update(Kernel(), fd, key, b"\1\0\0\0")
    assert sorted(engine.keys(fd, 8)) == sorted(wanted)
    engine.close_fd(fd)
    engine.close_fd(fd)
    with pytest.raises(LoadError):
        engine.keys(fd, 8)


def test_the_verifier_is_quoted(capfd: pytest.CaptureFixture[str]) -> None:
    text = "int f(struct pt_regs *ctx) { return *(u64 *)ctx->di; }"
    programs = (ProgramDef("f", ProgramKind.KPROBE),)
    engine = LiveEngine()
    (code,) = engine.compile(CSource(text, HEADER, programs, ()))
    with pytest.raises(VerifierError) as caught:
        engine.load(code, [])
    assert "invalid mem access" in caught.value.message
    assert "probe read" in (caught.value.hint or "")
    assert caught.value.log.count("\n") > 3
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"path": "/nowhere/at/all"}, "NO_FILE"),
        ({"path": "/etc"}, "NOT_PROBEABLE"),
        ({"pid": 2**22 + 1}, "NO_PROCESS"),
        ({"offset": FileOffset(1 << 40)}, "NOT_PROBEABLE"),
    ],
)
def test_why_a_user_site_is_refused(
    loaded: Loaded, worker: Worker, change: dict[str, object], expected: str
) -> None:
    site = replace(worker.site, **change)
    with pytest.raises(AttachError) as caught:
        loaded.engine.attach(loaded.programs["ring_entry"], site)
    assert (caught.value.code, caught.value.site) == (expected, str(site))


@pytest.mark.skipif(
    Path("/sys/bus/event_source/devices/kprobe").exists(), reason="this kernel has kprobes"
)
def test_a_kernel_without_kprobes(loaded: Loaded) -> None:
    with pytest.raises(AttachError, match="bpfprobe lab") as caught:
        loaded.engine.attach(loaded.programs["ring_entry"], KernelSite("vfs_read"))
    assert caught.value.code == "NO_KPROBES"


def test_without_privilege(code: dict[str, Bytecode]) -> None:
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            engine = LiveEngine()
            for act in (
                lambda: engine.create_map(MAPS[2]),
                lambda: engine.load(code["ring_entry"], [0, 0, 0]),
                lambda: engine.attach(0, UserSite("/bin/sh", FileOffset(0x1000))),
            ):
                with pytest.raises(PrivilegeError, match="CAP_BPF"):
                    act()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


TRACEFS = next(
    (
        p
        for p in (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
        if (p / "events").is_dir()
    ),
    None,
)


@pytest.mark.skipif(TRACEFS is None, reason="needs tracefs mounted at /sys/kernel/tracing")
def test_a_tracepoint() -> None:
    assert TRACEFS is not None
    event_id = int((TRACEFS / "events/syscalls/sys_enter_getppid/id").read_text())
    text = (
        "int f(void *ctx) {\n"
        f"    if (bpf_get_current_pid_tgid() >> 32 != {os.getpid()}) {{ return 0; }}\n"
        "    u64 now = bpf_ktime_get_ns();\n"
        "    bpf_ringbuf_output((void *)bpf_pseudo_fd(1, 0), &now, sizeof(now), 0);\n"
        "    return 0;\n}\n"
    )
    engine = LiveEngine()
    programs = (ProgramDef("f", ProgramKind.TRACEPOINT),)
    (code,) = engine.compile(CSource(text, HEADER, programs, MAPS[:1]))
    ring = engine.create_map(MAPS[0])
    program = engine.load(code, [ring])
    source = engine.open_ring(ring, RING_SIZE)
    link = engine.attach(program, TracepointSite("syscalls", "sys_enter_getppid", event_id))
    start = time.monotonic_ns()
    for _ in range(23):
        os.getppid()
    stamps = [int.from_bytes(record, "little") for record in take(source, 100)]
    assert len(stamps) == 23
    assert stamps == sorted(stamps)
    assert start <= stamps[0] <= stamps[-1] <= time.monotonic_ns()
    link.close()
    source.close()
    for fd in (program, ring):
        engine.close_fd(fd)
