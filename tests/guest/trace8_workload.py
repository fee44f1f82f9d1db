"""What the lines of trace8_lines.py look at: calls of libc, each a known number of times.

Run as a program: a line on standard input starts it, ``done`` on standard output ends it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import sys
import threading

ROUNDS = 7
COMMON_PORT = 53
TOS = 108
CLONE_NEWNS = 0x20000


def work() -> None:
    """Everything, once."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(65536)
    for number in range(ROUNDS):
        descriptor = libc.open(b"/etc/hostname", 0)
        libc.read(descriptor, buffer, 33)
        libc.close(descriptor)
        libc.malloc(4241 + number)
        libc.write(1, b"x" * (17 + number), 17 + number)
        libc.read(-1, buffer, 5)
        libc.nanosleep((ctypes.c_long * 2)(0, 1000 + number), None)
    for name in (b"test.txt", b"test.txt.bak", b"test.txt", b"test", b"config.txt"):
        libc.open(name, 0)
    libc.open(b"forty-two", 42)
    libc.open(b"z" * 99, 0)
    zero = libc.open(b"/dev/zero", 0)
    for size in (20000, 20001, 65536):
        libc.read(zero, buffer, size)
    namespace = libc.open(b"/proc/self/ns/mnt", 0)
    libc.setns(namespace, CLONE_NEWNS)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        for tos in (TOS, TOS + 1, TOS):
            udp.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
        for port in (COMMON_PORT, COMMON_PORT + 1, COMMON_PORT):
            udp.connect(("127.0.0.1", port))
            with contextlib.suppress(ConnectionRefusedError):  # nobody listens
                udp.send(b"x")
    for _ in range(3):
        thread = threading.Thread(target=os.getppid)
        thread.start()
        thread.join()


def main() -> None:
    """Wait, work, wait."""
    print("ready", flush=True)  # noqa: T201 - what the test waits for
    sys.stdin.readline()
    work()
    print("done", flush=True)  # noqa: T201
    sys.stdin.readline()


if __name__ == "__main__":
    main()
