"""Where functions begin and end as exceptions find them, in stripped files too.

``.eh_frame_hdr`` is a table of them, sorted (LSB Core 5.0, part 10.6.2); a segment of its own leads
to it, so that neither symbols nor section headers are needed.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from typing import TYPE_CHECKING

from bpfprobe.model.machine import VirtualAddress

if TYPE_CHECKING:
    from bpfprobe.target.elf import Bytes, ElfFile

_PT_GNU_EH_FRAME = 0x6474E550
_HEAD = struct.Struct("<BBBBiI")  # version, three encodings, where .eh_frame is, how many
_SORTED_TABLE = (1, 0x1B, 0x03, 0x3B)
"""The version and the encodings that linkers write: 32-bit differences and an unsigned count."""
_ROW_BYTES = 8
_MOST_BYTES = 64 << 20  # eight million functions


def frame_at(elf: ElfFile, data: Bytes, address: int) -> tuple[VirtualAddress, int] | None:
    """Where the function begins that holds an address, and its size in bytes; None for none.

    Also None where there is no table, or one that says nothing of the place in a form known here.
    """
    for segment in elf.segments:
        if segment.kind == _PT_GNU_EH_FRAME and elf.order == "<":
            return _look(
                elf,
                data.read(segment.offset, min(segment.size, _MOST_BYTES)),
                segment.address,
                address,
                data,
            )
    return None


def _look(
    elf: ElfFile, table: bytes, base: int, address: int, data: Bytes
) -> tuple[VirtualAddress, int] | None:
    if len(table) < _HEAD.size:
        return None
    *form, _, count = _HEAD.unpack_from(table)
    rows = (len(table) - _HEAD.size) // _ROW_BYTES
    if tuple(form) != _SORTED_TABLE or not 0 < count <= rows:
        return None

    def row(number: int) -> tuple[int, int]:
        start, frame = struct.unpack_from("<ii", table, _HEAD.size + number * _ROW_BYTES)
        return base + start, base + frame

    after = bisect_right(range(count), address, key=lambda number: row(number)[0])
    if after == 0:
        return None
    start, frame = row(after - 1)
    size = _size(elf, data, start, frame)
    return (VirtualAddress(start), size) if address < start + size else None


def _size(elf: ElfFile, data: Bytes, start: int, frame: int) -> int:
    """Bytes of the function that a frame description is of, 0 where it has another form."""
    at = elf.data_offset_of(frame)
    head = b"" if at is None else data.read(at, 16)
    if len(head) < 16:
        return 0
    length, _, distance, size = struct.unpack("<IIiI", head)
    # The difference counts from where it stands itself.
    return size if length >= 12 and frame + 8 + distance == start else 0
