"""What a target says of a machine: symbols, tracepoint formats, binaries, and what it allows."""

from __future__ import annotations

from typing import NewType

from bpfprobe.model.noun import dataclass

FileOffset = NewType("FileOffset", int)  # bytes from the start of an ELF file; what uprobes take
VirtualAddress = NewType("VirtualAddress", int)  # what an ELF symbol table and nm(1) print


@dataclass(frozen=True, slots=True)
class Symbol:
    """A line of /proc/kallsyms. ``address`` is 0 where kptr_restrict hides it."""

    name: str
    address: int
    kind: str
    module: str = ""

    @property
    def is_text(self) -> bool:
        """True for code (kinds t, T, w, W)."""
        return self.kind in "tTwW"

    @property
    def is_of_module(self) -> bool:
        """True in a module that can be loaded; BPF programs and what ftrace makes are in none."""
        return self.module not in ("", "bpf") and not self.module.startswith("__builtin__")


@dataclass(frozen=True, slots=True)
class SymbolRange:
    """The symbol that an address belongs to: ``size`` bytes from ``start`` to the next symbol."""

    name: str
    start: int
    size: int
    module: str = ""


@dataclass(frozen=True, slots=True)
class TracepointField:
    """A field of a tracepoint as its ``format`` file declares it.

    ``offset`` and ``size`` are bytes in the record that the program is handed. For a dynamic array
    (``__data_loc``) the field is a u32: length in the high half, offset in the record in the low;
    with ``relative`` (``__rel_loc``) the offset counts from the end of the field.
    """

    name: str
    declaration: str
    offset: int
    size: int
    signed: bool
    is_string: bool = False
    is_dynamic: bool = False
    relative: bool = False
    is_pointer: bool = False
    element_size: int = 0


@dataclass(frozen=True, slots=True)
class Tracepoint:
    """A tracepoint of tracefs. ``event_id`` is what perf_event_open(2) wants."""

    category: str
    name: str
    event_id: int
    fields: tuple[TracepointField, ...]


@dataclass(frozen=True, slots=True)
class BinarySymbol:
    """A function of an ELF file."""

    name: str
    address: VirtualAddress
    offset: FileOffset
    size: int


@dataclass(frozen=True, slots=True)
class Binary:
    """What a uprobe needs of an ELF file.

    ``text`` holds (file offset, size in bytes, virtual address) of each executable segment.
    ``is_go`` is true for a program of the Go compiler, whose stacks move under a return probe.
    """

    path: str
    machine: str
    text: tuple[tuple[int, int, int], ...]
    is_go: bool = False


@dataclass(frozen=True, slots=True)
class OtherSymbol:
    """A symbol of an ELF file that is no function of its own.

    ``kind`` is ``imported`` (a function of a library that it is linked with), ``data``, or
    ``label`` (a place in the code that is not said to be a function); ``address`` is 0 for the
    first.
    """

    kind: str
    address: VirtualAddress


@dataclass(frozen=True, slots=True)
class Instruction:
    """What stands at a place of a program's code.

    ``start`` and ``size`` (in bytes) are of the instruction that holds the place: a place elsewhere
    than at ``start`` is inside of it. ``encoding`` is its bytes in hexadecimal, and ``text`` what
    an assembler calls it. Where only its beginning is known, ``size`` is 0, and ``encoding`` what
    stands there. ``unknown`` says why none of this could be told, and is empty where it could.
    """

    start: FileOffset
    size: int = 0
    text: str = ""
    encoding: str = ""
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class DebugSymbols:
    """Where the symbols of an ELF file are that it does not hold itself.

    ``build_id`` is in hexadecimal, empty where the file has none. ``path`` is the debug file, empty
    where there is none; ``problems`` says why some that are there are not it.
    """

    is_stripped: bool
    build_id: str = ""
    path: str = ""
    problems: tuple[str, ...] = ()

    @property
    def wanted(self) -> str:
        """The path at which a debug file is looked for first, empty where no build-id says."""
        name = self.build_id
        return f"/usr/lib/debug/.build-id/{name[:2]}/{name[2:]}.debug" if name[2:] else ""


@dataclass(frozen=True, slots=True)
class UsdtLocation:
    """One place in the code where a marker stands; ``arguments`` as its note spells them.

    ``address`` is where the file's own headers put it, also in a file that prelink(8) moved.
    """

    address: VirtualAddress
    offset: FileOffset
    arguments: str


@dataclass(frozen=True, slots=True)
class UsdtMarker:
    """A USDT marker, ``provider:name``, and every place where it stands, by address.

    ``semaphore`` is the address of a u16 that counts who wants the marker, 0 for none, and
    ``semaphore_offset`` where it is in the file: what the kernel takes as ``ref_ctr_offset``.
    """

    provider: str
    name: str
    locations: tuple[UsdtLocation, ...]
    semaphore: VirtualAddress
    semaphore_offset: FileOffset


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether the machine has something: yes, no, or it could not be told; always with evidence.

    ``way_out`` is what to do about a thing that is there and switched off.
    """

    present: bool | None
    evidence: str
    way_out: str = ""


UNKNOWN = Answer(None, "it was not asked")


@dataclass(frozen=True, slots=True)
class PidNamespace:
    """A pid namespace, by its file in nsfs; ``device`` is a dev_t as the kernel has it."""

    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What a machine is and allows, each answer with its evidence.

    ``arch`` is as uname(1) says it (``x86_64``, ``aarch64``); ``cpus`` counts possible CPUs.
    ``pid_namespace`` is the one whose numbers processes have here, None for the initial one.
    """

    arch: str
    release: str
    cpus: int
    page_size: int
    btf: Answer
    kprobes: Answer
    kprobe_pmu: Answer
    uprobe_pmu: Answer
    tracefs: Answer
    ring_buffer: Answer
    fentry: Answer
    bpf_link: Answer
    lockdown: Answer
    uprobe_multi: Answer = UNKNOWN
    attach_cookie: Answer = UNKNOWN
    pid_namespace: PidNamespace | None = None
