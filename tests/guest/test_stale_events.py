"""Events that killed tracers leave in tracefs: found, removed, and nobody else's touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

KERNELS = ["5.10", "6.1", "newest"]
"""What is looked at has the same form in all; the oldest and the newest, and one between."""

TRACEFS = Path("/sys/kernel/tracing")
# A tracer that makes events as bcc does (src/cc/libbpf.c: create_probe_event),
# holds the first one open, and may have a child that holds it too.
TRACER = """
import ctypes, os, sys, time
def define(file, line):
    control = os.open(f"/sys/kernel/tracing/{file}", os.O_WRONLY | os.O_APPEND)
    os.write(control, line.encode())
me = os.getpid()
define("kprobe_events", f"r64:kprobes/r_vfs_read_bcc_{me} vfs_read")
define("kprobe_events", f"p:kprobes/p_vfs_open_bcc_{me} vfs_open")
define("uprobe_events", f"p:uprobes/p__bin_true_0x2000_bcc_{me} /bin/true:0x2000")
number = int(open(f"/sys/kernel/tracing/events/kprobes/r_vfs_read_bcc_{me}/id").read())
attr = bytearray(128)
attr[0:8] = (2 | 128 << 32).to_bytes(8, "little")  # PERF_TYPE_TRACEPOINT
attr[8:16] = number.to_bytes(8, "little")
attr[16:24] = (1).to_bytes(8, "little")
libc = ctypes.CDLL(None, use_errno=True)
raw = (ctypes.c_char * 128).from_buffer(attr)
held = libc.syscall(298, raw, -1, 0, -1, 8)
assert held >= 0, os.strerror(ctypes.get_errno())
child = os.fork() if "fork" in sys.argv else 0
if "fork" in sys.argv and child == 0:
    time.sleep(600)
