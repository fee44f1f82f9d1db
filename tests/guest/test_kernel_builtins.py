"""What is asked of the task that runs, and system calls by both mechanisms."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import bpfprobe as bp
from bpfprobe.target.live import LiveTarget

# It waits for a line, and then calls getppid() as another user, from a thread of another name.
TASK = """\
import os, threading
def act():
    print(threading.get_native_id(), flush=True)
    with open("/proc/thread-self/comm", "w") as comm:
        comm.write("some thread")
    os.setgid(4711)
    os.setuid(4713)
    os.sched_setaffinity(0, {1})
    for _ in range(23):
        os.getppid()
input()
thread = threading.Thread(target=act)
thread.start()
thread.join()
"""
BUILTINS = ("pid", "tid", "uid", "gid", "comm", "cpu", "ppid", "cgroup", "argv")


def test_builtins(tmp_path):
    script = tmp_path / "task.py"
    script.write_text(TASK)
    group = Path("/sys/fs/cgroup/probed")
    group.mkdir()
    captures = {f"own_{name}": name for name in (*BUILTINS, "time")}
    function = "__x64_sys_getppid"
    probes = [
        bp.kprobe(function, event="entered", where="func", captures=captures),
        bp.kretprobe(
            function, event="left", where="func", captures=captures,
            result="$retval", took="duration",
        ),
        bp.tracepoint("syscalls:sys_enter_getppid", event="traced", captures=captures),
        bp.kprobe(
            function, event="kept",
            filter='uid == 4713 && gid == 4711 && cpu == 1 && comm == "some thread"',
        ),
        bp.kprobe(function, event="not_kept", filter='uid == 0 || gid != 4711 || comm ~ "py*"'),
    ]  # fmt: skip
    command = [sys.executable, str(script), "hello there", "", "ü"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as task:
        (group / "cgroup.procs").write_text(str(task.pid))
        with bp.Session(*probes, pid=task.pid) as session:
            begin = time.monotonic_ns()
            output, _ = task.communicate(b"\n", timeout=60)
            end = time.monotonic_ns()
            events = list(session.events(duration=0))
            statistics = session.statistics()
    thread = int(output)
    known = (
        task.pid, thread, 4713, 4711, "some thread", 1, os.getpid(), group.stat().st_ino,
        tuple(command),
    )  # fmt: skip
    assert thread != task.pid
    assert statistics == bp.Statistics(produced=4 * 23, delivered=4 * 23)
    for name in ("entered", "left", "traced"):
        own = [event for event in events if event.probe == name]
        assert [tuple(getattr(e, f"own_{n}") for n in BUILTINS) for e in own] == [known] * 23, name
        assert [(e.pid, e.tid, e.comm, e.cpu) for e in own] == [
            (task.pid, thread, "some thread", 1)
        ] * 23
        times = [event.time for event in own]
        assert begin < times[0]
        assert times == sorted(set(times))
        assert times[-1] < end
        assert all(0 <= event.own_time - event.time < 1_000_000_000 for event in own)
    left = [event for event in events if event.probe == "left"]
    assert {(e.where, e.result) for e in left} == {(function, os.getpid())}
    assert all(0 < e.took <= e.time - begin for e in left)
    assert [event.probe for event in events].count("kept") == 23


class WithoutKprobes(LiveTarget):
    """This machine, as if its kernel had been built without kprobes."""

    def facts(self):
        facts = super().facts()
        return replace(facts, kprobes=replace(facts.kprobes, present=False))


CALLS = {  # each with its captures, and a filter that only the calls below get through
    "openat": (("filename:ustring", "dfd", "flags", "mode"), "mode == 0640"),
    "copy_file_range": (("fd_in", "*off_in:u64", "fd_out", "*off_out:u64", "len", "flags"), None),
    "lseek": (("fd", "offset", "whence"), "whence == 2"),
}


def spec(name, *, returns):
    texts, condition = CALLS[name]
    captures = {f"arg_{n}": text for n, text in enumerate(texts)}
    if returns:
        captures |= {"result": "retval", "took": "duration"}
    event = f"{name}_left" if returns else name
    return bp.syscall(name, event=event, captures=captures, filter=condition)


def test_system_calls_by_either_mechanism(tmp_path):
    """Two sessions watch the same calls, one by kprobes and one by tracepoints."""
    path = tmp_path / "file"
    path.write_bytes(bytes(8192))
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    probes = [spec(name, returns=returns) for name in CALLS for returns in (False, True)]
    by_kprobes = bp.Session(*probes, pid=os.getpid())
    by_tracepoints = bp.Session(*probes, pid=os.getpid(), target=WithoutKprobes())
    with by_kprobes, by_tracepoints:
        fds = [os.open(path, flags, 0o640) for _ in range(23)]
        for i, fd in enumerate(fds):
            assert os.copy_file_range(fd, fds[0], 100 + i, 7 + i, 5000) == 100 + i
            assert os.lseek(fd, -i, os.SEEK_END) == 8192 - i
        seen = [list(session.events(duration=0)) for session in (by_kprobes, by_tracepoints)]
    moved = range(100, 123)  # memory is read at the return, when the kernel has added these
    expected = {
        "openat": [(str(path), -100, flags, 0o640) for _ in fds],
        "openat_left": [(str(path), -100, flags, 0o640, fd) for fd in fds],
        "copy_file_range": [
            (fd, n - 93, fds[0], 5000, n, 0) for fd, n in zip(fds, moved, strict=True)
        ],
        "copy_file_range_left": [
            (fd, n - 93 + n, fds[0], 5000 + n, n, 0, n) for fd, n in zip(fds, moved, strict=True)
        ],
        "lseek": [(fd, -i, os.SEEK_END) for i, fd in enumerate(fds)],
        "lseek_left": [(fd, -i, os.SEEK_END, 8192 - i) for i, fd in enumerate(fds)],
    }
    for events in seen:
        for name, rows in expected.items():
            own = [event for event in events if event.probe == name]
            names = [n for n in own[0].names() if n.startswith("arg_") or n == "result"]
            assert [tuple(getattr(event, n) for n in names) for event in own] == rows, name
            if name.endswith("left"):
                assert all(event.took > 0 for event in own)
