"""What happens while filters are tried: calls with known values, traced by the kernel and by us."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.target.live import LiveTarget
from tests.filters import fields
from tests.filters.random_filters import NumberField, TextField
from tests.filters.verdicts import Number, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.filters.verdicts import Hit

LIBC = ctypes.CDLL(None)
COMM = "driver"
NOWHERE = 8
_PRCTL, _OPENAT, _SET_NAME = 157, 257, 15
_OPTION = 0x5CA1AB1E  # none that prctl(2) has


@dataclass(frozen=True)
class Scene:
    """An event of the kernel and a probe of ours over the same calls.

    ``event`` is the kernel's, made by ``definition`` where that is not empty; ``key`` finds in its
    rows what tells the hits apart. ``probe`` is ours, with the place for a name, its attribute
    ``key_attribute`` the same; ``captures`` are what a filter of it may name. ``hits`` are by that
    key; ``drawn`` is what random filters hold.
    """

    event: str
    definition: str
    key: str
    probe: str
    key_attribute: str
    hits: Mapping[str, Hit]
    act: Callable[[], None]
    drawn: Mapping[str, NumberField | TextField]
    captures: tuple[str, ...] = ()

    def key_of(self, event: object) -> str | None:
        """What tells a hit of ours apart; None for one of somebody else's call."""
        if getattr(event, "opt", _OPTION) != _OPTION:
            return None
        return str(getattr(event, self.key_attribute))

    def described(self, name: str, text: str) -> str:
        """Our probe with a filter, and those of its captures that the filter names."""
        taken = fields.named_in(text, self.captures)
        return " ".join([self.probe.format(name=name), *taken, "if", text])


def call(number: int, *arguments: int) -> None:
    """A system call as it is, whatever it says."""
    LIBC.syscall(*(ctypes.c_long(argument) for argument in (number, *arguments)))


def be_driver() -> None:
    """Have a name that filters can ask for."""
    Path("/proc/thread-self/comm").write_text(COMM)


def functions(*names: str) -> dict[str, tuple[int, int]]:
    """(start, end) of kernel functions."""
    target = LiveTarget()
    found = {}
    for name in names:
        at = target.symbol_at(target.symbols(name)[0].address)
        assert at is not None
        found[name] = (at.start, at.start + at.size)
    return found


class _Memory:
    """The blocks that the calls are handed, kept alive."""

    def __init__(self, values: list[dict[str, int | bytes | None]]) -> None:
        self._kept: list[object] = []
        self.addresses = [self._block(each) for each in values]

    def _block(self, values: dict[str, int | bytes | None]) -> int:
        text = values["text"]
        at = self._place(text + b"\0") if isinstance(text, bytes) else NOWHERE
        return self._place(fields.block(values, at))

    def _place(self, data: bytes) -> int:
        buffer = ctypes.create_string_buffer(data, len(data))
        self._kept.append(buffer)
        return ctypes.addressof(buffer)


def _block_hits(values: list[dict[str, int | bytes | None]]) -> dict[str, Hit]:
    """Every other hit is on the second CPU."""
    thread = Number(threading.get_native_id(), 4, signed=True)
    return {
        str(number): {
            **fields.as_fields(each),
            **{name: Number(number % 2, 4, signed=True, is_cpu=True) for name in ("cpu", "CPU")},
            **{name: Text(COMM.encode(), room=16) for name in ("comm", "COMM")},
            "common_pid": thread,
        }
        for number, each in enumerate(values)
    }


def _block_fields(places: tuple[int, ...]) -> dict[str, NumberField | TextField]:
    return {
        **fields.drawn_fields(places),
        "CPU": NumberField(4, False, (0, 1), is_cpu=True),
        "COMM": TextField((COMM.encode(), b"other", b"driven"), longest=15),
    }


def _on_both_cpus(act: Callable[[int], None], count: int) -> Callable[[], None]:
    def run() -> None:
        for cpu in (0, 1):
            os.sched_setaffinity(0, {cpu})
            for number in range(cpu, count, 2):
                act(number)

    return run


def kernel_function(places: tuple[int, ...]) -> Scene:
    """A kprobe whose fetch arguments read a block of memory."""
    values = fields.hits(places)
    memory = _Memory(values)
    numbers = "opt=+112(%di):u32 seq=+96(%di):u32"
    captures = fields.captures("+104(%di)")
    return Scene(
        event="flt/kernel",
        definition=f"p:flt/kernel __x64_sys_prctl {numbers} {' '.join(captures)}",
        key=rf"opt={_OPTION} seq=(\d+) ",
        probe="p:{name} __x64_sys_prctl " + numbers,
        captures=captures,
        key_attribute="seq",
        hits=_block_hits(values),
        act=_on_both_cpus(lambda n: call(_PRCTL, _OPTION, memory.addresses[n], n), len(values)),
        drawn=_block_fields(places),
    )


def user_function(places: tuple[int, ...]) -> Scene:
    """A uprobe on a function of libc, with the same fetch arguments."""
    target = LiveTarget()
    binary = target.binary("c")
    (symbol,) = target.binary_symbols(binary, "syscall")
    values = fields.hits(places)
    memory = _Memory(values)
    place = f"{binary.path}:{symbol.offset:#x} opt=%si:u32 seq=%cx:u32"
    captures = fields.captures("%dx")
    return Scene(
        event="flt/user",
        definition=f"p:flt/user {place} {' '.join(captures)}",
        key=rf"opt={_OPTION} seq=(\d+) ",
        probe=f"p:{{name}} {place}",
        captures=captures,
        key_attribute="seq",
        hits=_block_hits(values),
        act=_on_both_cpus(lambda n: call(_PRCTL, _OPTION, memory.addresses[n], n), len(values)),
        drawn=_block_fields(places),
    )


