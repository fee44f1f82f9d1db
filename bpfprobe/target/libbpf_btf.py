"""BTF through libbpf.so.1: the C calls with full prototypes, and raw types read from its memory.

Signatures and types are those of <bpf/btf.h> of libbpf 1.0 and <linux/btf.h>.
"""

from __future__ import annotations

import ctypes
import os
import struct
import weakref
from contextlib import contextmanager
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.errors import MissingLibraryError, TargetError
from bpfprobe.model.noun import dataclass
from bpfprobe.target.lookup import open_regular
from bpfprobe.trust import check_library_path

if TYPE_CHECKING:
    from collections.abc import Iterator

SONAME = "libbpf.so.1"

_HEAD = struct.Struct("=III")  # name_off, info, size or type
TAIL_BYTES = {1: 4, 3: 12, 14: 4, 17: 4}  # after the head: INT, ARRAY, VAR, DECL_TAG
TAIL_BYTES_EACH = {4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12}  # for each of vlen
_NO_FILE, _NO_ACCESS = (2,), (1, 13)  # ENOENT; EPERM, EACCES


class Kind(IntEnum):
    """BTF_KIND_* of <linux/btf.h>, and one for all that are not there."""

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19
    UNKNOWN = 128  # a kind of a file has seven bits


def kind_and_count(info: int) -> tuple[int, int]:
    """Return the kind and the ``vlen`` of the second word of a ``struct btf_type``.

    They have 7 and 24 bits; where they had 5 and 16 the others were 0 (libbpf commit f7a6b9eaff3e,
    "bpf: Extend BTF UAPI vlen, kinds to use unused bits").
    """
    return info >> 24 & 0x7F, info & 0xFFFFFF


@dataclass(frozen=True, slots=True)
class RawType:
    """A ``struct btf_type``: ``reference`` is its size in bytes or the id of another type.

    ``tail`` is what follows in memory: members, parameters, an encoding. Of `Kind.UNKNOWN` there is
    none, and ``reference`` is the number of the kind.
    """

    kind: int
    flag: bool
    vlen: int
    name: str
    reference: int
    tail: bytes


