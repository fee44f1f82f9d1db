"""What BPF computes: arithmetic and comparisons on numbers of 32 and 64 bits.

Registers hold unsigned numbers. Source: the kernel's Documentation/bpf/instruction-set.rst.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

U32, U64 = (1 << 32) - 1, (1 << 64) - 1


def signed(number: int, bits: int) -> int:
    """The number that an unsigned one of so many bits stands for."""
    number &= (1 << bits) - 1
    return number - (1 << bits) if number >> (bits - 1) else number


def _divided(left: int, right: int, bits: int) -> int:
    return left // right if right else 0


def _rest(left: int, right: int, bits: int) -> int:
    return left % right if right else left


_BINARY: dict[int, Callable[[int, int, int], int]] = {
    0x00: lambda a, b, bits: a + b,
    0x10: lambda a, b, bits: a - b,
    0x20: lambda a, b, bits: a * b,
    0x30: _divided,
    0x40: lambda a, b, bits: a | b,
    0x50: lambda a, b, bits: a & b,
    0x60: lambda a, b, bits: a << (b & (bits - 1)),
    0x70: lambda a, b, bits: a >> (b & (bits - 1)),
    0x80: lambda a, b, bits: -a,
    0x90: _rest,
    0xA0: lambda a, b, bits: a ^ b,
    0xB0: lambda a, b, bits: b,
    0xC0: lambda a, b, bits: signed(a, bits) >> (b & (bits - 1)),
}

_UNSIGNED = {
    0x10: operator.eq,
    0x20: operator.gt,
    0x30: operator.ge,
    0x40: operator.and_,
    0x50: operator.ne,
    0xA0: operator.lt,
    0xB0: operator.le,
}
_SIGNED = {0x60: operator.gt, 0x70: operator.ge, 0xC0: operator.lt, 0xD0: operator.le}


def compute(operation: int, left: int, right: int, bits: int) -> int:
    """The result of an ALU instruction; of 32 bits, it clears the upper half of the register."""
    mask = (1 << bits) - 1
    if operation not in _BINARY:
        raise ValueError(f"there is no arithmetic {operation:#x}")
    return _BINARY[operation](left & mask, right & mask, bits) & mask


def swapped(number: int, bits: int, *, big: bool) -> int:
    """``le16`` to ``be64`` on a little-endian machine: the low bits, their bytes turned round."""
    data = (number & ((1 << bits) - 1)).to_bytes(bits // 8, "little")
    return int.from_bytes(data, "big" if big else "little")


def holds(operation: int, left: int, right: int, bits: int) -> bool:
    """Whether a conditional jump is taken."""
    mask = (1 << bits) - 1
    if operation in _SIGNED:
        return bool(_SIGNED[operation](signed(left, bits), signed(right, bits)))
    if operation in _UNSIGNED:
        return bool(_UNSIGNED[operation](left & mask, right & mask))
    raise ValueError(f"there is no comparison {operation:#x}")


_ATOMIC: dict[int, Callable[[int, int], int]] = {
    0x00: operator.add,
    0x40: operator.or_,
    0x50: operator.and_,
    0xA0: operator.xor,
    0xE0: lambda old, new: new,
}


def combined(operation: int, old: int, number: int) -> int:
    """What an atomic instruction (without its fetch bit) leaves in memory."""
    if operation not in _ATOMIC:
        raise ValueError(f"there is no atomic operation {operation:#x}")
    return _ATOMIC[operation](old, number)
