"""Memory as a BPF program sees it: its own, which it may touch, and that of others."""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass

USER_END = 1 << 47
OWN_START = 0xFFFF_A000_0000_0000
_PAGE = 4096


class Fault(Exception):
    """An address where nothing is, or that the program may not touch."""


@dataclass(slots=True)
class _Region:
    data: bytearray
    own: bool  # stack, context, a map's value or a record: the program may touch it directly


class Memory:
    """Regions with nothing between them."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._regions: dict[int, _Region] = {}
        self._next = OWN_START

    def place(self, address: int, data: bytes) -> int:
        """Put what belongs to a process (below 1 << 47) or the kernel; gives the address."""
        return self._add(address, bytearray(data), own=False)

    def make(self, data: bytes) -> int:
        """Give the program memory of its own."""
        address = self._next
        self._next += (len(data) // _PAGE + 2) * _PAGE
        return self._add(address, bytearray(data), own=True)

    def drop(self, address: int) -> None:
        """Take away what was made or placed there."""
        self._starts.remove(address)
        del self._regions[address]

    def load(self, address: int, size: int) -> bytes:
        """What the program reads itself."""
        region, at = self._find(address, size)
        if not region.own:
            raise Fault(f"the program reads {address:#x} itself, without a helper")
        return bytes(region.data[at : at + size])

    def store(self, address: int, data: bytes) -> None:
        """What the program writes itself, or a helper writes for it."""
        region, at = self._find(address, len(data))
        if not region.own:
            raise Fault(f"the program writes to {address:#x}")
        region.data[at : at + len(data)] = data

    def peek(self, address: int, size: int) -> bytes:
        """What is there, whoever it belongs to."""
        region, at = self._find(address, size)
        return bytes(region.data[at : at + size])

    def text(self, address: int, limit: int) -> bytes:
        """Up to ``limit`` bytes until a NUL, which is not among them."""
        region, at = self._find(address, 1)
        found, nul, _ = bytes(region.data[at : at + limit]).partition(b"\0")
        if not nul and len(found) < limit:
            raise Fault(f"the text at {address:#x} ends in nothing")
        return found

    def _add(self, address: int, data: bytearray, *, own: bool) -> int:
        for start, region in self._regions.items():
            if address < start + len(region.data) and start < address + len(data):
                raise ValueError(f"there is something at {address:#x} already")
        insort(self._starts, address)
        self._regions[address] = _Region(data, own)
        return address

    def _find(self, address: int, size: int) -> tuple[_Region, int]:
        number = bisect_right(self._starts, address) - 1
        if number >= 0:
            start = self._starts[number]
            region = self._regions[start]
            if address + size <= start + len(region.data):
                return region, address - start
        raise Fault(f"nothing of {size} bytes is at {address:#x}")
