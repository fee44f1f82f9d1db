"""What one unit of a program knows of the types of another, and what a compiler leaves out."""

from __future__ import annotations

import shutil
import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from bpfprobe.errors import SpecError, TargetError
from bpfprobe.model.arch import arch_named
from bpfprobe.model.ktype import KOther, KPointer, KStruct, Prototype
from bpfprobe.model.value import Argument, Space
from bpfprobe.pipeline import describe
from bpfprobe.probes import probe
from bpfprobe.resolve.operand import NumberOperand
from bpfprobe.resolve.passing import argument_places
from bpfprobe.target import dwarf_definitions
from bpfprobe.target.dwarf_types import type_of
from bpfprobe.target.live import LiveTarget
from tests.target.test_dwarf_functions import need_type_units, prototype

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("elftools", reason="needs pyelftools")
pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")

NEEDS_CLANG = pytest.mark.skipif(shutil.which("clang") is None, reason="needs clang")
COMPILERS = ["gcc", pytest.param("clang", marks=NEEDS_CLANG)]

USER = r"""
struct shop;
struct never;
struct twice;
#define PROBED __attribute__((noinline, used))
PROBED void look(struct shop *s, struct never *n, struct twice *t) { __asm__ volatile(""); }
int main(void) { look(0, 0, 0); return 0; }
"""
OWNER = """
struct till { int first; long total; };
struct shop { long id; struct till *till; } shop;
struct twice { int a; } twice;
"""
OTHER = "struct twice { long b; } another;\n"


def build(folder: Path, compiler: str, *options: str, **sources: str) -> Path:
    for name, text in sources.items():
        (folder / f"{name}.{'cc' if '+' in compiler else 'c'}").write_text(text)
    files = sorted(str(path) for path in folder.iterdir() if path.suffix in (".c", ".cc"))
    subprocess.run([compiler, "-g", *options, *files, "-o", folder / "p"], check=True, cwd=folder)
    return folder / "p"


def struct_behind(found: Prototype, n: int) -> KStruct:
    pointer = found.parameters[n].type
    assert isinstance(pointer, KPointer)
    assert isinstance(pointer.target, KStruct)
    return pointer.target


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("options", [["-gdwarf-5"], ["-gdwarf-4", "-fdebug-types-section"]])
def test_a_struct_that_another_unit_defines(
    tmp_path: Path, compiler: str, options: list[str]
) -> None:
    if "-fdebug-types-section" in options:
        need_type_units("type units")
    program = build(tmp_path, compiler, *options, user=USER, owner=OWNER, other=OTHER)
    target = LiveTarget()
    found = prototype(program, "look", target)
    shop, never, twice = (struct_behind(found, n) for n in range(3))
    identity, till = target.members(shop)
    assert (identity.name, till.offset) == ("id", 8)
    assert isinstance(till.type, KPointer)
    assert isinstance(till.type.target, KStruct)
    assert [(one.name, one.offset) for one in target.members(till.type.target)] == [
        ("first", 0), ("total", 8),
    ]  # fmt: skip
    for struct, words in ((never, "never is declared"), (twice, "define twice in different ways")):
        with pytest.raises(TargetError, match=words) as caught:
            target.members(struct)
        assert caught.value.code == "INCOMPLETE_TYPE"
    with pytest.raises(SpecError, match="never is declared") as refused:
        describe([probe(f"uprobe:{program}:look n->name")], target)
    assert refused.value.code == "INCOMPLETE_TYPE"
    assert "   ^~~~" in str(refused.value)


def test_of_so_many_units_none_is_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dwarf_definitions, "MOST_BYTES", 100)
    target = LiveTarget()
    program = build(tmp_path, "gcc", user=USER, owner=OWNER)
    shop = struct_behind(prototype(program, "look", target), 0)
    for _ in range(2):
        with pytest.raises(TargetError, match="looked through up to 100") as caught:
            target.members(shop)
        assert caught.value.code == "INCOMPLETE_TYPE"


CLASS = r"""
namespace shop {
struct Price { long cents; Price(long cents); ~Price(); };
struct Till { Price last; int count; Till(); long sell(int n); Price highest(int n); };
}
"""
CLASS_USER = (
    CLASS + '__attribute__((noinline)) long shop::Till::sell(int n) { asm volatile(""); '
    "return last.cents * n; }\n"
    '__attribute__((noinline)) shop::Price shop::Till::highest(int n) { asm volatile(""); '
    "return shop::Price(n); }\n"
    "int main() { shop::Till till; return till.sell(2) + till.highest(3).cents; }\n"
)
CLASS_OWNER = (
    CLASS + "shop::Price::Price(long cents) : cents(cents) {}\nshop::Price::~Price() {}\n"
    "shop::Till::Till() : last(5), count(0) {}\n"
)


@pytest.mark.parametrize("compiler", ["g++", pytest.param("clang++", marks=NEEDS_CLANG)])
def test_a_class_that_is_described_where_its_constructors_are(
    tmp_path: Path, compiler: str
) -> None:
    program = build(tmp_path, compiler, "-O1", user=CLASS_USER, owner=CLASS_OWNER)
    target = LiveTarget()
    found = prototype(program, "_ZN4shop4Till4sellEi", target)
    last, count = target.members(struct_behind(found, 0))
    assert (last.name, last.offset, count.name, count.offset) == ("last", 0, "count", 8)
    assert isinstance(last.type, KStruct)
    assert [member.name for member in target.members(last.type)] == ["cents"]
    found = prototype(program, "_ZN4shop4Till7highestEi", target)
    assert isinstance(found.returns, KStruct)
    assert (found.returns.by_reference, found.returns.size) == (True, 8)


