"""The machine does what the kernel's documents say of each instruction and helper."""

from __future__ import annotations

import errno
import struct

import pytest

from bpfprobe.model.object import MapDef, MapKind
from tests.machine.arithmetic import compute, holds, signed, swapped
from tests.machine.instruction import decode
from tests.machine.machine import HANDLE, Machine, ProgramError, Task

TASK = Task(pid=4099, tid=4111, uid=1009, comm="a comm of more than 16")
RING = MapDef("ring", MapKind.RINGBUF, 0, 0, 4096)
HASH = MapDef("hash", MapKind.HASH, 8, 16, 2)
CODES = {"exit": 0x95, "call": 0x85, "mov": 0xB7, "movx": 0xBF, "add": 0x07, "addx": 0x0F}


def op(
    code: int | str, target: int = 0, source: int = 0, offset: int = 0, number: int = 0
) -> bytes:
    opcode = CODES[code] if isinstance(code, str) else code
    return struct.pack("<BBhi", opcode, source << 4 | target, offset, number)


def wide(target: int, number: int, source: int = 0) -> bytes:
    low, high = number & 0xFFFFFFFF, number >> 32
    return struct.pack("<BBhIII", 0x18, source << 4 | target, 0, low, 0, high)


def result(*code: bytes, machine: Machine | None = None, context: bytes = b"") -> int:
    ran = (machine or Machine(TASK, {})).run(b"".join((*code, op("exit"))), context)
    return ran.result


@pytest.mark.parametrize(
    ("operation", "left", "right", "of_64", "of_32"),
    [
        (0x00, 2**64 - 1, 2, 1, 1),
        (0x10, 1, 2, 2**64 - 1, 2**32 - 1),
        (0x20, 2**63, 2, 0, 0),
        (0x30, 2**32 + 6, 4, 2**30 + 1, 1),
        (0x30, 7, 0, 0, 0),
        (0x40, 0b1100, 0b1010, 0b1110, 0b1110),
        (0x50, 0b1100, 0b1010, 0b1000, 0b1000),
        (0x60, 1, 65, 2, 2),
        (0x60, 1, 33, 2**33, 2),
        (0x70, 2**63, 63, 1, 0),
        (0x80, 5, 0, 2**64 - 5, 2**32 - 5),
        (0x90, 2**32 + 7, 5, 3, 2),
        (0x90, 7, 0, 7, 7),
        (0xA0, 0b1100, 0b1010, 0b0110, 0b0110),
        (0xB0, 9, 2**40 + 3, 2**40 + 3, 3),
        (0xC0, 2**64 - 8, 1, 2**64 - 4, 2**32 - 4),
        (0xC0, 2**31, 1, 2**30, 2**32 - 2**30),
    ],
)
def test_arithmetic(operation: int, left: int, right: int, of_64: int, of_32: int) -> None:
    assert compute(operation, left, right, 64) == of_64
    assert compute(operation, left, right, 32) == of_32


@pytest.mark.parametrize(
    ("operation", "below", "same", "above"),
    [  # of -1 with 1 and with itself, and of 1 with -1
        (0x10, False, True, False),
        (0x20, True, False, False),
        (0x30, True, True, False),
        (0x50, True, False, True),
        (0x60, False, False, True),
        (0x70, False, True, True),
        (0xA0, False, False, True),
        (0xB0, False, True, True),
        (0xC0, True, False, False),
        (0xD0, True, True, False),
    ],
)
@pytest.mark.parametrize("bits", [32, 64])
def test_comparisons(operation: int, below: bool, same: bool, above: bool, bits: int) -> None:
    minus = 2**64 - 1
    assert holds(operation, minus, 1, bits) is below
    assert holds(operation, minus, minus, bits) is same
    assert holds(operation, 1, minus, bits) is above


def test_bits_that_are_set() -> None:
    assert holds(0x40, 0b110, 0b010, 64)
    assert not holds(0x40, 1 << 40, 1 << 40, 32)


def test_signs_and_byte_orders() -> None:
    assert (signed(0xFF, 8), signed(0x7F, 8), signed(2**64 - 3, 64)) == (-1, 127, -3)
    assert swapped(0x1122334455667788, 16, big=True) == 0x8877
    assert swapped(0x1122334455667788, 64, big=True) == 0x8877665544332211
    assert swapped(0x1122334455667788, 32, big=False) == 0x55667788


def test_a_loop_counts_each_time_round() -> None:
    # r0 = 0, then seven times r0 += 1, and a jump back while r0 < 7
    code = op("mov") + op("add", number=1) + op(0xA5, offset=-2, number=7) + op("exit")
    assert Machine(TASK, {}).run(code, b"").executed == 1 + 7 * 2 + 1


def test_a_wide_immediate_is_one_instruction_of_two_slots() -> None:
    code = wide(0, 0x1122334455667788) + op("exit")
    ran = Machine(TASK, {}).run(code, b"")
    assert (ran.result, ran.executed) == (0x1122334455667788, 2)