def load_libbpf() -> ctypes.CDLL:
    """libbpf.so.1 with the prototypes used here. Raises `MissingLibraryError`."""
    check_library_path()
    try:
        library = ctypes.CDLL(SONAME, use_errno=True)
    except OSError as error:
        raise MissingLibraryError(
            f"{SONAME}, which reads kernel types (BTF), cannot be loaded: {error}",
            hint="apt install libbpf1 (Debian, Ubuntu); libbpf elsewhere",
        ) from error
    handle, text, u32 = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32
    for name, result, arguments in (
        ("btf__parse", handle, [text, handle]),
        ("btf__parse_split", handle, [text, handle]),
        ("btf__free", None, [handle]),
        ("btf__type_cnt", u32, [handle]),
        ("btf__type_by_id", handle, [handle, u32]),
        ("btf__name_by_offset", text, [handle, u32]),
        ("btf__find_by_name_kind", ctypes.c_int32, [handle, text, u32]),
        ("libbpf_set_print", handle, [handle]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


@contextmanager
def _quiet(library: ctypes.CDLL) -> Iterator[None]:
    """Keep libbpf from writing to stderr: what it would say is in errno."""
    before = library.libbpf_set_print(None)
    try:
        yield
    finally:
        library.libbpf_set_print(before)


class RawBtf:
    """The BTF of one file; with ``base`` that of a module, whose ids go on after the kernel's.

    A type of a kind that is not in `Kind`, whose size the file says, is `Kind.UNKNOWN`.
    Raises `TargetError` (NO_BTF: no file; NO_ACCESS; BAD_BTF: libbpf refuses what is in it) and
    `MissingLibraryError`.
    """

    def __init__(self, path: str, base: RawBtf | None = None) -> None:
        library = base._library if base else load_libbpf()
        self._library: ctypes.CDLL = library
        self._base = base  # a split BTF points into its base: keep that alive
        self._path = path
        self._unknown: dict[int, int] = base._unknown if base else {}
        self.first_id = base.count if base else 1
        if os.path.exists(path):  # noqa: PTH110  # C wants str
            os.close(open_regular(Path(path), path))  # libbpf would wait for what a FIFO says
        with _quiet(library):
            found = self._parse(path)
            errno = ctypes.get_errno()
            if not found and errno not in _NO_FILE + _NO_ACCESS:
                found = self._new_of_known_kinds()
        if not found:
            raise _refusal(path, errno)
        self._handle: int = found
        weakref.finalize(self, library.btf__free, found).atexit = False
        self.count: int = library.btf__type_cnt(found)

    def _parse(self, path: str) -> int | None:
        name, base = os.fsencode(path), self._base
        found: int | None = (
            self._library.btf__parse_split(name, base._handle)
            if base
            else self._library.btf__parse(name, None)
        )
        return found

    def _new_of_known_kinds(self) -> int | None:
        """Have libbpf read what it refused, without the types of kinds that are not known."""
        from bpfprobe.target import btf_layout  # needed only for a file that is newer than libbpf

        base = self._base
        made = btf_layout.of_known_kinds(self._path, self.first_id, base._path if base else None)
        if made is None:
            return None
        self._unknown = self._unknown | made.kinds
        fd = os.memfd_create("btf", os.MFD_CLOEXEC)  # libbpf 1.1 has a split BTF of a file only
        try:
            with open(fd, "wb", closefd=False) as file:
                file.write(made.data)
            return self._parse(f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)

    def find(self, name: str, kind: Kind) -> int | None:
        """The id of the type of that name and kind, the base's before those of the module."""
        found: int = self._library.btf__find_by_name_kind(self._handle, name.encode(), kind)
        # libbpf before 1.8 looks at five bits of seven, and finds another kind.
        return found if found > 0 and self.type(found).kind == kind else None

    def type(self, type_id: int) -> RawType:
        """The type with that id. Raises `TargetError` (BAD_BTF) for an id that is not there."""
        if type_id == 0:
            return RawType(Kind.VOID, False, 0, "void", 0, b"")
        address = self._library.btf__type_by_id(self._handle, type_id)
        if not address:
            raise TargetError(f"BTF has no type {type_id}", code="BAD_BTF")
        name_offset, info, reference = _HEAD.unpack(ctypes.string_at(address, _HEAD.size))
        kind, vlen = kind_and_count(info)
        name = self.name(name_offset)
        if kind > Kind.ENUM64 or type_id in self._unknown:
            return RawType(Kind.UNKNOWN, False, 0, name, self._unknown.get(type_id, kind), b"")
        size = TAIL_BYTES.get(kind, 0) + TAIL_BYTES_EACH.get(kind, 0) * vlen
        tail = ctypes.string_at(address + _HEAD.size, size) if size else b""
        return RawType(kind, bool(info >> 31), vlen, name, reference, tail)

    def name(self, offset: int) -> str:
        """The string at that offset."""
        found: bytes | None = self._library.btf__name_by_offset(self._handle, offset)
        return found.decode(errors="surrogateescape") if found else ""

    @cached_property
    def struct_names(self) -> tuple[str, ...]:
        """Names of every struct and union. Walks all types: about 0.2 s for a kernel."""
        return self._names_of(Kind.STRUCT, Kind.UNION)

    @cached_property
    def function_names(self) -> tuple[str, ...]:
        """Names of every function. Walks all types, as `struct_names`."""
        return self._names_of(Kind.FUNC)

    def _names_of(self, *wanted: Kind) -> tuple[str, ...]:
        by_id, handle = self._library.btf__type_by_id, self._handle
        names = []
        for type_id in range(1, self.count):
            name_offset, info, _ = _HEAD.unpack(ctypes.string_at(by_id(handle, type_id), 12))
            if name_offset and info >> 24 & 0x7F in wanted:
                names.append(self.name(name_offset))
        return tuple(names)


def _refusal(path: str, errno: int) -> TargetError:
    reason = os.strerror(errno)
    if errno in _NO_FILE:
        return TargetError(
            f"there is no BTF at {path}", code="NO_BTF", hint="CONFIG_DEBUG_INFO_BTF=y makes it"
        )
    if errno in _NO_ACCESS:
        return TargetError(f"{path} cannot be read: {reason}", code="NO_ACCESS")
    return TargetError(f"{path} holds no BTF that libbpf can read: {reason}", code="BAD_BTF")
