"""The commands of bpf(2) that a probe needs, a function each.

All raise OSError with the kernel's errno; `loader` and `attach` explain them. Layouts are those of
``union bpf_attr`` in <linux/bpf.h>.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from bpfprobe.model.object import AttachType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.engine.syscalls import Kernel
    from bpfprobe.model.object import MapDef, ProgramDef
    from bpfprobe.model.site import UserSite

OBJECT_NAME_SIZE = 16  # BPF_OBJ_NAME_LEN, with the terminating NUL
INSTRUCTION_SIZE = 8

_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE, _MAP_NEXT_KEY, _PROG_LOAD = 0, 1, 2, 4, 5
_OBJ_GET_INFO, _LINK_CREATE = 15, 28
_BPF_PERF_EVENT = 41  # enum bpf_attach_type

_MAP_CREATE_ATTR = struct.Struct("=7I16s")
_ELEMENT_ATTR = struct.Struct("=I4xQQQ")
_PROG_LOAD_ATTR = struct.Struct("=IIQQIIQII16sII")
_LINK_CREATE_ATTR = struct.Struct("=4I")
_UPROBE_MULTI_ATTR = struct.Struct("=4I4Q3I4x")
_INFO_ATTR = struct.Struct("=IIQ")

_UPROBE_MULTI_RETURN = 1  # BPF_F_UPROBE_MULTI_RETURN


def create_map(kernel: Kernel, definition: MapDef) -> int:
    """BPF_MAP_CREATE; the name is cut to 15 bytes."""
    attr = _MAP_CREATE_ATTR.pack(
        definition.kind.value,
        definition.key_size,
        definition.value_size,
        definition.max_entries,
        definition.flags,
        0,  # inner_map_fd
        0,  # numa_node
        object_name(definition.name),
    )
    return kernel.bpf(_MAP_CREATE, _buffer(attr))


def load_program(
    kernel: Kernel, program: ProgramDef, instructions: bytes, log_size: int = 0
) -> tuple[int, OSError | None, str]:
    """BPF_PROG_LOAD under the licence GPL, which most tracing helpers ask for.

    Gives the fd (-1 if refused), the refusal, and the verifier's log if ``log_size`` is not 0.
    """
    text = _buffer(instructions)
    licence = _buffer(b"GPL\0")
    log = ctypes.create_string_buffer(log_size) if log_size else None
    attr = _PROG_LOAD_ATTR.pack(
        program.kind.value,
        len(instructions) // INSTRUCTION_SIZE,
        ctypes.addressof(text),
        ctypes.addressof(licence),
        1 if log else 0,
        log_size,
        ctypes.addressof(log) if log else 0,
        0,  # kern_version, not looked at since Linux 5.0
        0,  # prog_flags
        object_name(program.name),
        0,  # prog_ifindex
        program.attach_type.value,
    )
    refusal = None
    try:
        fd = kernel.bpf(_PROG_LOAD, _buffer(attr))
    except OSError as error:
        fd, refusal = -1, error
    return fd, refusal, log.value.decode(errors="backslashreplace") if log else ""


def lookup(kernel: Kernel, map_fd: int, key: bytes, value_size: int) -> bytes:
    """BPF_MAP_LOOKUP_ELEM. ``value_size`` must be all that the kernel writes, for each CPU."""
    key_buffer, value = _buffer(key), ctypes.create_string_buffer(value_size)
    attr = _ELEMENT_ATTR.pack(map_fd, ctypes.addressof(key_buffer), ctypes.addressof(value), 0)
    kernel.bpf(_MAP_LOOKUP, _buffer(attr))
    return value.raw


def update(kernel: Kernel, map_fd: int, key: bytes, value: bytes) -> None:
    """BPF_MAP_UPDATE_ELEM with BPF_ANY."""
    key_buffer, value_buffer = _buffer(key), _buffer(value)
    addresses = ctypes.addressof(key_buffer), ctypes.addressof(value_buffer)
    kernel.bpf(_MAP_UPDATE, _buffer(_ELEMENT_ATTR.pack(map_fd, *addresses, 0)))


def next_key(kernel: Kernel, map_fd: int, key: bytes | None, key_size: int) -> bytes | None:
    """BPF_MAP_GET_NEXT_KEY: the first key for None; None after the last."""
    key_buffer = None if key is None else _buffer(key)
    after = ctypes.create_string_buffer(key_size)
    address = 0 if key_buffer is None else ctypes.addressof(key_buffer)
    attr = _buffer(_ELEMENT_ATTR.pack(map_fd, address, ctypes.addressof(after), 0))
    try:
        kernel.bpf(_MAP_NEXT_KEY, attr)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise
    return after.raw


def create_perf_link(kernel: Kernel, program_fd: int, perf_fd: int, cookie: int = 0) -> int:
    """BPF_LINK_CREATE on a perf event (Linux 5.15, commit b89fbfbb854c)."""
    attr = _LINK_CREATE_ATTR.pack(program_fd, perf_fd, _BPF_PERF_EVENT, 0)
    if cookie:
        attr += cookie.to_bytes(8, "little")
    return kernel.bpf(_LINK_CREATE, _buffer(attr))


def create_uprobe_multi_link(
    kernel: Kernel, program_fd: int, sites: Sequence[UserSite], first_cookie: int = 0
) -> int:
    """BPF_LINK_CREATE on places of one file (Linux 6.6, commit 89ae89f53d20).

    The cookies of ``sites`` are numbers from ``first_cookie`` on.
    """
    first, count = sites[0], len(sites)
    path = _buffer(os.fsencode(first.path) + b"\0")
    offsets = _buffer(struct.pack(f"={count}Q", *(site.offset for site in sites)))
    counters = _buffer(struct.pack(f"={count}Q", *(site.ref_ctr_offset for site in sites)))
    cookies = _buffer(struct.pack(f"={count}Q", *range(first_cookie, first_cookie + count)))
    attr = _UPROBE_MULTI_ATTR.pack(
        program_fd,
        0,  # target_fd
        AttachType.UPROBE_MULTI.value,
        0,  # flags of the link
        ctypes.addressof(path),
        ctypes.addressof(offsets),
        ctypes.addressof(counters),
        ctypes.addressof(cookies),
        count,
        _UPROBE_MULTI_RETURN if first.returns else 0,
        first.pid or 0,
    )
    return kernel.bpf(_LINK_CREATE, _buffer(attr))


def object_info(kernel: Kernel, fd: int, size: int) -> bytes:
    """BPF_OBJ_GET_INFO_BY_FD: at most ``size`` bytes, less where the kernel's structure is shorter.

    What the kernel has a field for but nothing to say is 0.
    """
    info = ctypes.create_string_buffer(size)
    attr = _buffer(_INFO_ATTR.pack(fd, size, ctypes.addressof(info)))
    kernel.bpf(_OBJ_GET_INFO, attr)
    filled: int = _INFO_ATTR.unpack(attr.raw)[1]
    return info.raw[:filled]


def object_name(name: str) -> bytes:
    """``name`` as the kernel takes it: letters, digits, ``_`` and ``.``, at most 15 bytes."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_.") else "_" for c in name)
    return kept.encode()[: OBJECT_NAME_SIZE - 1]


def _buffer(data: bytes) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(data, len(data))
