"""System calls by the names of the manual, as this kernel and its C library make them."""

from __future__ import annotations

import ctypes
import os
import signal
import threading

import pytest

import bpfprobe as bp

COUNT = 23
OLD = {"stat": 4, "fstat": 5, "lstat": 6}
"""The numbers on x86-64 of what the C library may no longer call."""


@pytest.mark.guest(kernels=["5.10", "6.1", "newest"], timeout_s=180)
def test_calls_are_counted_by_the_names_of_the_manual(tmp_path):
    path = tmp_path / "a file"
    path.symlink_to("/etc/hostname")
    mine = f'filename.ustring == "{path}"'
    probes = {
        "uname": bp.syscall("uname", took="retval"),
        "stat": bp.syscall("stat", path="filename", took="retval", filter=mine),
        "lstat": bp.syscall("lstat", path="filename", filter=mine),
        "fstat": bp.syscall("fstat", fd="fd", took="duration", filter="fd == 77"),
        "fstatat": bp.syscall("fstatat", path="filename", flags="flag", filter=mine),
        "pread": bp.syscall("pread", size="count", took="retval"),
        "sendfile": bp.syscall("sendfile", out="out_fd"),
        "waitpid": bp.syscall("waitpid", captures={"who": "pid"}),
        "tgkill": bp.syscall("tgkill", captures={"who": "tid", "own": "$tid"}),
    }
    seen = {name: [] for name in probes}
    with bp.Session(*probes.values(), pid=os.getpid()) as session:
        for name, probe in probes.items():
            session.on(probe)(seen[name].append)
        calls(path)
        session.run(duration=3)
    made = {name: len(events) for name, events in seen.items()}
    assert made == {
        "uname": COUNT, "stat": COUNT, "lstat": COUNT, "fstat": COUNT, "pread": COUNT,
        "sendfile": COUNT, "waitpid": COUNT, "tgkill": COUNT,
        "fstatat": made["fstatat"],
    }  # fmt: skip
    assert {event.path for name in ("stat", "lstat") for event in seen[name]} == {str(path)}
    assert {event.took for name in ("uname", "stat") for event in seen[name]} == {0}
    assert {event.took for event in seen["pread"]} == {3}
    assert {event.who for event in seen["waitpid"]} == {calls.child}
    assert {event.who for event in seen["tgkill"]} == {threading.get_native_id()}
    # One of our own, and those that the C library has come to make of the others.
    assert made["fstatat"] in (1, 1 + 17 + 18)


def calls(path):
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(4096)
    descriptor = os.dup2(os.open("/etc/hostname", os.O_RDONLY), 77)
    sink = os.open("/dev/null", os.O_WRONLY)
    child = calls.child = os.spawnv(os.P_NOWAIT, "/bin/sleep", ["sleep", "2"])
    handler = signal.signal(signal.SIGUSR1, lambda *_: None)
    for _ in range(5):  # as older C libraries make them
        libc.syscall(OLD["stat"], os.fsencode(path), buffer)
        libc.syscall(OLD["lstat"], os.fsencode(path), buffer)
        libc.syscall(OLD["fstat"], descriptor, buffer)
    for number in range(COUNT - 5):
        if number:
            path.stat()
        path.lstat()
        os.fstat(descriptor)
    libc.fstatat(-100, os.fsencode(path), buffer, 0x800)  # AT_NO_AUTOMOUNT: a stat(2) all the same
    for _ in range(COUNT):
        os.uname()
        os.pread(descriptor, 3, 0)
        os.sendfile(sink, descriptor, 0, 3)
        os.waitpid(child, os.WNOHANG)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, handler)