@pytest.mark.parametrize(("size", "width"), [(0x10, 1), (0x08, 2), (0x00, 4), (0x18, 8)])
def test_loads_and_stores_have_their_width(size: int, width: int) -> None:
    stored = result(
        wide(2, 2**64 - 1),
        op(0x7B, 10, 2, -8),
        op(0x62 | size, 10, offset=-8, number=0x01020304),
        op(0x79, 0, 10, -8),
    )
    kept = 2**64 - 1 >> 8 * width << 8 * width
    assert stored == kept | 0x01020304 & (1 << 8 * width) - 1
    assert result(op(0x61 | size, 0, 1, 8), context=bytes(8) + b"\xff" * 8) == (1 << 8 * width) - 1


@pytest.mark.parametrize(
    ("operation", "left_in_memory", "left_in_register"),
    [
        (0x00, 0b1100 + 0b1010, 0b1010),
        (0x40, 0b1110, 0b1010),
        (0x50, 0b1000, 0b1010),
        (0xA0, 0b0110, 0b1010),
        (0x01, 0b1100 + 0b1010, 0b1100),
        (0xE1, 0b1010, 0b1100),
    ],
)
def test_atomics(operation: int, left_in_memory: int, left_in_register: int) -> None:
    code = (
        op(0x7A, 10, offset=-8, number=0b1100),
        op("mov", 2, number=0b1010),
        op(0xDB, 10, 2, -8, operation),
    )
    assert result(*code, op(0x79, 0, 10, -8)) == left_in_memory
    assert result(*code, op("movx", 0, 2)) == left_in_register


@pytest.mark.parametrize(("expected", "left"), [(5, 9), (6, 5)])
def test_exchange_if_it_is_still_the_same(expected: int, left: int) -> None:
    code = (
        op(0x7A, 10, offset=-8, number=5),
        op("mov", 0, number=expected),
        op("mov", 2, number=9),
        op(0xDB, 10, 2, -8, 0xF1),
    )
    assert result(*code) == 5
    assert result(*code, op(0x79, 0, 10, -8)) == left


def test_helpers_know_the_task() -> None:
    assert result(op("call", number=14)) == 4099 << 32 | 4111
    assert result(op("call", number=15)) & 0xFFFFFFFF == 1009
    machine = Machine(TASK, {})
    first, second = (result(op("call", number=5), machine=machine) for _ in range(2))
    assert second > first
    text = (
        op("movx", 1, 10) + op("add", 1, number=-16) + op("mov", 2, number=16),
        op("call", number=16),
    )
    assert result(*text, op(0x79, 0, 10, -8)).to_bytes(8, "little") == b"f more \0"


def read(number: int, address: int, size: int, keep: int = 0) -> tuple[bytes, ...]:
    """Call a reader into the stack at -64; give its result, or the 8 bytes that it wrote."""
    after = op(0x79, 0, 10, -64) if keep else b""
    return (
        op(0x7A, 10, offset=-64, number=-1),
        op("movx", 1, 10) + op("add", 1, number=-64) + op("mov", 2, number=size),
        wide(3, address),
        op("call", number=number),
        after,
    )


USER, KERNEL = 0x5000, 0xFFFF_8880_0000_1000


@pytest.mark.parametrize(
    ("helper", "address", "size", "value", "written"),
    [
        (112, USER, 4, 0, b"/etc\xff\xff\xff\xff"),
        (113, KERNEL, 4, 0, b"inod\xff\xff\xff\xff"),
        (112, KERNEL, 4, -errno.EFAULT, bytes(4) + b"\xff" * 4),
        (113, USER, 4, -errno.EFAULT, bytes(4) + b"\xff" * 4),
        (4, USER, 4, 0, b"/etc\xff\xff\xff\xff"),
        (114, USER, 8, 5, b"/etc\0\xff\xff\xff"),
        (114, USER, 3, 3, b"/e\0\xff\xff\xff\xff\xff"),
        (115, KERNEL, 8, 6, b"inode\0\xff\xff"),
        (45, KERNEL, 8, 6, b"inode\0\xff\xff"),
        (114, 0, 2, -errno.EFAULT, bytes(2) + b"\xff" * 6),
    ],
)
def test_reading_memory_of_others(
    helper: int, address: int, size: int, value: int, written: bytes
) -> None:
    machine = Machine(TASK, {})
    machine.memory.place(USER, b"/etc\0")
    machine.memory.place(KERNEL, b"inode\0")
    assert signed(result(*read(helper, address, size), machine=machine), 64) == value
    found = result(*read(helper, address, size, keep=1), machine=machine)
    assert found.to_bytes(8, "little") == written