NAMES = (
    "a", "b", "abc", "abd", "bash", "sh", "nginx: worker", "kworker/0:1", "x" * 15, "12ab", "1",
    "-bash", "a*c", "a[b", "!abc", "it's", "sh ", " sh", "bash2", "zsh",
    "Web Content", "näh", "ab",
)  # fmt: skip


def thread_names() -> Scene:
    """A tracepoint with arrays of characters: threads that are renamed."""
    adjustments = [(0, 1000, -1000, 300)[number % 4] for number in range(len(NAMES))]

    def act() -> None:
        be_driver()
        for name, adjustment in zip(NAMES, adjustments, strict=True):
            Path("/proc/self/oom_score_adj").write_text(str(adjustment))
            LIBC.prctl(_SET_NAME, name.encode())

    hits = {}
    for before, name, adjustment in zip((COMM, *NAMES[:-1]), NAMES, adjustments, strict=True):
        old = Text(before.encode(), room=16)
        hits[name] = {
            "oldcomm": old,
            "COMM": old,
            "newcomm": Text(name.encode(), room=16),
            "oom_score_adj": Number(adjustment, 2, signed=True),
            "pid": Number(os.getpid(), 4, signed=True),
        }
    plain = (name for name in NAMES if name != "!abc" and name.isascii())
    text = TextField(tuple(name.encode() for name in plain), longest=15)
    return Scene(
        event="task/task_rename",
        definition="",
        key=r"newcomm=(.*) oom_score_adj=",
        probe="{name}=tracepoint:task:task_rename newcomm",
        key_attribute="newcomm",
        hits=hits,
        act=act,
        drawn={
            "oldcomm": text,
            "newcomm": text,
            "COMM": text,
            "oom_score_adj": NumberField(2, True, (0, 1000, -1000, 300, -1, 1)),
        },
    )


PATHS = (
    "/etc/passwd", "/etc/hostname", "/tmp/x", "/tmp/y", "/tmp/file.txt", "/nowhere", "/",
    "relative", "12", "1", "/tmp/a*c", "/tmp/a[b", "/etc/pass", "/etc/passwd-", "/" + "d" * 200,
    "/tmp/it's",
    "/proc/self/stat", "/TMP/X", "!x",
)  # fmt: skip


def opened_files() -> Scene:
    """A tracepoint with a pointer to text in user memory: files that are opened."""
    buffers = [ctypes.create_string_buffer(path.encode()) for path in PATHS]
    addresses = [*map(ctypes.addressof, buffers), NOWHERE, 0, NOWHERE << 40, 1]
    flags = [(0, 1, 0x241, 0x80000, 0x10000)[number % 5] for number in range(len(addresses))]
    descriptors = [-4100 - number for number in range(len(addresses))]

    def act(_kept_alive: object = buffers) -> None:
        for descriptor, address, flag in zip(descriptors, addresses, flags, strict=True):
            call(_OPENAT, descriptor, address, flag & ~0x40, 0o600 + descriptor % 8)

    hits = {}
    for number, descriptor in enumerate(descriptors):
        path = PATHS[number].encode() if number < len(PATHS) else None
        hits[str(descriptor % (1 << 64))] = {
            "dfd": Number(descriptor % (1 << 64), 8),
            "filename": Text(path, pointer=True),
            "flags": Number(flags[number] & ~0x40, 8),
            "mode": Number(0o600 + descriptor % 8, 8),
            "__syscall_nr": Number(_OPENAT, 4, signed=True),
            "COMM": Text(COMM.encode(), room=16),
        }
    texts = tuple(path.encode() for path in PATHS if path != "!x")
    return Scene(
        event="syscalls/sys_enter_openat",
        definition="",
        key=r"dfd: (\w{16,20}),",
        probe="{name}=tracepoint:syscalls:sys_enter_openat descriptor=dfd:u64",
        key_attribute="descriptor",
        hits=hits,
        act=act,
        drawn={
            "filename": TextField(texts, suffix=".ustring"),
            "flags": NumberField(8, False, (0, 1, 0x201, 0x80000, 0x10000)),
            "mode": NumberField(8, False, tuple(range(0o600, 0o610))),
        },
    )


SIZES = (1, 2, 3, 41, 42, 43, 100, 101, 500, 1000, 1009, 1400, 1401)
_HEADERS = 42  # Ethernet, IPv4, UDP


def sent_packets() -> Scene:
    """A tracepoint with a dynamic string: packets on the way out."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

    def act() -> None:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        ):
            receiver.bind(("127.0.0.1", 0))
            for size in SIZES:
                sender.sendto(bytes(size), receiver.getsockname())
                receiver.recv(2048)

    return Scene(
        event="net/net_dev_queue",
        definition="",
        key=r"dev=lo .*len=(\d+)",
        probe="{name}=tracepoint:net:net_dev_queue len",
        key_attribute="len",
        hits={
            str(size + _HEADERS): {
                "len": Number(size + _HEADERS, 4),
                "name": Text(b"lo"),
                "COMM": Text(COMM.encode(), room=16),
            }
            for size in SIZES
        },
        act=act,
        drawn={
            "len": NumberField(4, False, tuple(size + _HEADERS for size in SIZES)),
            "name": TextField((b"lo", b"l", b"eth0", b"lo0")),
        },
    )
