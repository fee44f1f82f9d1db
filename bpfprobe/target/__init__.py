"""EDGE: what a machine offers. The only package that reads /proc, /sys and ELF files.

`Target` is the protocol; `bpfprobe.target.live.LiveTarget` answers from the machine underneath, and
`bpfprobe.testing.RecordedTarget` from a file, so that a description can be checked and compiled for
a kernel that is somewhere else. `bpfprobe.testing.StaticTarget` is written by hand, for tests.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from bpfprobe.model.ktype import KStruct, Member, Prototype
    from bpfprobe.model.machine import (
        Answer,
        Binary,
        BinarySymbol,
        DebugSymbols,
        FileOffset,
        Instruction,
        MachineFacts,
        OtherSymbol,
        Symbol,
        SymbolRange,
        Tracepoint,
        UsdtMarker,
        VirtualAddress,
    )
else:
    Protocol = object


class Target(Protocol):
    """Questions about a machine. Every answer is a frozen value that can be written to a file."""

    def facts(self) -> MachineFacts:
        """What the machine is and allows."""
        ...

    def symbols(self, name: str) -> tuple[Symbol, ...]:
        """Every kernel symbol of exactly this name (several may share it), modules included."""
        ...

    def symbol_at(self, address: int) -> SymbolRange | None:
        """The kernel symbol whose bytes hold the address; None for none, and for hidden ones."""
        ...

    def similar_functions(self, name: str) -> tuple[str, ...]:
        """At most five names of kernel functions that look like ``name``, the nearest first.

        Compiler variants of the name (``name.isra.0``, ``name.part.0``) come before any other.
        """
        ...

    def matching_functions(self, pattern: str) -> tuple[str, ...]:
        """Names of kernel functions that fit a glob, sorted."""
        ...

    def is_blacklisted(self, name: str) -> bool | None:
        """Whether kprobes are forbidden on the function; None where the list cannot be read."""
        ...

    def is_traceable(self, name: str) -> bool | None:
        """Whether ftrace can reach the function; None where the list cannot be read."""
        ...

    def module(self, name: str) -> Answer:
        """Whether a module of that name is loaded; ``way_out`` is a command that loads it."""
        ...

    def prototype(self, function: str, module: str = "") -> Prototype | None:
        """What BTF says of a kernel function, or None.

        Without ``module`` only functions of the kernel itself are known.
        """
        ...

    def struct(self, name: str, module: str = "") -> KStruct | None:
        """The kernel struct or union of this name (a typedef of one will do), or None."""
        ...

    def similar_structs(self, name: str) -> tuple[str, ...]:
        """At most five names of kernel structs that look like ``name``."""
        ...

    def members(self, struct: KStruct) -> tuple[Member, ...]:
        """The members of a struct or union that this target named before."""
        ...

    def tracepoint(self, category: str, name: str) -> Tracepoint | None:
        """A tracepoint with its fields, or None; None also where tracefs cannot be read.

        Common fields (``common_pid``) are left out: a BPF program cannot read them.
        """
        ...

    def matching_tracepoints(self, pattern: str) -> tuple[str, ...]:
        """``category:name`` of every tracepoint that fits a glob, sorted."""
        ...

    def binary(self, path: str, pid: int | None = None) -> Binary:
        """The ELF file that ``path`` names, found as the shell and the loader find it.

        Without a ``/`` it is a program in PATH, else a library (``c``, ``libc``, ``libc.so.6``).
        With ``pid`` the path is looked up in that process's root directory, a bare name first among
        the files that it has mapped.
        Raises `TargetError` with a code of its own for each cause: NO_FILE, NOT_REGULAR (never
        opened: a FIFO would block), NOT_ELF, TRUNCATED_ELF, OTHER_MACHINE, LINK_LOOP, NO_ACCESS,
        NO_PROCESS.
        """
        ...

    def binary_symbols(self, binary: Binary, name: str) -> tuple[BinarySymbol, ...]:
        """The functions of an ELF file with exactly this name, static ones too.

        Of a stripped file those that other files may call, then those of its debug file. A name
        that no symbol has may be that of a C++ or Rust source, with parameters or without.
        Raises `TargetError` (IFUNC) where the name is that of a chooser with no code of its own.
        """
        ...

    def matching_binary_symbols(self, binary: Binary, pattern: str) -> tuple[str, ...]:
        """Symbols of functions of an ELF file that fit a glob, sorted.

        A glob with ``::`` is held against the names of the source.
        """
        ...

    def similar_binary_symbols(self, binary: Binary, name: str) -> tuple[str, ...]:
        """At most five names of functions of an ELF file that look like ``name``."""
        ...

    def source_name(self, binary: Binary, symbol: str) -> str:
        """What its C++ or Rust source calls a symbol of an ELF file; empty where none is known."""
        ...

    def debug_symbols(self, binary: Binary) -> DebugSymbols:
        """Whether an ELF file was stripped, and where the symbols are that it lacks."""
        ...

    def other_symbol(self, binary: Binary, name: str) -> OtherSymbol | None:
        """What a name of an ELF file is that no function has; None where no symbol has it."""
        ...

    def function_at(self, binary: Binary, offset: FileOffset) -> BinarySymbol | None:
        """The function of an ELF file, or of its debug file, that holds a place; None for none."""
        ...

    def instruction_at(
        self, binary: Binary, offset: FileOffset, is_start: bool = False
    ) -> Instruction:
        """The instruction that holds a place in the code of an ELF file.

        Counted from where the function begins that holds the place; ``unknown`` says what is
        missing for that. With ``is_start`` the place is known to be a beginning, and only what
        stands there is read. Raises `TargetError` as `binary` does.
        """
        ...

    def binary_prototype(self, binary: Binary, entry: VirtualAddress) -> Prototype | None:
        """What debug information says of the function that begins at ``entry``, or None.

        Members of its structs are asked for as those of the kernel's. Raises `TargetError`
        (BAD_DWARF, TOO_BIG, NO_BTFARG), and `MissingLibraryError` where the file has DWARF and
        pyelftools is not there to read it.
        """
        ...

    def source_lines(self, binary: Binary, file: str, line: int) -> tuple[VirtualAddress, ...]:
        """Where the code of a line of a source file begins, by address; at least one place.

        ``file`` is the end of the path with which it was compiled. Raises `TargetError`:
        NO_DEBUG_INFO, NO_SOURCE_FILE, NON_UNIQ_FILE, NO_CODE_AT_LINE, and as `binary_prototype`.
        """
        ...

    def binary_package(self, binary: Binary) -> str:
        """The Debian package that an ELF file came with, empty where none is known."""
        ...

    def markers(self, binary: Binary) -> tuple[UsdtMarker, ...]:
        """The USDT markers of an ELF file, by provider and name.

        Raises `TargetError` (USDT_NOTE) where its notes are damaged.
        """
        ...

    def binary_variable(self, binary: Binary, name: str) -> VirtualAddress | None:
        """Where a variable of an ELF file is, static or not, None where no symbol says."""
        ...

    def mapped_files(self, pid: int) -> tuple[str, ...]:
        """Paths of the files whose code a process has mapped, as it sees them, sorted.

        Raises `TargetError` (NO_PROCESS, NO_ACCESS).
        """
        ...

    def process_maps_binary(self, pid: int, binary: Binary) -> bool:
        """Whether process ``pid`` has the file mapped executable (same device and inode).

        Raises `TargetError` (NO_PROCESS) when there is no such process.
        """
        ...
