"""Files of BTF made by hand, after <linux/btf.h>."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from bpfprobe.target.libbpf_btf import Kind

if TYPE_CHECKING:
    from pathlib import Path

SIGNED, BOOL = 1 << 24, 4 << 24
USER_BIT = 1 << 31


class BtfFile:
    """The bytes of a BTF file, a type at a time; each method gives the id of what it added."""

    def __init__(self, base: BtfFile | None = None) -> None:
        self._first = base.next_id if base else 1
        self._strings_base = base.string_end if base else 0
        self._strings = b"" if base else b"\0"
        self._types: list[bytes] = []

    @property
    def next_id(self) -> int:
        return self._first + len(self._types)

    @property
    def string_end(self) -> int:
        return self._strings_base + len(self._strings)

    def string(self, text: str) -> int:
        if not text:
            return 0
        at = self.string_end
        self._strings += text.encode() + b"\0"
        return at

    def add(
        self, kind: Kind, name: str = "", reference: int = 0, *words: int,
        vlen: int = 0, flag: bool = False,
    ) -> int:  # fmt: skip
        info = kind << 24 | vlen | (USER_BIT if flag else 0)
        head = struct.pack("=III", self.string(name), info, reference)
        self._types.append(head + struct.pack(f"={len(words)}I", *words))
        return self.next_id - 1

    def integer(self, name: str, size: int, encoding: int = 0) -> int:
        return self.add(Kind.INT, name, size, encoding | size * 8)

    def pointer(self, target: int) -> int:
        return self.add(Kind.PTR, "", target)

    def struct(
        self, name: str, size: int, members: list[tuple[str, int, int]],
        kind: Kind = Kind.STRUCT, flag: bool = False,
    ) -> int:  # fmt: skip
        words = [word for n, t, place in members for word in (self.string(n), t, place)]
        return self.add(kind, name, size, *words, vlen=len(members), flag=flag)

    def function(self, name: str, returns: int, *parameters: tuple[str, int]) -> int:
        words = [word for n, t in parameters for word in (self.string(n), t)]
        proto = self.add(Kind.FUNC_PROTO, "", returns, *words, vlen=len(parameters))
        return self.add(Kind.FUNC, name, proto)

    def write(self, path: Path, layout: bytes | None = None) -> Path:
        """With a layout the header is that of Linux 7.1, else the one before."""
        types = b"".join(self._types)
        strings_at = len(types) + len(layout or b"")
        size = 24 if layout is None else 32
        head = struct.pack(
            "=HBBIIIII", 0xEB9F, 1, 0, size, 0, len(types), strings_at, len(self._strings)
        )
        if layout is not None:
            head += struct.pack("=II", len(types), len(layout))
        path.write_bytes(head + types + (layout or b"") + self._strings)
        return path


def layout_of(more: dict[int, tuple[int, int]]) -> bytes:
    """The layout of the kinds that there are, and of more: bytes after the head, and for each."""
    sizes = {1: (4, 0), 3: (12, 0), 4: (0, 12), 5: (0, 12), 6: (0, 8), 13: (0, 8), 14: (4, 0),
             15: (0, 12), 17: (4, 0), 19: (0, 12), **more}  # fmt: skip
    return b"".join(
        struct.pack("=BBH", *sizes.get(kind, (0, 0)), 0) for kind in range(max(sizes) + 1)
    )
