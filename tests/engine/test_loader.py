from __future__ import annotations

import ctypes
import errno
import os
import struct
from dataclasses import dataclass, field, replace

import pytest

from bpfprobe.engine import load_errors, loader, privilege
from bpfprobe.engine.privilege import Privileges
from bpfprobe.errors import BpfprobeError, LoadError, PrivilegeError, VerifierError
from bpfprobe.model.object import Bytecode, MapDef, MapKind, ProgramDef, ProgramKind

EXIT = bytes.fromhex("b700000000000000 9500000000000000")
PROGRAM = Bytecode(ProgramDef("bp_0", ProgramKind.KPROBE), EXIT)
COUNTS = MapDef("counts", MapKind.PERCPU_ARRAY, 4, 12, 3)

MAP_CREATE, PROG_LOAD = 0, 5


@dataclass
class StubKernel:
    """Answers bpf(2) with fds and errnos in turn; writes ``log`` where a log is asked for."""

    answers: list[int]  # a descriptor, or an errno below 0
    log: bytes = b""
    asked: list[tuple[int, bytes]] = field(default_factory=list)

    def bpf(self, command: int, attr: ctypes.Array[ctypes.c_char]) -> int:
        self.asked.append((command, attr.raw))
        if command == PROG_LOAD:
            level, size, address = struct.unpack_from("=IIQ", attr.raw, 24)
            if level:
                ctypes.memmove(address, self.log[: size - 1] + b"\0", min(len(self.log) + 1, size))
        answer = self.answers.pop(0)
        if answer < 0:
            raise OSError(-answer, os.strerror(-answer))
        return answer


def ld_imm64(source: int, number: int, target: int = 1) -> bytes:
    return struct.pack("<BBhi", 0x18, source << 4 | target, 0, number) + bytes(8)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (EXIT, EXIT),
        (ld_imm64(1, 0) + EXIT, ld_imm64(1, 33) + EXIT),
        (ld_imm64(1, 1, 7) + ld_imm64(1, 0), ld_imm64(1, 44, 7) + ld_imm64(1, 33)),
        (ld_imm64(2, 1) + EXIT, ld_imm64(2, 44) + EXIT),  # the address of its one value
        (ld_imm64(0, 1) + EXIT, ld_imm64(0, 1) + EXIT),  # a plain number of 64 bits
    ],
)
def test_map_numbers_become_descriptors(before: bytes, after: bytes) -> None:
    assert loader.relocate(before, [33, 44]) == after


def test_the_second_half_of_a_wide_instruction_is_no_instruction() -> None:
    first = struct.pack("<BBhi", 0x18, 0x01, 0, 5)
    lookalike = struct.pack("<BBhi", 0x18, 0x11, 0, 0)
    assert loader.relocate(first + lookalike + EXIT, [33]) == first + lookalike + EXIT


MAP_UPDATE = 2
PARAMETERS = MapDef("params", MapKind.ARRAY, 4, 8, 1, initial=b"12345678")


def test_a_first_value_is_put_into_the_map() -> None:
    kernel = StubKernel([7, 0])
    assert loader.create_map(kernel, PARAMETERS) == 7  # type: ignore[arg-type]
    assert [command for command, _ in kernel.asked] == [MAP_CREATE, MAP_UPDATE]
    assert struct.unpack_from("=I", kernel.asked[1][1]) == (7,)


@pytest.mark.parametrize(
    ("definition", "answers", "problem"),
    [
        (PARAMETERS, [-errno.E2BIG], "Argument list too long"),
        (replace(PARAMETERS, value_size=16), [], "8 bytes for a value of 16"),
    ],
)
def test_a_map_that_does_not_take_its_first_value_is_closed(
    definition: MapDef, answers: list[int], problem: str
) -> None:
    made = os.dup(0)
    with pytest.raises(LoadError, match=problem) as caught:
        loader.create_map(StubKernel([made, *answers]), definition)  # type: ignore[arg-type]
    assert caught.value.code == "MAP_VALUE"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(made)


@pytest.mark.parametrize("code", [b"", EXIT[:-1], ld_imm64(1, 2), ld_imm64(2, 2), ld_imm64(1, -1)])
def test_bytes_that_are_no_program(code: bytes) -> None:
    with pytest.raises(LoadError) as caught:
        loader.relocate(code, [33, 44])
    assert caught.value.code == "BYTECODE"


@pytest.mark.parametrize(
    ("definition", "size"),
    [
        (COUNTS, 3 * (8 + 16 * 4)),
        (MapDef("h", MapKind.HASH, 4, 4, 100), 1600),
        (MapDef("r", MapKind.RINGBUF, 0, 0, 65536), 65536),
    ],
)
def test_memory_of_a_map(definition: MapDef, size: int) -> None:
    assert load_errors.map_bytes(definition, cpus=4) == size


