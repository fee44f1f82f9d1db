"""A C program that calls its functions as often as it is told, for tests to probe."""

from __future__ import annotations

import os
import platform
import re
import shutil
import struct
import subprocess
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

import bpfprobe as bp

needs_uprobes = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="reads x86-64 registers"),
    pytest.mark.skipif(
        not Path("/sys/bus/event_source/devices/uprobe").exists(), reason="needs uprobes"
    ),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc"),
]

SOURCE = r"""
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#define PROBED __attribute__((noinline, noclone, noipa))

PROBED long hot(long n, int factor)
{
    asm volatile("nop\n.globl hot_inside\nhot_inside: nop" ::"r"(n), "r"(factor));
    return n * factor;
}
PROBED long descend(long n)
{
    long below = n > 1 ? descend(n - 1) : 0;
    long eaten = 0;
    asm volatile(".globl in_mov, in_lock\nin_mov: movl $7, %%eax\nin_lock: lock incq %1"
                 : "+r"(below), "+m"(eaten)::"rax");
    return below + n;
}
PROBED void text(const char *s, long size) { asm volatile("" ::"r"(s), "r"(size) : "memory"); }

static void ask(char op, unsigned count, char *bytes, unsigned size)
{
    for (unsigned i = 0; i < count; i++) {
        if (op == 'h')
            hot(1000 + i, -3);
        if (op == 't')
            text(bytes, size);
        if (op == 'u') /* a page that nothing has touched */
            text(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 0);
    }
    if (op == 'd')
        descend(count);
    for (long i = 0; op == 'f'; i++)
        hot(i, 1);
    if (op == 'n')
        prctl(PR_SET_NAME, bytes);
}
int main(void)
{
    static char bytes[8192];
    struct { unsigned op, count, size; } asked;
    while (read(0, &asked, sizeof(asked)) == sizeof(asked)) {
        unsigned have = 0;
        while (have < asked.size)
            have += read(0, bytes + have, asked.size - have);
        bytes[have] = 0;
        ask(asked.op, asked.count, bytes, asked.size);
        if (write(1, "k", 1) != 1)
            return 1;
    }
    return 0;
}
"""


@dataclass(frozen=True)
class Program:
    """A program on disk, and what nm and readelf say of it."""

    path: str

    @staticmethod
    def build(folder: Path, *options: str, compiler: str = "gcc") -> Program:
        source, path = folder / "program.c", folder / "program"
        source.write_text(SOURCE)
        subprocess.run([compiler, "-O1", *options, "-o", path, source], check=True)
        return Program(str(path))

    @cached_property
    def symbols(self) -> dict[str, int]:
        lines = _output("nm", self.path).splitlines()
        return {words[2]: int(words[0], 16) for line in lines if len(words := line.split()) == 3}

    @property
    def inside(self) -> int:
        """How far behind the entry of hot() its label stands."""
        return self.symbols["hot_inside"] - self.symbols["hot"]

    def file_offset(self, symbol: str) -> int:
        address = self.symbols[symbol]
        for line in _output("readelf", "-lW", self.path).splitlines():
            words = line.split()
            if words[:1] == ["LOAD"]:
                offset, start, size = int(words[1], 16), int(words[2], 16), int(words[4], 16)
                if start <= address < start + size:
                    return address - start + offset
        raise AssertionError(f"{symbol} is in no segment")


class Worker:
    """The program as it runs; each method returns once it has done what was asked."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.process = subprocess.Popen(
            [program.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self.pid = self.process.pid

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def hot(self, times: int) -> None:
        """hot(1000, -3), hot(1001, -3) and so on."""
        self._ask("h", times)

    def descend(self, depth: int) -> None:
        self._ask("d", depth)

    def text(self, *texts: bytes) -> None:
        for one in texts:
            self._ask("t", 1, one)

    def untouched(self, times: int) -> None:
        self._ask("u", times)

    def rename(self, name: bytes) -> None:
        self._ask("n", 1, name)

    def flood(self) -> None:
        """Call hot() until killed."""
        assert self.process.stdin is not None
        self.process.stdin.write(struct.pack("=III", ord("f"), 0, 0))

    def is_probed(self, symbol: str, plus: int = 0) -> bool:
        """Whether a breakpoint stands at the function, in the memory of the process."""
        address = self.program.symbols[symbol] + plus
        with open(f"/proc/{self.pid}/maps") as maps, open(f"/proc/{self.pid}/mem", "rb") as memory:
            start = int(maps.readline().split("-")[0], 16)
            memory.seek(address if address >= start else start + address)
            return memory.read(1) == b"\xcc"

    def await_probe(self, symbol: str, *, there: bool = True) -> None:
        """Wait for a probe to come or go, which the kernel does in its own time."""
        deadline = time.monotonic() + 30
        while self.is_probed(symbol) != there:
            assert time.monotonic() < deadline, f"{symbol} is probed: {not there}"
            time.sleep(0.01)

    def _ask(self, op: str, times: int, data: bytes = b"") -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(struct.pack("=III", ord(op), times, len(data)) + data)
        assert self.process.stdout.read(1) == b"k"


def hot(worker: Worker) -> bp.Probe:
    """A probe of the worker's hot()."""
    return bp.uprobe(worker.program.path, "hot", pid=worker.pid, n="$arg1")


def kernel_things(pid: int | str = "self") -> list[str]:
    """What a process holds of BPF and perf: descriptors, and memory that it shares with them."""
    held = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            held.append(str(link.readlink()))
        except FileNotFoundError:  # that of the listing itself
            continue
    held += [line.split()[-1] for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    return [name for name in held if re.match(r"anon_inode:.*(bpf|perf)", name)]


def compiler(name: str, *options: str) -> list[str]:
    """A compiler's command; skips the test where it is not there."""
    if shutil.which(name) is None:
        pytest.skip(f"needs {name}")
    return [name, *options]


def real(name: str, package: str) -> str:
    """The file of a program; skips the test where its package is not there."""
    found = shutil.which(name, path="/usr/bin")
    if found is None:
        pytest.skip(f"needs {name} of Debian's package {package}")
    return os.path.realpath(found)


def python_with_calls() -> str:
    """Return the file of a CPython that has USDT probes of its calls and lines."""
    python = real("python3", "python3")
    if b"function__entry" not in Path(python).read_bytes():
        pytest.skip("needs a Python that has probes of its calls, as those up to 3.11")
    return python


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
