"""Every kernel function that takes or returns a struct by value, against a compiler's stubs."""

from __future__ import annotations

import re
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from bpfprobe.errors import TargetError
from bpfprobe.model.arch import arch_named
from bpfprobe.model.ktype import KArray, KInt, KOther, KPointer, KStruct
from bpfprobe.model.value import Space
from bpfprobe.resolve.operand import MemoryOperand
from bpfprobe.resolve.returned import returned
from bpfprobe.target.btf import BtfTypes
from bpfprobe.target.libbpf_btf import Kind
from tests.abi import COMPILERS, compiler_places, differences, has_compiler, library, our_places

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bpfprobe.lab import Lab
    from bpfprobe.model.arch import Arch
    from bpfprobe.model.ktype import KType, Member, Prototype

pytestmark = [pytest.mark.on_host, pytest.mark.guest(kernels=["6.1", "6.12", "newest"])]

FEWEST = 300
"""In 6.1 there are 513 such functions, among 42,069."""
_INTEGERS = {1: "char", 2: "short", 4: "int", 8: "long", 16: "__int128"}


def test_every_struct_is_where_a_compiler_puts_it(lab: Lab, tmp_path: Path) -> None:
    types = BtfTypes.from_file(lab.installation.kernel(lab.wanted).vmlinux)
    functions = [*by_value_functions(types)]
    assert len(functions) > FEWEST
    for processor in COMPILERS:
        if not has_compiler(processor):
            pytest.skip(f"needs {COMPILERS[processor]}")
        check(types, functions, tmp_path, processor)


def check(types: BtfTypes, functions: list[Prototype], folder: Path, processor: str) -> None:
    stubs = Stubs(types)
    lines = [line for n, function in enumerate(functions) for line in stubs.of(n, function)]
    text = "\n".join([*stubs.declarations, *lines])
    arch = arch_named(processor)
    made = library(folder, text, processor)
    theirs = compiler_places(made, processor)
    callers = assembly(made.with_suffix(".c"), processor)
    wrong = {}
    for n, function in enumerate(functions):
        places = [
            place or looked_at(callers.get(f"l{n}_{k}", ""), arch)
            for k, place in enumerate(theirs[f"f{n}"])
        ]
        assert all(places), f"{function}: a place that the compiler does not say"
        found = differences(our_places(function, arch, types_members(types)), places)
        result = returned(function, arch, types_members(types), Space.KERNEL)
        if arch.result_address:
            hidden = "x8" in callers[f"c{n}"]
        else:
            hidden = theirs[f"r{n}"] == [(("reg", arch.dwarf_arguments[1]),)]
        if found or hidden != isinstance(result, MemoryOperand):
            wrong[str(function)] = found, result
        is_known = not isinstance(result, TargetError) or result.code == "NO_RETVAL"
        assert is_known, result
    assert not wrong


def by_value_functions(types: BtfTypes) -> Iterator[Prototype]:
    """Those that take or return a struct, or a number of more than eight bytes, by its bytes."""
    is_wide: dict[int, bool] = {}

    def wide(type_id: int) -> bool:
        if type_id not in is_wide:
            ktype = types.ktype(type_id)
            is_wide[type_id] = isinstance(ktype, KStruct) or ktype.size > 8
        return is_wide[type_id]

    names = set()
    for type_id in range(1, types.raw.count):
        raw = types.raw.type(type_id)
        if raw.kind != Kind.FUNC or raw.name in names:
            continue
        names.add(raw.name)
        proto = types.raw.type(raw.reference)
        ids = [proto.reference, *(one for _, one in struct.iter_unpack("=II", proto.tail))]
        if any(wide(one) for one in ids):
            found = types.prototype(raw.name)
            assert found is not None
            yield found


def types_members(types: BtfTypes):
    return lambda struct: types.members(struct.type_id)


def assembly(source: Path, processor: str) -> dict[str, str]:
    """The code of each function of a file."""
    made = source.with_suffix(".s")
    command = [COMPILERS[processor], "-O2", "-w", "-S", "-o", made, source]
    subprocess.run(command, check=True)
    return dict(re.findall(r"^(\w+):\n(.*?)^\s*\.size", made.read_text(), re.M | re.S))