@pytest.fixture
def modern(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root on Linux 6.1."""
    _machine(monkeypatch, "6.1.0-56-amd64", Privileges(-1, "none", 2))


def _machine(monkeypatch: pytest.MonkeyPatch, release: str, privileges: Privileges) -> None:
    monkeypatch.setattr(load_errors, "kernel_release", lambda: release)
    monkeypatch.setattr(privilege, "kernel_release", lambda: release)
    monkeypatch.setattr(load_errors, "read_privileges", lambda: privileges)
    monkeypatch.setattr(load_errors, "memlock_kb", lambda: 64)
    monkeypatch.setattr(privilege, "raise_memlock", lambda release: False)
    monkeypatch.setattr(load_errors, "possible_cpus", lambda: (0, 1))


@pytest.mark.usefixtures("modern")
@pytest.mark.parametrize(
    ("definition", "number", "kind", "code"),
    [
        (COUNTS, errno.EPERM, PrivilegeError, "PRIVILEGE"),
        (COUNTS, errno.ENOMEM, LoadError, "MAP_SIZE"),
        (COUNTS, errno.E2BIG, LoadError, "MAP_SIZE"),
        (COUNTS, errno.EINVAL, LoadError, "MAP"),
        (MapDef("r", MapKind.RINGBUF, 0, 0, 65536), errno.EINVAL, LoadError, "NO_MAP_KIND"),
    ],
)
def test_why_a_map_is_refused(
    definition: MapDef, number: int, kind: type[BpfprobeError], code: str
) -> None:
    with pytest.raises(kind) as caught:
        loader.create_map(StubKernel([-number]), definition)
    assert caught.value.code == code
    assert definition.name in caught.value.message


def test_locked_memory_on_an_older_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch, "5.10.0-33-amd64", Privileges(-1, "none", 2))
    big = MapDef("big", MapKind.HASH, 8, 248, 65536)
    with pytest.raises(LoadError, match="about 16385 kB of locked memory and the limit is 64 kB"):
        loader.create_map(StubKernel([-errno.EPERM]), big)


def test_the_limit_is_raised_once_and_only_after_a_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raised: list[str] = []
    _machine(monkeypatch, "5.10.0", Privileges(-1, "none", 2))
    monkeypatch.setattr(privilege, "raise_memlock", lambda release: not raised.append(release))
    assert loader.create_map(StubKernel([5]), COUNTS) == 5
    assert raised == []
    assert loader.create_map(StubKernel([-errno.EPERM, 6]), COUNTS) == 6
    assert loader.load(StubKernel([-errno.EPERM, 7]), PROGRAM, []) == 7
    assert raised == ["5.10.0", "5.10.0"]


def test_a_program_that_is_taken_costs_one_call() -> None:
    kernel = StubKernel([9])
    assert loader.load(kernel, PROGRAM, []) == 9
    ((command, attr),) = kernel.asked
    kind, count = struct.unpack_from("=II", attr)
    assert (command, kind, count) == (PROG_LOAD, 2, 2)
    assert attr[48:64] == b"bp_0".ljust(16, b"\0")


@pytest.mark.usefixtures("modern")
def test_the_whole_log_is_in_the_error() -> None:
    log = "noise\n" * 30_000 + "0: (79) r1 = *(u64 *)(r1 +0)\nR1 invalid mem access 'scalar'\n"
    kernel = StubKernel([-errno.EACCES, -errno.ENOSPC, -errno.EACCES], log.encode())
    with pytest.raises(VerifierError) as caught:
        loader.load(kernel, PROGRAM, [])
    assert caught.value.log == log
    assert caught.value.errno == errno.EACCES
    assert "R1 invalid mem access 'scalar'" in caught.value.message
    assert "noise" not in caught.value.message


@pytest.mark.usefixtures("modern")
@pytest.mark.parametrize(
    ("number", "log", "kind", "code", "words"),
    [
        (errno.EPERM, b"", PrivilegeError, "PRIVILEGE", "load program bp_0"),
        (errno.E2BIG, b"", LoadError, "PROGRAM_SIZE", "has 2 instructions, more than"),
        (errno.E2BIG, b"processed 131073 insns\n", VerifierError, "VERIFIER", "after 131073"),
        (errno.EINVAL, b"", LoadError, "PROGRAM", "gave no reason"),
        (errno.EINVAL, b"back-edge from insn 1 to 0\n", VerifierError, "VERIFIER", "back-edge"),
    ],
)
def test_why_a_program_is_refused(
    number: int, log: bytes, kind: type[BpfprobeError], code: str, words: str
) -> None:
    with pytest.raises(kind) as caught:
        loader.load(StubKernel([-number, -number], log), PROGRAM, [])
    assert caught.value.code == code
    assert words in caught.value.message


@pytest.mark.usefixtures("modern")
def test_a_signal_in_the_way_is_no_refusal() -> None:
    assert loader.load(StubKernel([-errno.EAGAIN, -errno.EAGAIN, 9]), PROGRAM, []) == 9