print(me, child, flush=True)
time.sleep(600)
"""
BCC = """
import os, time
from bcc import BPF
program = BPF(text="int hit(void *ctx) { return 0; }")
program.attach_kretprobe(event="vfs_read", fn_name="hit", maxactive=64)
print(os.getpid(), 0, flush=True)
time.sleep(600)
"""
FOREIGN = [
    "p:kprobes/myprobe do_sys_openat2",  # of perf-tools
    "p:probe/vfs_write vfs_write",  # of perf probe
    "p:mine/p_vfs_read_bcc_3 vfs_read",  # a name like bcc's in a group that is not
    "p:kprobes/p_vfs_read_bcc_ vfs_read",
    "r:kprobes/libbpf_3_0_vfs_read_0x0 vfs_read",
    "p:bpfprobe/opened do_sys_openat2",
]


def bpfprobe(*words):
    command = [sys.executable, "-m", "bpfprobe", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert "Traceback" not in done.stderr
    return done


def start(code, *words, python=sys.executable):
    tracer = subprocess.Popen([python, "-c", code, *words], stdout=subprocess.PIPE, text=True)
    pid, child = (int(word) for word in tracer.stdout.readline().split())
    return tracer, pid, child


def kill(tracer):
    with tracer:
        tracer.send_signal(signal.SIGKILL)
    assert tracer.returncode == -signal.SIGKILL


def defined():
    text = "".join((TRACEFS / f"{kind}probe_events").read_text() for kind in "ku")
    return {line.split()[0].partition(":")[2] for line in text.splitlines()}


def define(lines):
    control = os.open(TRACEFS / "kprobe_events", os.O_WRONLY | os.O_APPEND)
    for line in lines:
        os.write(control, f"{line}\n".encode())
    os.close(control)
    return {line.split()[0].partition(":")[2] for line in lines}


def events_of(pid):
    names = [f"r_vfs_read_bcc_{pid}", f"p_vfs_open_bcc_{pid}"]
    return {*(f"kprobes/{name}" for name in names), f"uprobes/p__bin_true_0x2000_bcc_{pid}"}


def outcomes(*words):
    done = bpfprobe("doctor", "--stale", "--json", *words)
    return {one["event"]: one["outcome"] for one in json.loads(done.stdout)}, done.returncode


@pytest.mark.guest(kernels=KERNELS, timeout_s=500)
def test_events_of_the_killed_go_and_all_others_stay():
    foreign = define(FOREIGN)
    living, alive, _ = start(TRACER)
    for _ in range(3):
        killed, dead, _ = start(TRACER)
        kill(killed)
        left = events_of(dead)
        assert left <= defined()
        (TRACEFS / f"events/kprobes/p_vfs_open_bcc_{dead}/enable").write_text("1")
        found, status = outcomes()
        assert found == {**dict.fromkeys(left, "stale"), **dict.fromkeys(events_of(alive), "kept")}
        assert status == 1
        assert defined() == foreign | left | events_of(alive)
        found, status = outcomes("--clean")
        assert found == {
            **dict.fromkeys(left, "removed"),
            **dict.fromkeys(events_of(alive), "kept"),
        }
        assert status == 0
        assert defined() == foreign | events_of(alive)
    kill(living)
    done = bpfprobe("doctor", "--stale", "--clean")
    assert done.stdout.splitlines()[-1] == "3 removed, 6 of others, which are not touched"
    assert defined() == foreign
    assert "no stale events" in bpfprobe("doctor", "--stale").stdout


@pytest.mark.guest(kernels=KERNELS, timeout_s=300)
def test_an_event_that_a_surviving_child_holds_is_refused_until_it_ends():
    tracer, dead, child = start(TRACER, "fork")
    held = f"kprobes/r_vfs_read_bcc_{dead}"
    tracer.send_signal(signal.SIGKILL)  # its pipe stays open in the child
    tracer.wait()
    done = bpfprobe("doctor", "--stale", "--clean")
    assert done.returncode == 1
    assert f"refused  {held}" in done.stdout
    assert "[EVENT_BUSY]" in done.stdout
    assert "2 removed, 1 refused" in done.stdout
    assert defined() == {held}
    os.kill(child, signal.SIGKILL)
    tracer.stdout.close()
    while Path(f"/proc/{child}/fd/3").exists():
        os.sched_yield()
    done = bpfprobe("doctor", "--stale", "--clean")
    assert (done.returncode, defined()) == (0, set()), done.stdout


@pytest.mark.guest(kernels=KERNELS)
def test_a_process_that_got_the_id_of_a_dead_one_is_not_its_maker():
    number = 30103
    (name,) = define([f"p:kprobes/p_vfs_open_bcc_{number} vfs_open"])
    assert (TRACEFS / "events" / name / "id").exists()  # as bcc looks at it
    time.sleep(6)  # by so much the other is younger
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(number - 1))
    with subprocess.Popen(["sleep", "600"]) as other:
        assert other.pid == number
        found = outcomes("--clean")
        other.kill()
    assert found == ({name: "removed"}, 0)


@pytest.mark.guest(headers=True, kernels=["6.1"], timeout_s=500)
def test_what_bcc_itself_leaves_when_it_is_killed():
    tracer, dead, _ = start(BCC, python="/usr/bin/python3")
    kill(tracer)
    assert defined() == {f"kprobes/r_vfs_read_bcc_{dead}"}
    shown = json.loads(bpfprobe("list", "--defined", "--json").stdout)
    assert shown["events"][0]["maker"] == {"tool": "bcc", "pid": dead, "ended": True}
    assert shown["events"][0]["maxactive"] == 64
    assert outcomes("--clean") == ({f"kprobes/r_vfs_read_bcc_{dead}": "removed"}, 0)
    assert defined() == set()


@pytest.mark.guest(kernels=KERNELS, timeout_s=300)
def test_the_list_has_states_hits_and_what_has_no_event():
    define(["p:mine/asked __x64_sys_getpgid pid=%di", "r7:mine/answered __x64_sys_getpgid"])
    (TRACEFS / "events/mine/asked/enable").write_text("1")
    for _ in range(23):
        os.getpgid(0)
    code = (
        "import bpfprobe as bp, time\n"
        "with bp.Session(bp.kprobe('vfs_fsync_range')):\n"
        "    print(1, 0, flush=True)\n"
        "    time.sleep(600)"
    )
    tracer, _, _ = start(code)
    told = json.loads(bpfprobe("list", "--defined", "--json").stdout)
    asked, answered = told["events"]
    assert (asked["hits"], asked["misses"], asked["enabled"]) == (23, 0, True)
    assert "DISABLED" not in asked["states"]
    assert (answered["hits"], answered["enabled"], answered["maxactive"]) == (0, False, 7)
    assert "DISABLED" in answered["states"]
    (other,) = told["kprobes_of_no_event"]
    assert other["place"] in ("vfs_fsync_range+0x0", "vfs_fsync_range+0x4")  # an endbr64 first
    shown = bpfprobe("list", "--defined", "-v", "mine/*").stdout.splitlines()
    assert shown[1].split()[:3] == ["mine/asked", "p", "__x64_sys_getpgid"]
    assert shown[2] == "    pid=%di"
    kill(tracer)