def looked_at(code: str, arch: Arch) -> tuple[tuple[str, int], ...]:
    """The registers that a stub has taken a struct out of, as its code has them."""
    found = re.search(r"//look (\S+) (\S+)", code)
    if found is None:
        return ()
    numbers = [REGISTERS[arch.name].index(text.lstrip("%")) // 3 for text in found.groups()]
    return tuple(("reg", arch.dwarf_arguments[number]) for number in numbers)


REGISTERS = {
    "x86_64": [
        *(name for stem in ("di", "si", "dx", "cx") for name in (f"r{stem}", f"e{stem}", stem)),
        *(name for stem in ("r8", "r9") for name in (stem, f"{stem}d", f"{stem}w")),
    ],
    "aarch64": [name for n in range(8) for name in (f"x{n}", f"w{n}", "")],
}
LOOK = """
#define LOOK(it, above) { long low; above high; __builtin_memcpy(&low, &it, 8); \\
    __builtin_memcpy(&high, (char *)&it + 8, sizeof(high)); \\
    asm volatile("//look %0 %1" :: "r"(low), "r"(high)); }
"""
"""Where a compiler describes no place of a struct: it has to have it in registers to show it."""


class Stubs:
    """Functions in C with the prototypes of the kernel's, and the types that they need."""

    def __init__(self, types: BtfTypes) -> None:
        self._types = types
        self._names: dict[int, str] = {}
        self.declarations = [LOOK]

    def of(self, number: int, function: Prototype) -> Iterator[str]:
        """f has all parameters, l looks at one; r takes a number, c calls what returns the same."""
        numbered = [*enumerate(function.parameters)]
        keep = '{ asm volatile(""); '
        given = ", ".join(
            self._declared(p.type, f"p{n}") for n, p in enumerate(function.parameters)
        )
        returns = function.returns
        result = "void"
        if returns != KOther("void"):
            result = self._declared(returns, "")
            yield f"extern {result} *g{number}; extern {result} h{number}(void);"
        value = f"return *g{number};" if result != "void" else ""
        yield f"__attribute__((noipa)) {result} f{number}({given or 'void'}) {keep}{value} }}"
        yield f"__attribute__((noipa)) {result} r{number}(long p) {keep}{value} }}"
        for n, one in numbered:
            if isinstance(one.type, KStruct) and 10 <= one.type.size <= 16:
                above = "int" if one.type.size >= 12 else "short"
                yield f"void l{number}_{n}({given}) {{ LOOK(p{n}, {above}) }}"
        if result != "void":
            yield f"void c{number}(void) {{ *g{number} = h{number}(); }}"
        else:
            yield f"void c{number}(void) {{}}"

    def _declared(self, ktype: KType, name: str) -> str:
        match ktype:
            case KArray(element=element, count=count):
                return self._declared(element, f"{name}[{count}]")
            case KStruct():
                return f"{self._struct(ktype)} {name}"
            case KInt(is_bool=True):
                return f"_Bool {name}"
            case KInt(size=size, signed=signed):
                return f"{'' if signed else 'unsigned '}{_INTEGERS[size]} {name}"
            case KPointer():
                return f"void *{name}"
        raise TypeError(ktype)

    def _struct(self, ktype: KStruct) -> str:
        """The struct as C has it, each member where BTF has it, which the compiler checks."""
        if ktype.type_id in self._names:
            return self._names[ktype.type_id]
        tag = f"{'union' if ktype.is_union else 'struct'} t{ktype.type_id}"
        self._names[ktype.type_id] = tag
        members = self._types.members(ktype.type_id)
        # A bit field is the whole of its unit: that has the same class and the same alignment.
        units = {(member.offset, member.type.size): member for member in members if member.bit_size}
        plain = [member for member in members if not member.bit_size]
        body, checks = [], []
        for n, member in enumerate(sorted([*plain, *units.values()], key=lambda m: m.offset)):
            body.append(self._declared(member.type, f"m{n}") + ";")
            checks.append(f"_Static_assert(__builtin_offsetof({tag}, m{n}) == {member.offset});")
        checks.append(f"_Static_assert(sizeof({tag}) == {ktype.size});")
        asked = " __attribute__((packed))" if _is_packed(ktype, members) else ""
        if not members and ktype.size:
            body, asked = ["void *m0;"], " __attribute__((transparent_union))"
        self.declarations += [f"{tag} {{ {' '.join(body)} }}{asked};", *checks]
        return tag


def _is_packed(ktype: KStruct, members: tuple[Member, ...]) -> bool:
    numbers = [m for m in members if isinstance(m.type, (KInt, KPointer)) and not m.bit_size]
    return any(m.offset % m.type.size or ktype.size % m.type.size for m in numbers)
