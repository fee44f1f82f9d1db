"""Structs by value of kernel functions: what they hold, what follows them, what is returned."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from pathlib import Path

import pytest
from test_kernel_captures import columns, watch

import bpfprobe as bp

sys.path.insert(0, str(Path(__file__).with_name("differential")))

pytestmark = pytest.mark.guest(kernels=["5.10", "6.1", "newest"])

ROUNDS = 23
BOUGHT = 86_400  # seconds after 1970: a day that no clock of the guest has


def test_members_of_structs_and_what_follows_them(tmp_path):
    """A struct of one number is that number; others have members, in one or two registers."""
    path = tmp_path / "file"
    path.touch()
    value = ctypes.c_int(1)
    libc = ctypes.CDLL(None, use_errno=True)

    def act():
        tcp = socket.socket()
        for n in range(ROUNDS):
            os.chown(path, 1000 + n, 2000 + n)
            size = 4 + n
            libc.setsockopt(
                tcp.fileno(), socket.IPPROTO_TCP, socket.TCP_NODELAY, ctypes.byref(value), size
            )
            os.utime(path, ns=(n * 10**9 + 7, (BOUGHT + n) * 10**9 + n))
        tcp.close()

    owner, option, made, time, returned = watch(
        [
            bp.probe(
                "kprobe:security_path_chown u=uid.val g=gid.val $arg2 $arg3 if uid.val >= 1000"
            ),
            bp.probe(
                "kprobe:tcp_setsockopt level optname optlen user=optval.user fifth=$arg5 "
                "is_kernel=optval.is_kernel"
            ),
            bp.probe("kretprobe:make_kuid val=$retval.val whole=$retval uid if $retval >= 1000"),
            bp.probe(
                "kprobe:timestamp_truncate sec=t.tv_sec nsec=t.tv_nsec mode=inode->i_mode "
                f"if t.tv_sec >= {BOUGHT} && t.tv_sec < {BOUGHT + ROUNDS}"
            ),
            bp.kretprobe(
                "timestamp_truncate",
                event="rounded",
                sec="$retval.tv_sec",
                nsec="$retval.tv_nsec",
                asked="t.tv_nsec",
                mode="inode->i_mode",
                filter=f"$retval.tv_sec >= {BOUGHT} && $retval.tv_sec < {BOUGHT + ROUNDS}",
            ),
        ],
        act,
    )
    numbers = range(ROUNDS)
    mode = path.stat().st_mode
    address = ctypes.addressof(value)
    assert columns(owner, "u", "g", "arg2", "arg3") == [
        (1000 + n, 2000 + n, 1000 + n, 2000 + n) for n in numbers
    ]
    assert columns(option, "level", "optname", "optlen", "fifth") == [
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 4 + n, 4 + n) for n in numbers
    ]
    assert columns(option, "user", "is_kernel") == [(address, False)] * ROUNDS
    assert columns(made, "val", "whole", "uid") == [(1000 + n,) * 3 for n in numbers]
    # The kernel rounds a time more than once.
    asked = dict.fromkeys(columns(time, "sec", "nsec", "mode"))
    assert list(asked) == [(BOUGHT + n, n, mode) for n in numbers]
    got = dict.fromkeys(columns(returned, "sec", "nsec", "asked", "mode"))
    assert list(got) == [(BOUGHT + n, n, n, mode) for n in numbers]
    assert len(time) == len(returned)


@pytest.mark.guest(kernels=["6.1"])
def test_where_the_kernel_counts_registers_instead():
    """Its $arg5 of tcp_setsockopt is half of argument 4."""
    import differences
    import kernel_side
    import machine
    import our_side

    target = machine.prepare()
    found = {}
    for text in ("p tcp_setsockopt $arg4", "p tcp_setsockopt $arg5", "p security_path_chown $arg2"):
        kernel, ours = kernel_side.verdict(text), our_side.verdict(text, target)
        meant = differences.explain(text, kernel, ours) if kernel != ours else None
        found[text.partition(" ")[2]] = kernel.accepts, ours.code, meant and meant.title
    assert found == {
        "tcp_setsockopt $arg4": (True, "BAD_TYPE", "Structs by value"),
        "tcp_setsockopt $arg5": (True, "ok", None),
        "security_path_chown $arg2": (True, "ok", None),
    }