@NEEDS_CLANG
def test_a_class_of_a_library_is_only_declared(tmp_path: Path) -> None:
    """What Clang says of a std::string; whether its address comes first is not known."""
    source = (
        "#include <string>\n"
        "__attribute__((noinline)) std::string name(int n) { return std::string(n, 121); }\n"
        "int main(int c, char **) { return name(c).size(); }\n"
    )
    program = build(tmp_path, "clang++", "-O0", user=source)
    with pytest.raises(SpecError, match=r"it is not known how \w+ is returned") as caught:
        describe([probe(f"uprobe:{program}:name n")], LiveTarget())
    assert caught.value.code == "STRUCT_ARGUMENT"
    program = build(tmp_path, "clang++", "-O0", "-fstandalone-debug", user=source)
    found = prototype(program, "_Z4nameB5cxx11i")
    assert isinstance(found.returns, KStruct)
    assert found.returns.by_reference


DROPPED = r"""
__attribute__((noinline)) static long pick(int unused, long x, double weight, const char *t)
{
    __asm__ volatile("" ::"r"(x));
    return x * 3 + *t;
}
int main(int c, char **v) { return pick(c, c + 4, 0.5, v[0]); }
"""


@NEEDS_CLANG
@pytest.mark.parametrize("version", ["-gdwarf-4", "-gdwarf-5"])
def test_arguments_that_clang_took_away(tmp_path: Path, version: str) -> None:
    """It leaves the function its name."""
    program = build(tmp_path, "clang", "-O2", version, user=DROPPED)
    places = argument_places(
        prototype(program, "pick"),
        arch_named("x86_64"),
        LiveTarget().members,
        space=Space.USER,
        returns=False,
    )
    found = {
        parameter.name: place.value.number
        if isinstance(place, NumberOperand) and isinstance(place.value, Argument)
        else getattr(place, "code", "")
        for parameter, place in places
    }
    assert found == {"unused": "NO_BTFARG", "x": 1, "weight": "NO_BTFARG", "t": 2}


class NoEntries:
    """Where a type leads to an entry that is given."""

    def __init__(self, tag: str | int | None) -> None:
        self.target = SimpleNamespace(tag=tag, attributes={})

    def holder(self, die: object, name: str) -> object:
        return self.target

    def referred(self, die: object, name: str) -> object:
        return self.target

    def name_of(self, die: object) -> str:
        return ""


def test_types_that_are_none() -> None:
    """The end of a list, and a tag that is in no standard."""
    assert type_of(None, NoEntries(0x7777)) == KOther("30583")  # type: ignore[arg-type]  # a fake
    with pytest.raises(ValueError, match="end of a list"):
        type_of(None, NoEntries(None))  # type: ignore[arg-type]  # a fake


OLD = r"""
struct bits { int a; unsigned b : 3, c : 20; long far[40]; short last; };
__attribute__((noinline)) long look(struct bits *s) { return s->last; }
int main(void) { struct bits s = {0}; return look(&s); }
"""


@pytest.mark.parametrize("compiler", COMPILERS)
def test_places_of_members_as_dwarf_2_has_them(tmp_path: Path, compiler: str) -> None:
    """As what a stack machine does: it adds a number."""
    program = build(tmp_path, compiler, "-gdwarf-2", "-gstrict-dwarf", user=OLD)
    target = LiveTarget()
    found = target.members(struct_behind(prototype(program, "look", target), 0))
    assert [(m.name, m.offset, m.bit_offset, m.bit_size) for m in found] == [
        ("a", 0, 0, 0), ("b", 4, 0, 3), ("c", 4, 3, 20), ("far", 8, 0, 0), ("last", 328, 0, 0),
    ]  # fmt: skip


PACKED = r"""
struct __attribute__((packed)) tight { unsigned a : 20, b : 20; int c : 13; unsigned long d : 40; };
__attribute__((noinline)) long look(struct tight *s) { return s->d; }
int main(void) { struct tight s = {0}; return look(&s); }
"""


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("version", ["-gdwarf-4", "-gdwarf-5"])
def test_bits_of_a_packed_struct(tmp_path: Path, compiler: str, version: str) -> None:
    """Clang counts them from the high end of a unit, in which not all of them are."""
    program = build(tmp_path, compiler, version, user=PACKED)
    target = LiveTarget()
    found = target.members(struct_behind(prototype(program, "look", target), 0))
    assert [(m.name, 8 * m.offset + m.bit_offset, m.bit_size) for m in found] == [
        ("a", 0, 20), ("b", 20, 20), ("c", 40, 13), ("d", 53, 40),
    ]  # fmt: skip


@pytest.mark.skipif(shutil.which("objcopy") is None, reason="needs binutils")
@pytest.mark.parametrize(
    ("version", "hint"), [("0.29", "pyelftools 0.29 may be too old"), ("0.32", "readelf ")]
)
def test_what_may_help_where_debug_information_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, hint: str
) -> None:
    monkeypatch.setattr("elftools.__version__", version)
    program = build(tmp_path, "gcc", user=OLD)
    (tmp_path / "damage").write_bytes(b"\xff" * 64)
    update = f".debug_abbrev={tmp_path / 'damage'}"
    subprocess.run(["objcopy", "--update-section", update, program], check=True)
    with pytest.raises(TargetError, match="cannot be read") as caught:
        prototype(program, "look")
    assert caught.value.code == "BAD_DWARF"
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("function", ["look", "main"])
def test_lines_without_types_say_nothing_of_arguments(
    tmp_path: Path, compiler: str, function: str
) -> None:
    program = build(tmp_path, compiler, "-g1", "-O1", user=OLD)
    target = LiveTarget()
    binary = target.binary(str(program))
    (symbol,) = target.binary_symbols(binary, function)
    assert target.binary_prototype(binary, symbol.address) is None
    assert target.source_lines(binary, "user.c", 3)
