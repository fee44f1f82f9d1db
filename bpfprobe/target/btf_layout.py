"""BTF with kinds of types that are not known here, whose sizes the file itself says.

Since Linux 7.1 the header of BTF may lead to a layout, which has the size of each kind (``struct
btf_layout`` of <linux/btf.h>; https://lore.kernel.org/bpf/20260326145444.2076244-1-alan.maguire@oracle.com/);
pahole 1.31 writes it. A libbpf before that refuses the whole file for one such kind.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.noun import dataclass
from bpfprobe.target.elf import ElfFile, InMemory
from bpfprobe.target.file_bytes import opened
from bpfprobe.target.libbpf_btf import TAIL_BYTES, TAIL_BYTES_EACH, Kind, kind_and_count

if TYPE_CHECKING:
    from bpfprobe.target.elf import Bytes

_MAGIC = 0xEB9F
_HEADER = struct.Struct("=HBBIIIII")  # magic version flags hdr_len, type and str: offset, length
_LAYOUT_HEADER = struct.Struct("=II")  # layout_off, layout_len, which a longer header goes on with
_TYPE = struct.Struct("=III")  # name_off, info, size or type
_OLD_MAX_VLEN = 0xFFFF
_MOST_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class KnownKinds:
    """A BTF as every libbpf reads it: ``kinds`` has those of the types that were replaced, by id.

    In their place, with their names, are forward declarations.
    """

    data: bytes
    kinds: dict[int, int]


def of_known_kinds(path: str, first_id: int, base: str | None = None) -> KnownKinds | None:
    """Return the BTF of a file without the kinds that are not in `Kind`, None if it has none such.

    The types of the file are numbered from ``first_id``. One without a layout that is split from
    that of the file ``base`` goes by the layout there. Raises `TargetError` (BAD_BTF, NO_ACCESS).
    """
    parts = _Parts.of_file(path)
    if parts is None:
        return None
    layout = parts.layout
    if not layout and base is not None:
        base_parts = _Parts.of_file(base)
        layout = base_parts.layout if base_parts else b""
    types, kinds = bytearray(), {}
    at, type_id = 0, first_id
    while at < len(parts.types):
        if at + _TYPE.size > len(parts.types):
            raise parts.broken(f"its type {type_id} is cut short")
        name, info, _ = _TYPE.unpack_from(parts.types, at)
        kind, vlen = kind_and_count(info)
        if kind == Kind.VOID:
            raise parts.broken(f"its type {type_id} is of kind 0, which is not a kind")
        end = at + _TYPE.size + _tail_bytes(kind, vlen, layout, parts, type_id)
        if end > len(parts.types):
            raise parts.broken(f"its type {type_id}, of kind {kind}, is cut short")
        if kind > Kind.ENUM64 or vlen > _OLD_MAX_VLEN:
            kinds[type_id] = kind
            types += _TYPE.pack(name, Kind.FWD << 24, 0)
        else:
            types += parts.types[at:end]
        at, type_id = end, type_id + 1
    if not kinds:
        return None
    size = len(types)
    head = _HEADER.pack(_MAGIC, 1, 0, _HEADER.size, 0, size, size, len(parts.names))
    return KnownKinds(head + types + parts.names, kinds)


def _tail_bytes(kind: int, vlen: int, layout: bytes, parts: _Parts, type_id: int) -> int:
    """Return the size of what follows the head of a type."""
    if kind <= Kind.ENUM64:
        return TAIL_BYTES.get(kind, 0) + TAIL_BYTES_EACH.get(kind, 0) * vlen
    if not layout:
        raise parts.broken(
            f"its type {type_id} is of kind {kind}, which is newer than this bpfprobe, and it has "
            "no layout that says how long such a type is",
        )
    if 4 * kind + 4 > len(layout):
        raise parts.broken(
            f"its type {type_id} is of kind {kind}, and its layout ends with kind "
            f"{len(layout) // 4 - 1}"
        )
    info_size, element_size = layout[4 * kind], layout[4 * kind + 1]
    if info_size % 4 or element_size % 4:
        raise parts.broken(f"the sizes of kind {kind} in its layout are not multiples of 4")
    return info_size + vlen * element_size


@dataclass(frozen=True, slots=True)
class _Parts:
    """The sections of a BTF; ``layout`` is empty where there is none."""

    path: str
    types: bytes
    names: bytes
    layout: bytes

    @classmethod
    def of_file(cls, path: str) -> _Parts | None:
        """Return those of a file; None for what is not BTF of this machine's byte order."""
        with opened(Path(path)) as file:
            if file.read(0, 4) != b"\x7fELF":
                return cls._of_bytes(path, file)
            try:
                elf = ElfFile(file, path)
                section = elf.section(".BTF")
                content = elf.content(section, file) if section else b""
            except TargetError:  # what is wrong with it has another reason
                return None
        return cls._of_bytes(path, InMemory(content))

    @classmethod
    def _of_bytes(cls, path: str, data: Bytes) -> _Parts | None:
        head = _read(data, 0, _HEADER.size + _LAYOUT_HEADER.size)
        if len(head) < _HEADER.size:
            return None
        magic, _, _, size, *places = _HEADER.unpack_from(head)
        if magic != _MAGIC or size < _HEADER.size:
            return None
        has_layout = size >= _HEADER.size + _LAYOUT_HEADER.size == len(head)
        places += _LAYOUT_HEADER.unpack_from(head, _HEADER.size) if has_layout else (0, 0)
        pairs = list(zip(places[::2], places[1::2], strict=True))
        if any(size + offset + length > data.size for offset, length in pairs):
            raise _broken(path, "a section of it ends after the file does")
        if pairs[2][0] % 4 or pairs[2][1] % 4:
            raise _broken(path, "its layout is not in units of 4 bytes")
        if sum(length for _, length in pairs) > _MOST_BYTES:
            raise _broken(path, f"its sections have more than {_MOST_BYTES >> 20} MiB")
        return cls(path, *(_read(data, size + offset, length) for offset, length in pairs))

    def broken(self, cause: str) -> TargetError:
        """Return the error for what contradicts itself, or is too new."""
        return _broken(self.path, cause)


def _read(data: Bytes, offset: int, count: int) -> bytes:
    """Read all of that; sysfs gives no more than a page at a time."""
    found = bytearray()
    while len(found) < count:
        part = data.read(offset + len(found), count - len(found))
        if not part:
            break
        found += part
    return bytes(found)


def _broken(path: str, cause: str) -> TargetError:
    return TargetError(f"{path} holds no BTF that can be read: {cause}", code="BAD_BTF")
