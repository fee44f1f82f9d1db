"""A target written by hand, for tests of probes and of the stages above the waterline."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.ktype import KInt, KStruct, Member, Prototype
from bpfprobe.model.machine import (
    UNKNOWN,
    Answer,
    Binary,
    BinarySymbol,
    DebugSymbols,
    FileOffset,
    Instruction,
    MachineFacts,
    Symbol,
    SymbolRange,
    Tracepoint,
    TracepointField,
    VirtualAddress,
)
from bpfprobe.target.nearness import nearest_names
from bpfprobe.testing.c_declarations import Array, Pointer, Word, read_members, read_signature
from bpfprobe.testing.static_types import StaticTypes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bpfprobe.model.machine import OtherSymbol, UsdtMarker
    from bpfprobe.testing.c_declarations import Declared
    from bpfprobe.testing.static_types import Members

_YES = Answer(True, "said so by the test")

FACTS = MachineFacts(
    arch="x86_64",
    release="6.1.0-test",
    cpus=2,
    page_size=4096,
    btf=_YES,
    kprobes=_YES,
    kprobe_pmu=_YES,
    uprobe_pmu=_YES,
    tracefs=_YES,
    ring_buffer=_YES,
    fentry=_YES,
    bpf_link=_YES,
    lockdown=Answer(False, "none"),
    uprobe_multi=_YES,
    attach_cookie=_YES,
)
"""A machine of two x86-64 CPUs with Linux 6.1 that allows everything."""

TEXT = (0x1000, 0x100000, 0x401000)
"""The executable segment of every binary made here: file offset, size, virtual address."""


_SYMBOL_BYTES = 0x100


@dataclass(frozen=True, slots=True)
class _File:
    binary: Binary
    symbols: tuple[BinarySymbol, ...]


class StaticTarget:
    """A `Target` that knows what its constructor was told.

    >>> target = StaticTarget(
    ...     functions=[
    ...         "long do_sys_openat2(int dfd, const char *filename /*user*/, struct open_how *how)",
    ...         "ssize_t vfs_read(struct file *file, char __user *buf, size_t count, loff_t *pos)",
    ...         "bool nf_ct_delete(struct nf_conn *ct, u32 portid, int report) [nf_conntrack]",
    ...         "do_something_without_btf",
    ...     ],
    ...     structs={
    ...         "open_how": [("flags", "u64"), ("mode", "u64"), ("resolve", "u64")],
    ...         "file": "struct path f_path; unsigned int f_flags; u32 ready : 1;",
    ...         "path": ["struct vfsmount *mnt", "struct dentry *dentry"],
    ...     },
    ...     tracepoints={"sched:sched_process_exec": ["__data_loc char[] filename", "pid_t pid"]},
    ...     binaries={"/bin/bash": ["readline", "main"]},
    ...     blacklisted={"notify_die"},
    ... )
    >>> print(target.prototype("vfs_read"))
    ssize_t vfs_read(struct file *file, char *buf, size_t count, loff_t *pos)
    >>> [(member.name, member.offset) for member in target.members(target.struct("file"))]
    [('f_path', 0), ('f_flags', 16), ('ready', 20)]

    ``functions`` are C signatures, bare names (a symbol without BTF) or `Prototype`s; each becomes
    a symbol of kind ``T``. A signature may end in ``[module]``. ``symbols`` adds more of them, as
    `Symbol`s or names; the same name given twice stands there twice. ``blacklisted`` or
    ``untraceable`` of None means that the list cannot be read. A tracepoint is a `Tracepoint` or
    its fields in C, laid out from byte 8. A binary is a list of function names, placed from 0x1100
    in steps of 0x40, or of `BinarySymbol`s, or the `TargetError` that asking for it raises; it is
    found by path or by name, ``c`` and ``libc`` both meaning ``/usr/lib/libc.so.6``. ``markers``,
    ``variables`` (addresses by name), ``debug_symbols``, ``binary_functions`` (prototypes of its
    functions), ``lines`` (addresses by ``FILE:LINE``), ``instructions`` (at all other places one
    begins) and ``other_symbols`` go by the path of a binary.
    ``processes`` maps a pid to the paths that it has mapped. The C that is understood is that of
    `bpfprobe.testing.c_declarations`.
    """

    def __init__(
        self,
        *,
        functions: Iterable[str | Prototype] = (),
        structs: Mapping[str, Members] | None = None,
        typedefs: Mapping[str, str] | None = None,
        symbols: Iterable[str | Symbol] = (),
        tracepoints: Mapping[str, Tracepoint | Iterable[str]] | None = None,
        binaries: Mapping[str, Iterable[str | BinarySymbol] | TargetError] | None = None,
        processes: Mapping[int, Iterable[str]] | None = None,
        markers: Mapping[str, Iterable[UsdtMarker]] | None = None,
        variables: Mapping[str, Mapping[str, int]] | None = None,
        debug_symbols: Mapping[str, DebugSymbols] | None = None,
        binary_functions: Mapping[str, Iterable[Prototype]] | None = None,
        lines: Mapping[str, Mapping[str, Iterable[int]]] | None = None,
        instructions: Mapping[str, Iterable[Instruction]] | None = None,
        other_symbols: Mapping[str, Mapping[str, OtherSymbol]] | None = None,
        blacklisted: Iterable[str] | None = (),
        untraceable: Iterable[str] | None = (),
        facts: MachineFacts = FACTS,
        go_binaries: Iterable[str] = (),
    ) -> None:
        self._facts = facts
        self._types = StaticTypes(structs or {}, typedefs or {})
        self._symbols: list[Symbol] = []
        self._prototypes: dict[tuple[str, str], Prototype] = {}
        for function in functions:
            self._add_function(function)
        for symbol in symbols:
            self._symbols.append(self._symbol(symbol) if isinstance(symbol, str) else symbol)
        self._blacklisted = None if blacklisted is None else frozenset(blacklisted)
        self._untraceable = None if untraceable is None else frozenset(untraceable)
        self._tracepoints = {
            key: self._tracepoint(key, number, given)
            for number, (key, given) in enumerate((tracepoints or {}).items(), start=301)
        }
        go = frozenset(go_binaries)
        self._files = {
            path: given if isinstance(given, TargetError) else _file(path, given, path in go)
            for path, given in (binaries or {}).items()
        }
        self._markers = {path: tuple(given) for path, given in (markers or {}).items()}
        self._variables = variables or {}
        self._debug_symbols = debug_symbols or {}
        self._lines = lines or {}
        self._other_symbols = other_symbols or {}
        self._instructions = {path: tuple(given) for path, given in (instructions or {}).items()}
        for path, known in (binary_functions or {}).items():
            self._prototypes.update({(path, one.name): one for one in known})
        self._processes = {pid: frozenset(paths) for pid, paths in (processes or {}).items()}

    def facts(self) -> MachineFacts:
        """What the constructor was given."""
        return self._facts

    def symbols(self, name: str) -> tuple[Symbol, ...]:
        """Every symbol of this name, in the order given."""
        return tuple(symbol for symbol in self._symbols if symbol.name == name)

    def symbol_at(self, address: int) -> SymbolRange | None:
        """A symbol made here has 0x100 bytes, up to the next one."""
        for symbol in self._symbols:
            if symbol.address <= address < symbol.address + _SYMBOL_BYTES:
                return SymbolRange(symbol.name, symbol.address, _SYMBOL_BYTES, symbol.module)
        return None

    def similar_functions(self, name: str) -> tuple[str, ...]:
        """Near misses among the functions."""
        return nearest_names(name, (s.name for s in self._symbols if s.is_text))

    def matching_functions(self, pattern: str) -> tuple[str, ...]:
        """Functions that fit a glob."""
        return _matching(pattern, (s.name for s in self._symbols if s.is_text))

    def is_blacklisted(self, name: str) -> bool | None:
        """Whether the name is in ``blacklisted``."""
        return None if self._blacklisted is None else name in self._blacklisted

    def is_traceable(self, name: str) -> bool | None:
        """Whether the name is a function and not in ``untraceable``."""
        if self._untraceable is None:
            return None
        return name not in self._untraceable and any(s.is_text for s in self.symbols(name))

    def module(self, name: str) -> Answer:
        """Loaded if one of its functions was given, else it cannot be told."""
        given = any(symbol.module == name for symbol in self._symbols)
        return Answer(True, f"the module {name} is loaded") if given else UNKNOWN

    def prototype(self, function: str, module: str = "") -> Prototype | None:
        """The prototype that was given."""
        return self._prototypes.get((module, function))

    def struct(self, name: str, module: str = "") -> KStruct | None:
        """The struct that was given; every module sees them all."""
        return self._types.struct(name)

    def similar_structs(self, name: str) -> tuple[str, ...]:
        """Near misses among the structs."""
        return nearest_names(name, self._types.names())

    def members(self, struct: KStruct) -> tuple[Member, ...]:
        """Members by the rules of C."""
        return self._types.members(struct)

    def tracepoint(self, category: str, name: str) -> Tracepoint | None:
        """The tracepoint that was given under ``category:name``."""
        return self._tracepoints.get(f"{category}:{name}")

    def matching_tracepoints(self, pattern: str) -> tuple[str, ...]:
        """Tracepoints that fit a glob."""
        return _matching(pattern, self._tracepoints)

    def binary(self, path: str, pid: int | None = None) -> Binary:
        """The binary under that path or name, or the error that was given in its place."""
        if pid is not None and pid not in self._processes:
            raise TargetError(f"there is no process {pid}", code="NO_PROCESS")
        wanted = path.rsplit("/", 1)[-1]
        for known, given in self._files.items():
            base = known.rsplit("/", 1)[-1]
            stem = base.split(".so", 1)[0]
            if known == path or ("/" not in path and wanted in (base, stem, stem[3:])):
                if isinstance(given, TargetError):
                    raise given
                return given.binary
        raise TargetError(f"there is no file {path}", code="NO_FILE")

    def binary_symbols(self, binary: Binary, name: str) -> tuple[BinarySymbol, ...]:
        """Functions of this name."""
        return tuple(symbol for symbol in self._functions_of(binary) if symbol.name == name)

    def matching_binary_symbols(self, binary: Binary, pattern: str) -> tuple[str, ...]:
        """Functions that fit a glob."""
        return _matching(pattern, (symbol.name for symbol in self._functions_of(binary)))

    def similar_binary_symbols(self, binary: Binary, name: str) -> tuple[str, ...]:
        """Near misses among the functions."""
        return nearest_names(name, (symbol.name for symbol in self._functions_of(binary)))

    def source_name(self, binary: Binary, symbol: str) -> str:
        """Empty: names made here are those of the source."""
        return ""

    def debug_symbols(self, binary: Binary) -> DebugSymbols:
        """What was given for the path; else the file was not stripped."""
        return self._debug_symbols.get(binary.path, DebugSymbols(is_stripped=False))

    def other_symbol(self, binary: Binary, name: str) -> OtherSymbol | None:
        """The one that was given for the path."""
        return self._other_symbols.get(binary.path, {}).get(name)

    def function_at(self, binary: Binary, offset: FileOffset) -> BinarySymbol | None:
        """The function that holds the place."""
        for symbol in self._functions_of(binary):
            if symbol.offset <= offset < symbol.offset + max(symbol.size, 1):
                return symbol
        return None

    def instruction_at(
        self, binary: Binary, offset: FileOffset, is_start: bool = False
    ) -> Instruction:
        """The one that was given for the place, or else one that begins there."""
        for given in self._instructions.get(binary.path, ()):
            if given.start <= offset < given.start + max(given.size, 1):
                return given
        return Instruction(offset)

    def binary_prototype(self, binary: Binary, entry: VirtualAddress) -> Prototype | None:
        """The prototype that was given for the path, of the function that begins there."""
        for symbol in self._functions_of(binary):
            if symbol.address == entry:
                return self._prototypes.get((binary.path, symbol.name))
        return None

    def source_lines(self, binary: Binary, file: str, line: int) -> tuple[VirtualAddress, ...]:
        """The addresses that were given for the path."""
        found = self._lines.get(binary.path, {}).get(f"{file}:{line}")
        if found is None:
            raise TargetError(f"{binary.path} has no DWARF", code="NO_DEBUG_INFO")
        return tuple(VirtualAddress(address) for address in found)

    def binary_package(self, binary: Binary) -> str:
        """None: files made here came with no package."""
        return ""

    def markers(self, binary: Binary) -> tuple[UsdtMarker, ...]:
        """The markers that were given for the path."""
        return self._markers.get(binary.path, ())

    def binary_variable(self, binary: Binary, name: str) -> VirtualAddress | None:
        """The variable that was given for the path."""
        address = self._variables.get(binary.path, {}).get(name)
        return None if address is None else VirtualAddress(address)

    def mapped_files(self, pid: int) -> tuple[str, ...]:
        """What ``processes`` says."""
        if pid not in self._processes:
            raise TargetError(f"there is no process {pid}", code="NO_PROCESS")
        return tuple(sorted(self._processes[pid]))

    def process_maps_binary(self, pid: int, binary: Binary) -> bool:
        """Whether ``processes`` says so."""
        if pid not in self._processes:
            raise TargetError(f"there is no process {pid}", code="NO_PROCESS")
        return binary.path in self._processes[pid]

    def _functions_of(self, binary: Binary) -> tuple[BinarySymbol, ...]:
        given = self._files[binary.path]
        return given.symbols if isinstance(given, _File) else ()

    def _add_function(self, function: str | Prototype) -> None:
        module = ""
        if isinstance(function, Prototype):
            prototype: Prototype | None = function
            name = function.name
        elif "(" not in function:
            prototype, name = None, function
        else:
            signature = read_signature(function)
            prototype, name = self._types.prototype(signature), signature.name
            module = signature.module
        if prototype is not None:
            self._prototypes[module, name] = prototype
        self._symbols.append(replace(self._symbol(name), module=module))

    def _symbol(self, name: str) -> Symbol:
        return Symbol(name, 0xFFFFFFFF81000000 + _SYMBOL_BYTES * len(self._symbols), "T")

    def _tracepoint(self, key: str, number: int, given: Tracepoint | Iterable[str]) -> Tracepoint:
        if isinstance(given, Tracepoint):
            return given
        category, _, name = key.partition(":")
        fields: list[TracepointField] = []
        at = 8  # the common fields of every record stand before
        for text in given:
            field = self._field(text, at)
            fields.append(field)
            at = field.offset + field.size
        return Tracepoint(category, name, number, tuple(fields))

    def _field(self, text: str, at: int) -> TracepointField:
        for word in ("__data_loc", "__rel_loc"):
            if text.startswith(word):
                element, _, name = text.removeprefix(word).strip().rpartition(" ")
                kind = element.removesuffix("[]").strip()
                size = self._types.ktype(Word("", kind)).size
                return TracepointField(
                    name, f"{word} {kind}[] {name}", -(-at // 4) * 4, 4, False,
                    is_string=kind == "char", is_dynamic=True, relative=word == "__rel_loc",
                    element_size=size,
                )  # fmt: skip
        (declared,) = read_members(text)
        return self._plain_field(text, declared, at)

    def _plain_field(self, text: str, declared: Declared, at: int) -> TracepointField:
        shape = declared.shape
        element = shape.element if isinstance(shape, Array) else shape
        type_ = self._types.ktype(element)
        size = self._types.ktype(shape).size
        is_string = isinstance(shape, Array) and isinstance(type_, KInt) and type_.is_char
        return TracepointField(
            declared.name, text, -(-at // type_.size) * type_.size, size,
            signed=isinstance(type_, KInt) and type_.signed,
            is_string=is_string, is_pointer=isinstance(element, Pointer),
            element_size=type_.size if isinstance(shape, Array) else 0,
        )  # fmt: skip


def _matching(pattern: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if fnmatch.fnmatchcase(name, pattern)}))


def _file(path: str, functions: Iterable[str | BinarySymbol], is_go: bool) -> _File:
    symbols: list[BinarySymbol] = []
    for number, function in enumerate(functions):
        if isinstance(function, str):
            offset = 0x1100 + 0x40 * number
            address = VirtualAddress(TEXT[2] + offset - TEXT[0])
            function = BinarySymbol(function, address, FileOffset(offset), 0x40)
        symbols.append(function)
    return _File(Binary(path, "x86_64", (TEXT,), is_go), tuple(symbols))
