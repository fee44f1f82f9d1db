"""At the end a session says which probes were never hit, and why where the machine tells."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from pathlib import Path

import pytest

import bpfprobe as bp
from bpfprobe.model.object import COUNTERS
from bpfprobe.model.site import KernelSite, TracepointSite, UserSite
from bpfprobe.target import never_hit
from bpfprobe.target.never_hit import why_never_hit
from bpfprobe.target.program_kind import program_kind
from bpfprobe.testing import FakeEngine
from tests.sample_machine import MACHINE


def counted(**counts: int) -> bytes:
    return struct.pack(f"<{len(COUNTERS)}Q", *(counts.get(name, 0) for name in COUNTERS))


def session(engine: FakeEngine, *probes: bp.Probe, **options: int) -> bp.Session:
    return bp.Session(*probes, target=MACHINE, engine=engine, **options)


def said(opened: bp.Session) -> list[str]:
    assert all(notice.code == "NEVER_HIT" for notice in opened.never_hit())
    return [str(notice) for notice in opened.never_hit()]


@pytest.fixture(autouse=True)
def _switches(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine may have its kprobes switched off."""
    monkeypatch.setattr(never_hit, "switches", lambda: ())


def test_those_without_a_hit_and_no_others() -> None:
    engine = FakeEngine()
    probes = [
        bp.kprobe("vfs_read"),
        bp.kprobe("vfs_write"),
        bp.kretprobe("vfs_write", event="refused", filter="retval < 0"),
        bp.kretprobe("vfs_read", event="before"),
        bp.kprobe("vfs_read", event="small", filter="count < 3"),
    ]
    with session(engine, *probes) as opened:
        engine.counters["counters", 1] = [counted(), counted(produced=1, lost=1)]
        engine.counters["counters", 2] = [counted(entries=3, refused=3)] * 2
        engine.counters["counters", 3] = [counted(unmatched=1), counted()]
        running = said(opened)
    wanted = ["vfs_read was never hit", "small had no hit that its filter let through"]
    assert running == wanted
    assert said(opened) == wanted, "it is the same once the session is closed"


def test_what_options_left_out() -> None:
    with session(FakeEngine(), bp.kprobe("vfs_read"), pid=7, uid=3) as opened:
        assert said(opened) == ["vfs_read had no hit that pid 7 and uid 3 let through"]
    assert said(session(FakeEngine(), bp.kprobe("vfs_read"))) == [], "it has not been opened"


@pytest.mark.parametrize(
    ("site", "reason"),
    [
        (KernelSite("do_sys_open"), "do_sys_openat2 since Linux 5.6"),
        (KernelSite("__x64_sys_open"), "openat (glibc since 2.26)"),
        (KernelSite("__arm64_sys_newstat"), "newfstatat"),
        (KernelSite("__x64_sys_gettimeofday"), "vdso(7)"),
        (TracepointSite("syscalls", "sys_enter_fork", 3), "clone"),
        (TracepointSite("syscalls", "sys_exit_clock_gettime", 3), "vdso(7)"),
        (KernelSite("x", module="no_such_module"), "no_such_module has been unloaded"),
        (UserSite("/no/such/file", 7), "/no/such/file is not there any more"),
    ],
)
def test_reasons(site: KernelSite | TracepointSite | UserSite, reason: str) -> None:
    assert reason in why_never_hit(site, 0)


@pytest.mark.parametrize(
    "site",
    [
        KernelSite("vfs_read"),
        KernelSite("open"),  # a function of that name, not the system call
        TracepointSite("sched", "sys_enter_fork", 3),
        TracepointSite("syscalls", "sys_enter_read", 3),
    ],
)
def test_no_reason_is_made_up(site: KernelSite | TracepointSite) -> None:
    assert why_never_hit(site, 0) == ""


def test_kprobes_that_were_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    switch = tmp_path / "enabled"
    switch.write_text("0\n")
    monkeypatch.setattr(never_hit, "switches", lambda: (str(switch),))
    assert why_never_hit(KernelSite("vfs_read"), 0) == f"kprobes are switched off ({switch} is 0)"


def test_a_file_that_was_replaced(tmp_path: Path) -> None:
    path = tmp_path / "program"
    shutil.copy("/bin/sleep", path)
    opened_ns = time.time_ns()
    assert why_never_hit(UserSite(str(path), 7), opened_ns) == ""
    with subprocess.Popen([path, "60"]) as old:
        while f"{path}" not in Path(f"/proc/{old.pid}/maps").read_text():
            time.sleep(0.01)
        path.unlink()
        shutil.copy("/bin/sleep", path)
        os.utime(path)
        later_ns = path.stat().st_ctime_ns
        assert "has been replaced" in why_never_hit(UserSite(str(path), 7), opened_ns)
        of_old = why_never_hit(UserSite(str(path), 7), later_ns)
        old.kill()
    assert (
        of_old == f"process {old.pid} runs a file of that path which is there no more: restart it"
    )


def elf(path: Path, *, bits: int = 64, loader: str = "") -> str:
    """A program's headers."""
    name = loader.encode() + b"\0"
    entry, at = (56, 64) if bits == 64 else (32, 52)
    header = bytearray(at)
    header[:6] = b"\x7fELF" + bytes([bits // 32, 1])
    struct.pack_into("<Q" if bits == 64 else "<I", header, 32 if bits == 64 else 28, at)
    struct.pack_into("<HH", header, 54 if bits == 64 else 42, entry, bool(loader))
    part = bytearray(entry)
    if bits == 64:
        struct.pack_into("<IIQ16xQ", part, 0, 3, 4, at + entry, len(name))
    else:
        struct.pack_into("<II8xI", part, 0, 3, at + entry, len(name))
    path.write_bytes(bytes(header) + bytes(part) * bool(loader) + name)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("bits", "loader", "reason"),
    [
        (64, "/lib64/ld-linux-x86-64.so.2", ""),
        (64, "", "is linked statically: it maps no library"),
        (64, "/lib/ld-musl-x86_64.so.1", "is linked with musl, and maps its own C library"),
        (32, "/lib/ld-linux.so.2", "is a 32-bit program, and {library} is for 64"),
    ],
)
def test_a_command_that_maps_another_library(
    tmp_path: Path, bits: int, loader: str, reason: str
) -> None:
    library = elf(tmp_path / "libc.so.6")
    program = elf(tmp_path / "program", bits=bits, loader=loader)
    script = tmp_path / "script"
    script.write_text(f"#! {program} -x\n")
    script.chmod(0o755)
    wanted = f"{program} {reason.format(library=library)}" if reason else ""
    for command in (program, str(script)):
        kind = program_kind(command)
        assert kind is not None
        assert kind.loader == loader
        assert kind.lacks(library) == wanted
        assert kind.lacks(program) == ""


def test_a_command_that_is_not_known(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.write_text(f"#!{loop}\n")
    loop.chmod(0o755)
    (tmp_path / "cut").write_bytes(b"\x7fELF\2\1")
    (tmp_path / "cut").chmod(0o755)
    commands = ("no-such-program", str(loop), str(tmp_path / "cut"), str(tmp_path))
    assert [program_kind(command) for command in commands] == [None] * 4
    assert program_kind("python3") is not None
