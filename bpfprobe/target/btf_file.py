"""A kernel of which there is a BTF file and nothing else."""

from __future__ import annotations

import mmap
import os
import struct
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from bpfprobe.errors import TargetError
from bpfprobe.model.machine import UNKNOWN, Answer, MachineFacts, Symbol
from bpfprobe.model.regex import regex
from bpfprobe.target import capability
from bpfprobe.target.btf import BtfTypes
from bpfprobe.target.libbpf_btf import Kind
from bpfprobe.target.lookup import open_regular, refusal
from bpfprobe.target.nearness import matching_names, nearest_names

if TYPE_CHECKING:
    from bpfprobe.model.ktype import KStruct, Member, Prototype
    from bpfprobe.model.machine import (
        Binary,
        BinarySymbol,
        DebugSymbols,
        FileOffset,
        Instruction,
        OtherSymbol,
        SymbolRange,
        Tracepoint,
        UsdtMarker,
        VirtualAddress,
    )

_BANNER = regex(rb"Linux version (\d\S*) ")
_ARCHES = {62: "x86_64", 183: "aarch64"}  # EM_X86_64, EM_AARCH64 of <elf.h>
_PAGE_SIZE = 4096
_WAY_OUT = (
    "--target takes a recording too: bpfprobe explain --record FILE SPEC, on a machine that has it"
)


