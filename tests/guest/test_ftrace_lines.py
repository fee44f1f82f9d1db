"""What ``explain --ftrace`` prints, given to ftrace: the same hits with the same values."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from this_kernel import RELEASE

import bpfprobe as bp
from bpfprobe.deliver.ftrace_text import ftrace_values
from bpfprobe.ftrace.event import ftrace_event
from bpfprobe.model.ftrace import FtraceEvent
from bpfprobe.pipeline import describe
from bpfprobe.target.live import LiveTarget

TRACEFS = Path("/sys/kernel/tracing")
READS = "kprobe:vfs_read n=count name=file->f_path.dentry->d_name.name"
# (description, hits); the workload reads a file 23 times, of 4099 bytes 17 times.
CASES = {
    "numbers": (
        f"{READS} file=$arg1 flags=file->f_flags kind=file->f_inode->i_mode pos=file->f_pos "
        "low=count:u8 hex=count:x16 if count == 4099",
        17,
    ),
    "strings": (
        f'{READS} inline=file->f_inode->i_sb->s_id old=buf:ustring if name ~ "a nam*"',
        23,
    ),
    "arrays": (
        "kprobe:vfs_read head=+0($arg1):x8[7] words=+16($arg1):u16[3] task=comm "
        "if count == 4099",
        17,
    ),
    "arrays of a program": ("uprobe:c:getpgid code=+0(%ip):x8[5]", 19),
    "stack and registers": (
        "kprobe:vfs_read di=%di top=$stack0:x64 word=+u1(%si):u16 constant=\\42 "
        'text=\\"hi" if count == 4099 || count == 13',
        23,
    ),
    "kinds of the kernel": (
        "kprobe:vfs_read name=file:%pD dir=$arg1:x64 op=file->f_op:symbol text=%ip:symstr "
        "bits=+16(%di):b7@3/16 rows=+16(%di):b4@4/8[3] cut=%dx:s8 if count == 4099",
        17,
    ),
    "sets of CPUs": (f"{READS} if count & CPUS{{0-1}} || count == 4099 && cpu & CPUS{{0-1}}", 17),
    "globals": ("kprobe:vfs_read a=@saved_command_line:x64 if count == 4099", 17),
    "flags": (f"{READS} if count & 0x1000", 17),
    "not": (f"{READS} if !(count == 4099) && name == \"a name\"", 6),
    "common": (f"{READS} if comm == \"{{comm}}\" && count >= 4099", 17),
    "return": ("kretprobe:vfs_read got=$retval:s32 if $retval == 7", 23),
    "return with arguments": (
        "kretprobe:vfs_read got=$retval:s32 n=count new=buf:ustring "
        "name=file->f_path.dentry->d_name.name if count == 4099 && $retval > 0",
        17,
    ),
    "system call": ("syscall:getpgid asked=pid:s32", 19),
    "system call with text": ('syscall:readlink path=path size=bufsiz:s32 if path ~ "/proc/*"', 11),
    "system call's return": ("syscall:getpgid%return got=retval if retval < 0", 19),
    "program": ("uprobe:c:getsid who=$arg1:s32", 29),
    "program's return": ("uretprobe:c:getsid got=$retval:s32 if got < 0", 29),
    "tracepoint": (
        'tracepoint:sched:sched_process_exec filename old=old_pid if filename ~ "*true"', 5,
    ),
}  # fmt: skip


def work(path):
    """What is traced: a prime number of each thing."""
    import ctypes

    libc = ctypes.CDLL(None)
    text = bytearray(b"before!\0" + bytes(4091))
    with open(path, "rb", buffering=0) as file:
        for turn in range(23):
            text[:7] = b"before!"
            file.seek(0)
            wanted = memoryview(text)[: 4099 if turn < 17 else 13]
            file.readinto(wanted)
    for _ in range(19):
        libc.getpgid(-3)
    for _ in range(11):
        Path("/proc/self").readlink()
    for _ in range(29):
        libc.getsid(-5)
    for _ in range(5):
        if (child := os.fork()) == 0:
            os.execv("/bin/true", ["true"])
        os.waitpid(child, 0)


def described(names):
    """The cases as probes, each under a name of its own, and in ftrace's words."""
    comm = Path("/proc/self/comm").read_text().strip()
    texts = [f"case{n}={CASES[name][0]}".replace("{comm}", comm) for n, name in enumerate(names)]
    compiled = describe([bp.probe(text) for text in texts], LiveTarget())
    events = [ftrace_event(bound, "x86_64", LiveTarget()) for bound in compiled.bound.probes]
    return texts, dict(zip(names, events, strict=True))