def test_maps_hold_what_they_are_given() -> None:
    machine = Machine(TASK, {0: HASH})
    table, key = machine.table(0), (7).to_bytes(8, "little")
    store = (
        op(0x7A, 10, offset=-8, number=7) + op(0x7A, 10, offset=-24, number=11),
        op(0x7A, 10, offset=-16, number=13) + wide(1, 0, source=1),
        op("movx", 2, 10) + op("add", 2, number=-8),
        op("movx", 3, 10) + op("add", 3, number=-24) + op("mov", 4),
        op("call", number=2),
    )
    assert result(*store, machine=machine) == 0
    assert table.items() == {key: struct.pack("<QQ", 11, 13)}
    look = (wide(1, 0, source=1) + op("movx", 2, 10) + op("add", 2, number=-8),)
    found = op(0x7A, 10, offset=-8, number=7), *look, op("call", number=1), op(0x79, 0, 0, 8)
    assert result(*found, machine=machine) == 13
    gone = op(0x7A, 10, offset=-8, number=7), *look, op("call", number=3)
    assert signed(result(*gone, machine=machine), 64) == 0
    assert signed(result(*gone, machine=machine), 64) == -errno.ENOENT


@pytest.mark.parametrize("kind", [MapKind.HASH, MapKind.LRU_HASH])
def test_a_full_map_refuses_or_forgets(kind: MapKind) -> None:
    table = Machine(TASK, {0: MapDef("m", kind, 8, 16, 2)}).table(0)
    keys = [number.to_bytes(8, "little") for number in range(3)]
    assert [table.set(key, bytes(16)) for key in keys[:2]] == [0, 0]
    assert table.address(keys[0])
    if kind is MapKind.HASH:
        assert table.set(keys[2], bytes(16)) == -errno.E2BIG
        assert list(table.items()) == keys[:2]
    else:
        assert table.set(keys[2], bytes(16)) == 0
        assert sorted(table.items()) == [keys[0], keys[2]]


def test_arrays_are_full_from_the_start() -> None:
    machine = Machine(TASK, {3: MapDef("a", MapKind.PERCPU_ARRAY, 4, 8, 5)})
    table = machine.table(3)
    assert len(table.items()) == 5
    assert table.remove(bytes(4)) == -errno.EINVAL
    assert table.set((5).to_bytes(4, "little"), bytes(8)) == -errno.E2BIG
    # r1 = the value of map 3 itself; *(r1 + 16) = 9, which is key 2
    code = struct.pack("<BBhiiI", 0x18, 2 << 4 | 1, 0, 3, 0, 16) + op(0x7A, 1, number=9)
    result(code, op("mov"), machine=machine)
    assert table.items()[(2).to_bytes(4, "little")] == (9).to_bytes(8, "little")


def test_a_ring_takes_what_fits_and_wakes_when_told() -> None:
    machine = Machine(TASK, {0: RING})
    send = (
        op(0x7A, 10, offset=-8, number=7) + wide(1, 0, source=1),
        op("movx", 2, 10) + op("add", 2, number=-8) + op("mov", 3, number=8),
        op("mov", 4, number=1) + op("call", number=130),
    )
    results = [result(*send, machine=machine) for _ in range(257)]
    assert results[:256] == [0] * 256
    assert signed(results[256], 64) == -errno.EAGAIN
    ring = machine.buffer(0)
    assert (ring.pending, ring.wakeups) == (4096, 0)
    assert ring.take() == [(7).to_bytes(8, "little")] * 256
    assert ring.pending == 0


def test_a_record_is_reserved_and_sent_or_dropped() -> None:
    machine = Machine(TASK, {0: RING})
    reserve = wide(1, 0, source=1) + op("mov", 2, number=8) + op("mov", 3) + op("call", number=131)
    write = op(0x7A, 0, number=23) + op("movx", 1, 0) + op("mov", 2)
    for last, records in ((132, [(23).to_bytes(8, "little")]), (133, [])):
        result(reserve, write, op("call", number=last), machine=machine)
        assert machine.buffer(0).take() == records
    assert machine.buffer(0).wakeups == 1
    query = wide(1, 0, source=1) + op("mov", 2, number=1) + op("call", number=134)
    assert result(query, machine=machine) == 4096


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        (op(0x79, 0, 10, 8), "nothing of 8 bytes"),
        (wide(1, USER) + op(0x79, 0, 1), "reads 0x5000 itself"),
        (wide(1, USER) + op(0x7A, 1), "writes to 0x5000"),
        (op("call", number=9999), "a call of 9999"),
        (wide(1, HANDLE + 4) + op("mov", 2) + op("call", number=134), "is no map"),
        (op(0x05, offset=-1), "no end"),
        (op(0xDB, 10, 2, -8, 0x70), "no atomic operation 0x70"),
        (op(0x20), "opcode 0x20 is not known"),
        (wide(1, 1, source=5), "an ld_imm64 of kind 5"),
    ],
)
def test_what_no_program_may_do(code: bytes, complaint: str) -> None:
    machine = Machine(TASK, {0: RING})
    machine.memory.place(USER, b"/etc/hostname")
    with pytest.raises(ProgramError, match=complaint):
        result(code, machine=machine)
    assert result(op("mov", number=3), machine=machine) == 3


def test_bytes_that_are_no_program() -> None:
    for code in (b"", bytes(7), wide(0, 1)[:8]):
        with pytest.raises(ValueError, match=r"instructions|second half"):
            decode(code)