class BtfFileTarget:
    """A `Target` that answers from ``/sys/kernel/btf/vmlinux`` of another machine, or a vmlinux.

    A file of BTF names functions and types, no more. What else is asked raises `TargetError` with
    the code NOT_IN_BTF, but for what a machine may lack: that cannot be told. ``arch`` is as
    uname(1) says it, of this machine where neither it nor an ELF header tells; ``release`` is that
    of the kernel's banner in a vmlinux, else the name of the file.

    Raises `TargetError` (NO_BTF, NO_ACCESS, NOT_REGULAR, BAD_BTF) and `MissingLibraryError`.
    """

    def __init__(self, path: Path | str, arch: str = "") -> None:
        self._path = Path(path)
        self._types = BtfTypes.from_file(self._path)
        self._arch = arch

    def facts(self) -> MachineFacts:
        """The architecture and the release; what the machine allows cannot be told."""
        return self._facts

    def symbols(self, name: str) -> tuple[Symbol, ...]:
        """Functions alone: BTF has no addresses, and of data only what is per CPU."""
        return (Symbol(name, 0, "t"),) if self._types.raw.find(name, Kind.FUNC) else ()

    def symbol_at(self, address: int) -> SymbolRange | None:
        """None: BTF has no addresses."""
        return None

    def similar_functions(self, name: str) -> tuple[str, ...]:
        """Among the functions of the file."""
        return nearest_names(name, self._types.raw.function_names)

    def matching_functions(self, pattern: str) -> tuple[str, ...]:
        """Among the functions of the file."""
        return matching_names(pattern, self._types.raw.function_names)

    def is_blacklisted(self, name: str) -> bool | None:
        """None: it cannot be told."""
        return None

    def is_traceable(self, name: str) -> bool | None:
        """None: it cannot be told."""
        return None

    def module(self, name: str) -> Answer:
        """It cannot be told."""
        return UNKNOWN

    def prototype(self, function: str, module: str = "") -> Prototype | None:
        """From the file; None for what is in a module."""
        return None if module else self._types.prototype(function)

    def struct(self, name: str, module: str = "") -> KStruct | None:
        """From the file, without what a module adds."""
        return self._types.struct(name)

    def similar_structs(self, name: str) -> tuple[str, ...]:
        """From the file."""
        return self._types.similar_structs(name)

    def members(self, struct: KStruct) -> tuple[Member, ...]:
        """From the file."""
        return self._types.members(struct.type_id)

    def tracepoint(self, category: str, name: str) -> Tracepoint | None:
        """None for those of system calls, without which their functions still work.

        Raises `TargetError` (NOT_IN_BTF) for any other.
        """
        if category == "syscalls":
            return None
        self._lacks(f"the format of the tracepoint {category}:{name}")

    def matching_tracepoints(self, pattern: str) -> tuple[str, ...]:
        """Raises `TargetError` (NOT_IN_BTF)."""
        self._lacks("names of tracepoints")

    def binary(self, path: str, pid: int | None = None) -> Binary:
        """Raises `TargetError` (NOT_IN_BTF)."""
        self._lacks(f"what is in {path}")

    def binary_symbols(self, binary: Binary, name: str) -> tuple[BinarySymbol, ...]:
        """Raises `TargetError` (NOT_IN_BTF)."""
        self._lacks(f"what is in {binary.path}")

    def matching_binary_symbols(self, binary: Binary, pattern: str) -> tuple[str, ...]:
        """Raises `TargetError` (NOT_IN_BTF)."""
        self._lacks(f"what is in {binary.path}")

    def similar_binary_symbols(self, binary: Binary, name: str) -> tuple[str, ...]:
        """Raises `TargetError` (NOT_IN_BTF)."""
        self._lacks(f"what is in {binary.path}")

    def source_name(self, binary: Binary, symbol: str) -> str:
        """Raises `TargetError` (NOT_IN_BTF)."""
        self._lacks(f"what is in {binary.path}")

    def debug_symbols(self, binary: Binary) -> DebugSymbols:
        """Raises `TargetError` (NOT_IN_BTF)."""
        self._lacks(f"what is in {binary.path}")

    def other_symbol(self, binary: Binary, name: str) -> OtherSymbol | None:
        """Raises `TargetError` (NOT_IN_BTF)."""
        self._lacks(f"what is in {binary.path}")

    def function_at(self, binary: Binary, offset: FileOffset) -> BinarySymbol | None:
        """Raises `TargetError` (NOT_IN_BTF)."""
        self._lacks(f"what is in {binary.path}")

    def instruction_at(
        self, binary: Binary, offset: FileOffset, is_start: bool = False
    ) -> Instruction:
        """Raises `TargetError` (NOT_IN_BTF)."""
        self._lacks(f"what is in {binary.path}")

    def binary_prototype(self, binary: Binary, entry: VirtualAddress) -> Prototype | None:
        """Raises `TargetError` (NOT_IN_BTF)."""
        self._lacks(f"what is in {binary.path}")

    def source_lines(self, binary: Binary, file: str, line: int) -> tuple[VirtualAddress, ...]:
        """Raises `TargetError` (NOT_IN_BTF)."""
        self._lacks(f"what is in {binary.path}")

    def binary_package(self, binary: Binary) -> str:
        """Raises `TargetError` (NOT_IN_BTF)."""
        self._lacks(f"what is in {binary.path}")

    def markers(self, binary: Binary) -> tuple[UsdtMarker, ...]:
        """Raises `TargetError` (NOT_IN_BTF)."""
        self._lacks(f"what is in {binary.path}")

    def binary_variable(self, binary: Binary, name: str) -> VirtualAddress | None:
        """Raises `TargetError` (NOT_IN_BTF)."""
        self._lacks(f"what is in {binary.path}")

    def mapped_files(self, pid: int) -> tuple[str, ...]:
        """Raises `TargetError` (NOT_IN_BTF)."""
        self._lacks(f"what process {pid} maps")

    def process_maps_binary(self, pid: int, binary: Binary) -> bool:
        """Raises `TargetError` (NOT_IN_BTF)."""
        self._lacks(f"what process {pid} maps")

    def _lacks(self, what: str) -> NoReturn:
        raise TargetError(
            f"{self._path} is BTF, which does not have {what}", code="NOT_IN_BTF", hint=_WAY_OUT
        )

    @cached_property
    def _facts(self) -> MachineFacts:
        machine, banner = _of_elf(self._path)
        untold = Answer(None, f"a file of BTF ({self._path}) does not tell")
        return MachineFacts(
            arch=self._arch or machine or os.uname().machine,
            release=banner or self._path.name,
            cpus=os.cpu_count() or 1,
            page_size=_PAGE_SIZE,
            btf=Answer(True, str(self._path)),
            kprobes=untold,
            kprobe_pmu=untold,
            uprobe_pmu=untold,
            tracefs=untold,
            fentry=untold,
            lockdown=untold,
            pid_namespace=None,
            **capability.enumerated(self._types.has_enumerator, lambda _symbol: None),
        )


def _of_elf(path: Path) -> tuple[str, str]:
    """(architecture, release) of a vmlinux; empty where the file is no ELF or does not say."""
    try:
        with (
            open(open_regular(path, str(path)), "rb") as file,
            mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data,
        ):
            if data[:4] != b"\x7fELF":
                return "", ""
            (machine,) = struct.unpack_from("<H", data, 18)
            found = _BANNER.search(data)
            return _ARCHES.get(machine, ""), found[1].decode("ascii", "replace") if found else ""
    except (OSError, TargetError, ValueError, struct.error):
        return "", ""


def is_btf(path: str) -> bool:
    """Whether a file begins as BTF does, or as an ELF that may hold it.

    Raises `TargetError`: NO_FILE, NO_ACCESS, NOT_REGULAR, LINK_LOOP.
    """
    file = open_regular(Path(path), path)
    try:
        # What tracefs and its like make as it is read has no size, and may be gone once read.
        head = os.read(file, 4) if os.fstat(file).st_size else b""
    except OSError as error:
        raise refusal(error, path) from error
    finally:
        os.close(file)
    return head == b"\x7fELF" or head[:2] in (b"\x9f\xeb", b"\xeb\x9f")