def define(event):
    """Write the line and the filter, and enable the event; the kernel's refusal is a failure."""
    try:
        append(f"{event.line}\n#   a comment is left out\n")
    except OSError:
        log = (TRACEFS / "error_log").read_text()
        pytest.fail(f"{event.line}\n{log}")
    folder = TRACEFS / "events" / event.group / event.name
    if event.filter:
        (folder / "filter").write_text(event.filter)
    (folder / "enable").write_text("1")


def append(lines):
    control = os.open(TRACEFS / "dynamic_events", os.O_WRONLY | os.O_APPEND)
    try:
        os.write(control, lines.encode())
    finally:
        os.close(control)


def of_ftrace(event):
    """The arguments of each hit, as text."""
    found = []
    for line in (TRACEFS / "trace").read_text().splitlines():
        if line.startswith("#") or f" {event.name}: " not in line:
            continue
        arguments = line.partition(f" {event.name}: ")[2]
        found.append(dict(re.findall(r'(\w+)=("[^"]*"|\{[^}]*\}|[^\s"]+)', arguments)))
    return found


def version(text):
    return tuple(int(part) for part in text.split("."))


def lacks(event):
    """Whether this kernel is older than what the event says it needs."""
    return any(version(need.rpartition(" ")[2]) > RELEASE for need in event.needs)


def traced(texts, path):
    """What bpfprobe sees of a child that works, by probe; what ftrace sees is in its buffer."""
    child = os.fork()
    if child == 0:
        try:
            os.kill(os.getpid(), signal.SIGSTOP)
            work(path)
            os._exit(0)
        finally:
            os._exit(1)
    os.waitpid(child, os.WUNTRACED)
    (TRACEFS / "set_event_pid").write_text(str(child))
    (TRACEFS / "trace").write_text("")
    with bp.Session(*(bp.probe(text) for text in texts), not_pid=os.getpid()) as session:
        os.kill(child, signal.SIGCONT)
        assert os.waitpid(child, 0)[1] == 0
        found = [event for event in session.events(duration=0) if event.pid >= child]
    return {name: [e for e in found if e.probe == name] for name in {e.probe for e in found}}


@pytest.mark.guest(kernels=["5.10", "6.1", "newest"], timeout_s=500)
def test_the_same_hits_with_the_same_values(kernel, tmp_path):
    path = tmp_path / "a name"
    path.write_bytes(b"after!!")
    _, events = described(list(CASES))
    assert all(isinstance(event, FtraceEvent) for event in events.values()), events
    had = [name for name, event in events.items() if not lacks(event)]
    assert len(CASES) - len(had) == sum(one > RELEASE for one in [(6, 9), (6, 1), (5, 15)])
    texts, events = described(had)
    (TRACEFS / "buffer_size_kb").write_text("4096")
    (TRACEFS / "options/event-fork").write_text("1")
    for event in events.values():
        define(event)
    ours = traced(texts, path)
    for name, event in events.items():
        told = of_ftrace(event)
        assert len(told) == len(ours[event.name]) == CASES[name][1], f"{name}: {event}"
        fields = [field for field in told[0] if not field.startswith("filter")]
        for hit, mine in zip(told, ours[event.name], strict=True):
            seen = dict(ftrace_values(mine))
            assert {field: hit[field] for field in fields} == {f: seen[f] for f in fields}


def test_the_command_prints_what_can_be_appended():
    specs = "'p:one vfs_read n=count if count == 4099' 'p:two vfs_open'"
    command = f"{sys.executable} -m bpfprobe explain --ftrace {specs} >> {TRACEFS}/dynamic_events"
    subprocess.run(["sh", "-c", command], check=True)
    defined = (TRACEFS / "dynamic_events").read_text().splitlines()
    assert defined == ["p:bpfprobe/one vfs_read n=%dx:u64", "p:bpfprobe/two vfs_open"]
