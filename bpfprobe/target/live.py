"""The machine underneath: asked when first needed, and remembered while the target lives."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.errors import BpfprobeError, TargetError
from bpfprobe.model.machine import Answer, Binary, MachineFacts, PidNamespace
from bpfprobe.model.regex import regex
from bpfprobe.target import capability, tracefs
from bpfprobe.target.binaries import DWARF_MARK, LiveBinaries
from bpfprobe.target.btf_names import BtfNames
from bpfprobe.target.files import Files, Reading
from bpfprobe.target.kallsyms import Kallsyms
from bpfprobe.target.kernel_config import KernelConfig, read_config
from bpfprobe.target.kernel_modules import module_answer
from bpfprobe.target.mounts import TracingMounts
from bpfprobe.target.nearness import matching_names
from bpfprobe.target.pid_namespace import pid_namespace

if TYPE_CHECKING:
    from bpfprobe.model.ktype import KStruct, Member, Prototype
    from bpfprobe.model.machine import (
        BinarySymbol,
        DebugSymbols,
        FileOffset,
        Instruction,
        OtherSymbol,
        Symbol,
        SymbolRange,
        Tracepoint,
        UsdtMarker,
        VirtualAddress,
    )
    from bpfprobe.target.btf import BtfTypes

_BTF = "/sys/kernel/btf"
_DEVICES = "/sys/bus/event_source/devices"
_MODULE = regex(r"[\w.-]+")
_MODULE_SHIFT = 32
"""Type ids of modules overlap: the number of the module stands above the id that BTF has."""


class LiveTarget:
    """A `Target` that reads the machine it runs on, or what is under another ``root``.

    Nothing is read before it is asked for, and nothing twice: make a new one to see modules that
    were loaded since. Methods raise `TargetError` where something is there but unreadable (codes
    NO_KALLSYMS, BAD_BTF, and those of `Target.binary`) and `MissingLibraryError` without libbpf.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._files = Files(root)
        self._mounts = TracingMounts(self._files)
        self._binaries = LiveBinaries(self._files, self._arch)
        self._modules: dict[str, BtfTypes | None] = {}

    def facts(self) -> MachineFacts:
        """What the machine is and allows, by reading alone: nothing is loaded or attached."""
        return self._facts

    def symbols(self, name: str) -> tuple[Symbol, ...]:
        """From /proc/kallsyms."""
        return self._kallsyms.symbols(name)

    def symbol_at(self, address: int) -> SymbolRange | None:
        """From /proc/kallsyms."""
        return self._kallsyms.symbol_at(address)

    def similar_functions(self, name: str) -> tuple[str, ...]:
        """From /proc/kallsyms; about 0.2 s."""
        return self._kallsyms.similar_functions(name)

    def matching_functions(self, pattern: str) -> tuple[str, ...]:
        """From /proc/kallsyms."""
        return self._kallsyms.matching_functions(pattern)

    def is_blacklisted(self, name: str) -> bool | None:
        """From ``kprobes/blacklist`` of debugfs.

        Of what a compiler split off (``NAME.part.0``) the kernel also judges NAME
        (within_kprobe_blacklist() of kernel/kprobes.c).
        """
        if self._blacklist is None:
            return None
        return not self._blacklist.isdisjoint((name, name.partition(".")[0]))

    def is_traceable(self, name: str) -> bool | None:
        """From ``available_filter_functions`` of tracefs, which has one name for each place."""
        if self._traceable is None:
            return None
        if self._traceable.has(name):
            return True
        symbols = self.symbols(name)
        if any(s.is_of_module and not self._traceable.has_module(s.module) for s in symbols):
            return None  # the module came or went between the two files
        if symbols and self._kallsyms.addresses_hidden:
            return None  # it may be there under another name
        if any(self._traceable.has(other) for other in self._kallsyms.aliases(name)):
            return True
        # Of NAME.SUFFIX (.cold, .part.0, .constprop.0, .isra.0) the kernel judges NAME:
        # within_notrace_func() of kernel/trace/trace_kprobe.c.
        whole, dot, _ = name.partition(".")
        if not dot or not whole:
            return False
        if len(self.symbols(whole)) > 1:
            return None  # it takes one of that name, which need not be the one that this was of
        return self.is_traceable(whole)

    def module(self, name: str) -> Answer:
        """From /sys/module, and the lists in /lib/modules that modprobe(8) reads."""
        return module_answer(name, self._facts.release, self._files)

    def prototype(self, function: str, module: str = "") -> Prototype | None:
        """From the BTF of the kernel, or of the module."""
        types = self._types(module)
        return types.prototype(function) if types else None

    def struct(self, name: str, module: str = "") -> KStruct | None:
        """From the BTF of the kernel; with ``module`` also from that module's own."""
        types = self._types(module)
        return types.struct(name) if types else None

    def similar_structs(self, name: str) -> tuple[str, ...]:
        """From the BTF of the kernel."""
        return self._vmlinux.similar_structs(name) if self._vmlinux else ()

    def members(self, struct: KStruct) -> tuple[Member, ...]:
        """From the BTF or DWARF that the struct came from."""
        if struct.type_id & DWARF_MARK:
            return self._binaries.members(struct)
        number = struct.type_id >> _MODULE_SHIFT
        module = list(self._modules)[number - 1] if number else ""
        types = self._types(module)
        return types.members(struct.type_id) if types else ()

    def tracepoint(self, category: str, name: str) -> Tracepoint | None:
        """From its ``format`` file in tracefs; None also where tracefs cannot be read."""
        if self._mounts.tracefs is None or not (
            _MODULE.fullmatch(category) and _MODULE.fullmatch(name)
        ):
            return None
        text = self._files.read(f"{self._mounts.tracefs}/events/{category}/{name}/format").text
        if text is None:
            return None
        event_id = tracefs.read_event_id(text)
        return tracefs.read_format(category, name, event_id, text.splitlines())

    def matching_tracepoints(self, pattern: str) -> tuple[str, ...]:
        """From ``available_events`` of tracefs."""
        return matching_names(pattern, self._events)

    def binary(self, path: str, pid: int | None = None) -> Binary:
        """See `Target.binary`; with ``pid`` first among the files that the process has mapped."""
        return self._binaries.find(path, pid)

    def binary_symbols(self, binary: Binary, name: str) -> tuple[BinarySymbol, ...]:
        """See `Target.binary_symbols`; ``name`` may carry a version (``foo@@V2``, ``foo@V1``)."""
        return self._binaries.named(binary, name)

    def matching_binary_symbols(self, binary: Binary, pattern: str) -> tuple[str, ...]:
        """From ``.symtab`` and ``.dynsym``, of a stripped file also from its debug file."""
        return self._binaries.functions(binary).matching(pattern)

    def similar_binary_symbols(self, binary: Binary, name: str) -> tuple[str, ...]:
        """From ``.symtab`` and ``.dynsym``, of a stripped file also from its debug file."""
        return self._binaries.functions(binary).similar(name)

    def source_name(self, binary: Binary, symbol: str) -> str:
        """By libstdc++."""
        return self._binaries.functions(binary).source_name(symbol)

    def debug_symbols(self, binary: Binary) -> DebugSymbols:
        """By build-id, then by ``.gnu_debuglink``."""
        return self._binaries.debug_symbols(binary)

    def other_symbol(self, binary: Binary, name: str) -> OtherSymbol | None:
        """From ``.symtab`` and ``.dynsym``."""
        return self._binaries.other_symbol(binary, name)

    def function_at(self, binary: Binary, offset: FileOffset) -> BinarySymbol | None:
        """From the symbols of the file, or of its debug file."""
        return self._binaries.functions(binary).function_at(offset)

    def instruction_at(
        self, binary: Binary, offset: FileOffset, is_start: bool = False
    ) -> Instruction:
        """By Capstone, from the symbols of the file or its ``.eh_frame``."""
        return self._binaries.instruction_at(binary, offset, is_start=is_start)

    def binary_prototype(self, binary: Binary, entry: VirtualAddress) -> Prototype | None:
        """From the DWARF of the file, or of its debug file."""
        return self._binaries.prototype(binary, entry)

    def source_lines(self, binary: Binary, file: str, line: int) -> tuple[VirtualAddress, ...]:
        """From the DWARF of the file, or of its debug file."""
        return self._binaries.source_lines(binary, file, line)

    def binary_package(self, binary: Binary) -> str:
        """From the lists of dpkg."""
        return self._binaries.package(binary)

    def markers(self, binary: Binary) -> tuple[UsdtMarker, ...]:
        """From ``.note.stapsdt``."""
        return self._binaries.markers(binary)

    def binary_variable(self, binary: Binary, name: str) -> VirtualAddress | None:
        """From ``.symtab`` and ``.dynsym``."""
        return self._binaries.variable(binary, name)

    def mapped_files(self, pid: int) -> tuple[str, ...]:
        """From /proc/PID/maps."""
        return self._binaries.mapped_files(pid)

    def process_maps_binary(self, pid: int, binary: Binary) -> bool:
        """From /proc/PID/maps."""
        return self._binaries.is_mapped(pid, binary)

    @cached_property
    def _arch(self) -> str:
        return os.uname().machine

    @cached_property
    def _kallsyms(self) -> Kallsyms:
        read = self._files.read("/proc/kallsyms")
        if read.data is None:
            raise TargetError(
                f"the names of kernel functions cannot be read: {read.problem}",
                code="NO_KALLSYMS",
                hint="CONFIG_KALLSYMS=y makes the file" if read.missing else "run as root",
            )
        return Kallsyms(read.data)

    @cached_property
    def _blacklist(self) -> frozenset[str] | None:
        for debugfs in self._mounts.debugfs:
            text = self._files.read(f"{debugfs}/kprobes/blacklist").text
            if text is not None:
                return tracefs.read_blacklist(text.splitlines())
        return None

    @cached_property
    def _traceable(self) -> tracefs.FunctionList | None:
        read = self._available_functions
        return tracefs.FunctionList(read.data) if read and read.data is not None else None

    @cached_property
    def _available_functions(self) -> Reading | None:
        if self._mounts.tracefs is None:
            return None
        return self._files.read(f"{self._mounts.tracefs}/available_filter_functions")

    @cached_property
    def _events(self) -> tuple[str, ...]:
        if self._mounts.tracefs is None:
            return ()
        return tuple(
            (self._files.read(f"{self._mounts.tracefs}/available_events").text or "").split()
        )

    def _types(self, module: str) -> BtfTypes | None:
        """BTF of the kernel or of a module; None where there is none."""
        if not module:
            return self._vmlinux
        if module not in self._modules:
            self._modules[module] = self._read_module(module)
        return self._modules[module]

    def _read_module(self, module: str) -> BtfTypes | None:
        if self._vmlinux is None or not _MODULE.fullmatch(module):
            return None
        mark = (len(self._modules) + 1) << _MODULE_SHIFT
        return self._read_btf(f"{_BTF}/{module}", self._vmlinux, mark)

    @cached_property
    def _vmlinux(self) -> BtfTypes | None:
        return self._read_btf(f"{_BTF}/vmlinux", None, 0)

    @cached_property
    def _btf_names(self) -> BtfNames:
        return BtfNames(str(self._files.real(f"{_BTF}/vmlinux")))

    def _read_btf(self, path: str, base: BtfTypes | None, mark: int) -> BtfTypes | None:
        # libbpf is loaded only when types are asked for.
        from bpfprobe.target.btf import BtfTypes

        try:
            return BtfTypes.from_file(self._files.real(path), base, mark)
        except TargetError as error:
            if error.code == "NO_BTF":
                return None
            raise

    @cached_property
    def _facts(self) -> MachineFacts:
        read = self._files.read
        release = read("/proc/sys/kernel/osrelease").text or os.uname().release
        config = read_config(self._files, release)
        types = capability.btf(read(f"{_BTF}/vmlinux", most=4), config)
        events = (
            self._files.names(f"{self._mounts.tracefs}/events") if self._mounts.tracefs else None
        )
        possible = read("/sys/devices/system/cpu/possible").text
        namespace = pid_namespace()
        return MachineFacts(
            arch=self._arch,
            release=release,
            cpus=capability.count_cpus(possible) if possible else os.cpu_count() or 1,
            page_size=os.sysconf("SC_PAGE_SIZE"),
            btf=types,
            kprobes=self._kprobes(config),
            kprobe_pmu=self._pmu("kprobe"),
            uprobe_pmu=self._pmu("uprobe"),
            tracefs=capability.tracefs(self._mounts.tracefs, events),
            fentry=capability.fentry(
                types,
                config,
                lambda: self._available_functions,
                lambda: self._has_function(types, "bpf_trampoline_link_prog"),
            ),
            lockdown=capability.lockdown(read("/sys/kernel/security/lockdown"), config),
            pid_namespace=PidNamespace(*namespace) if namespace else None,
            **capability.enumerated(self._has_enumerator, self._has),
        )

    def _kprobes(self, config: KernelConfig) -> Answer:
        read = self._files.read
        debugfs = self._mounts.debugfs[0] if self._mounts.debugfs else "/sys/kernel/debug"
        return capability.kprobes(
            config,
            read(f"{_DEVICES}/kprobe/type"),
            read(f"{debugfs}/kprobes/enabled"),
            read("/proc/sys/kernel/ftrace_enabled"),
            lambda: self._has("register_kprobe"),
        )

    def _pmu(self, name: str) -> Answer:
        directory = f"{_DEVICES}/{name}"
        read = self._files.read
        return capability.pmu(name, read(f"{directory}/type"), read(f"{directory}/format/retprobe"))

    def _has_enumerator(self, enumeration: str, name: str) -> bool | None:
        """None where BTF has no such enumeration."""
        there = self._btf_names.has(name)
        if there:  # nothing else in a kernel is called as an enumerator of bpf(2) is
            return True
        if there is False and self._btf_names.has(enumeration):
            return False
        try:
            return self._vmlinux.has_enumerator(enumeration, name) if self._vmlinux else None
        except BpfprobeError:  # no libbpf, or BTF it cannot read: kallsyms is the other witness
            return None

    def _has_function(self, types: Answer, name: str) -> bool | None:
        """As BTF says, which takes a moment; kallsyms, which takes longer, where it does not."""
        return bool(types.present and self._btf_names.has(name)) or self._has(name)

    def _has(self, symbol: str) -> bool | None:
        try:
            return self._kallsyms.has(symbol)
        except TargetError:  # no kallsyms: cannot be told
            return None
