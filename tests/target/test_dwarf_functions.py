"""What functions take: structs by value, clones of the compiler, types in units of their own."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from bpfprobe.errors import SpecError
from bpfprobe.model.arch import arch_named
from bpfprobe.model.ktype import KFloat, KInt, KPointer, KStruct, Prototype
from bpfprobe.pipeline import describe
from bpfprobe.probes import probe
from bpfprobe.resolve.convention import passing_of
from bpfprobe.target.live import LiveTarget

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("elftools", reason="needs pyelftools")
pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")

STRUCTS = r"""
#include <memory>
#include <string>
#define PROBED extern "C" __attribute__((noinline, noclone, used))
struct One { int a; };
struct Two { long a; char *b; };
struct Mixed { long a; double b; };
struct Floats { float a, b, c, d; };
struct FloatInt { float a; int b; };
struct Big { long a, b, c; };
struct Bits { unsigned a : 3, b : 30; long c : 40; };
struct Chars { char text[11]; };
union Either { double d; long n; };
struct Nested { One one; struct { short s[2]; } in; Floats *next; };
struct __attribute__((packed)) Packed { char c; long n; };
struct alignas(16) Aligned { long a, b, c, d; };
struct Empty {};
struct Empties : Empty { Empty two[2]; };
struct Wide { __int128 n; };
struct Copied { int a; Copied(const Copied &o) : a(o.a) {} };
struct Moved { int a; Moved(Moved &&o) : a(o.a) {} };
struct Destroyed { int a; ~Destroyed() { asm volatile(""); } };
struct Defaulted { int a; Defaulted(const Defaulted &) = default; ~Defaulted() = default; };
struct Built { int a; Built(int n) : a(n) {} Built(const One &o) : a(o.a) {} };
struct Virtual { int a; virtual int look() { return a; } };
struct Inherits : Destroyed { int b; };
struct Holds { int n; std::string names[2]; };
template <class T> struct Box { T a; Box(const Box<T> &o) : a(o.a) {} };
typedef const Two named;
"""
PASSING = {
    "One": "I", "Two": "II", "named": "II", "Mixed": "IF", "Floats": "FF", "FloatInt": "I",
    "Big": "M8", "Bits": "II", "Chars": "II", "Either": "I", "Nested": "II",
    "Packed": "M8", "Aligned": "M16", "Empty": "E", "Empties": "E", "Wide": "II",
    "Copied": "R", "Moved": "R", "Destroyed": "R", "Defaulted": "I", "Built": "I", "Virtual": "R",
    "Inherits": "R", "Holds": "R", "Box<int>": "R", "std::string": "R", "std::unique_ptr<int>": "R",
}  # fmt: skip


def built(folder: Path, source: str, *options: str, compiler: str = "g++") -> Path:
    (folder / "p.cc").write_text(source)
    language = ["-x", "c++" if compiler == "g++" else "c"]
    subprocess.run(
        [compiler, "-g", *options, *language, "-o", folder / "p", folder / "p.cc"], check=True
    )
    return folder / "p"


def prototype(program: Path, symbol: str, target: LiveTarget | None = None) -> Prototype:
    target = target or LiveTarget()
    binary = target.binary(str(program))
    (found,) = target.binary_symbols(binary, symbol)
    known = target.binary_prototype(binary, found.address)
    assert known is not None
    return known


UNITS = {
    "dwarf 5": ["-gdwarf-5"],
    "dwarf 4": ["-gdwarf-4"],
    "type units of 5": ["-gdwarf-5", "-fdebug-types-section"],
    "type units of 4": ["-gdwarf-4", "-fdebug-types-section"],
    "optimised at link time": ["-O1", "-flto"],
}


@pytest.fixture(scope="module", params=UNITS)
def structs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_type_units(request.param)
    functions = [
        f'PROBED void f{n}({name} s, int behind) {{ asm volatile(""); }}'
        for n, name in enumerate(PASSING)
    ]
    source = STRUCTS + "\n".join(functions) + "\nint main() { Virtual v; return v.look(); }\n"
    folder = tmp_path_factory.mktemp("structs")
    return built(folder, source, *UNITS[request.param])


def need_type_units(kind: str) -> None:
    from elftools.dwarf.dwarfinfo import DWARFInfo

    if "type units" in kind and not hasattr(DWARFInfo, "get_DIE_by_sig8"):
        pytest.skip("needs a pyelftools that reads type units, as 0.32 does")


def test_how_each_struct_is_handed_over(structs: Path) -> None:
    found, target = {}, LiveTarget()
    for n, name in enumerate(PASSING):
        struct, behind = prototype(structs, f"f{n}", target).parameters
        assert behind.type == KInt("int", 4, signed=True)
        assert isinstance(struct.type, KStruct)
        found[name] = letters(struct.type, target)
    assert found == PASSING


def letters(struct: KStruct, target: LiveTarget) -> str:
    """What it is handed over in: registers, memory (M), by reference (R), nothing (E)."""
    passing = passing_of(struct, target.members, arch_named("x86_64"))
    assert passing is not None
    if passing.by_reference:
        return "R"
    return "E" if passing.is_nothing else passing.registers or f"M{passing.alignment}"


@pytest.mark.parametrize("kind", ["dwarf 5", "type units of 5", "type units of 4"])
def test_members_of_a_type_wherever_it_stands(tmp_path: Path, kind: str) -> None:
    need_type_units(kind)
    source = STRUCTS + 'PROBED void look(Nested *n) { asm volatile(""); }\nint main() {}\n'
    program = built(tmp_path, source, *UNITS[kind])
    target = LiveTarget()
    binary = target.binary(str(program))
    (symbol,) = target.binary_symbols(binary, "look")
    known = target.binary_prototype(binary, symbol.address)
    assert known is not None
    pointer = known.parameters[0].type
    assert isinstance(pointer, KPointer)
    assert isinstance(pointer.target, KStruct)
    one, inner, following = target.members(pointer.target)
    assert (one.name, one.offset, inner.offset, following.offset) == ("one", 0, 4, 8)
    assert isinstance(one.type, KStruct)
    assert [member.name for member in target.members(one.type)] == ["a"]
    assert isinstance(following.type, KPointer)
    floats = following.type.target
    assert isinstance(floats, KStruct)
    assert {member.type for member in target.members(floats)} == {KFloat("float", 4)}


CLONES = r"""
struct s { long a, b, c; };
static __attribute__((noinline)) long pick(int mode, long x, const char *t)
{
    asm volatile("");
    return mode ? x * 3 + t[0] : x + t[1];
}
static __attribute__((noinline)) long scale(int unused, long x) { asm volatile(""); return x * 7; }
int main(int c, char **v)
{
    return pick(1, c, v[0]) + pick(1, c + 4, v[1]) + scale(c, c + 9);
}
"""


@pytest.mark.parametrize("version", ["-gdwarf-4", "-gdwarf-5"])
def test_a_clone_has_the_arguments_that_it_is_handed(tmp_path: Path, version: str) -> None:
    program = built(tmp_path, CLONES, "-O2", version, compiler="gcc")
    names = subprocess.run(["nm", program], check=True, capture_output=True, text=True).stdout
    if "pick.constprop.0" not in names or "scale.constprop.0" not in names:
        pytest.skip("needs a gcc that makes clones of these functions")
    found = prototype(program, "pick.constprop.0").parameters
    assert [(p.name, p.register, p.is_removed) for p in found] == [
        ("mode", -1, True), ("x", 5, False), ("t", 4, False),
    ]  # fmt: skip
    found = prototype(program, "scale.constprop.0").parameters
    assert [(p.name, p.register, p.is_removed) for p in found] == [
        ("unused", -1, True), ("x", 5, False),
    ]  # fmt: skip


VIRTUAL = r"""
struct Base { virtual ~Base() {} int n; };
struct Shop : virtual Base {
    int total;
    __attribute__((noinline)) Shop(int first, const char *name) : total(first + *name) {}
};
struct Mall : Shop { Mall() : Shop(1, "a") {} };
int main() { Shop shop(2, "b"); Mall mall; return shop.total + mall.total; }
"""


@pytest.mark.parametrize("level", ["-O0", "-O1"])
def test_constructors_of_what_has_virtual_bases(tmp_path: Path, level: str) -> None:
    program = built(tmp_path, VIRTUAL, level)
    names = {"_ZN4ShopC1EiPKc": [], "_ZN4ShopC2EiPKc": ["__vtt_parm"]}
    for symbol, more in names.items():
        found = prototype(program, symbol).parameters
        assert [p.name for p in found] == ["this", *more, "first", "name"]
        assert not any(p.is_removed for p in found)


COLD = r"""
#include <stdio.h>
#include <stdlib.h>
__attribute__((cold, noinline)) void bad(int x) { fprintf(stderr, "%d", x); exit(x); }
__attribute__((noinline, noclone)) int work(int n, const char *s)
{
    if (n > 100) {
        bad(n + s[0]);
        abort();
    }
    return n * s[0];
}
int main(int c, char **v) { return work(c, v[0]); }
"""


@pytest.mark.parametrize("version", ["-gdwarf-4", "-gdwarf-5"])
def test_a_function_whose_seldom_part_is_elsewhere(tmp_path: Path, version: str) -> None:
    program = built(tmp_path, COLD, "-O2", version, compiler="gcc")
    names = subprocess.run(["nm", program], check=True, capture_output=True, text=True).stdout
    if "work.cold" not in names:
        pytest.skip("needs a gcc that takes functions apart")
    found = prototype(program, "work")
    assert str(found) == "int work(int n, const char *s)"
    assert [parameter.register for parameter in found.parameters] == [5, 4]


SHARED = r"""
struct url { const char *host; unsigned port : 20; struct url *next; double weight; };
struct request { long id; struct url *url; int codes[3]; };
__attribute__((noinline, noclone)) long FUNCTION(struct request *req, const char *path)
{
    __asm__ volatile("");
    return req->id;
}
int main(void) { struct request r = {0}; return FUNCTION(&r, ""); }
"""


@pytest.mark.skipif(shutil.which("dwz") is None, reason="needs dwz, which moves types")
@pytest.mark.parametrize("kind", ["there", "absolute", "gone", "of another build"])
def test_types_that_dwz_moved(tmp_path: Path, kind: str) -> None:
    programs = []
    for name in ("handle", "serve"):
        (tmp_path / name).mkdir()
        programs.append(
            built(tmp_path / name, SHARED, "-O1", f"-DFUNCTION={name}", compiler="gcc")
            .rename(tmp_path / f"{name}.program")
        )  # fmt: skip
    alternate = tmp_path / "common"
    named = ["-M", alternate] if kind == "absolute" else ["-M", "common"]
    subprocess.run(["dwz", "-m", alternate, *named, *programs], check=True)
    if kind == "gone":
        alternate.unlink()
    if kind == "of another build":
        content = alternate.read_bytes()
        at = content.index(b"GNU\0") + 4
        alternate.write_bytes(content[:at] + bytes(8) + content[at + 8 :])
    target = LiveTarget()
    if kind not in ("there", "absolute"):
        with pytest.raises(SpecError, match="common, which is not there") as caught:
            describe([probe(f"uprobe:{programs[0]}:handle path")], target)
        assert caught.value.code == "NO_DWZ_FILE"
        return
    found = prototype(programs[0], "handle", target)
    assert [parameter.name for parameter in found.parameters] == ["req", "path"]
    pointer = found.parameters[0].type
    assert isinstance(pointer, KPointer)
    assert isinstance(pointer.target, KStruct)
    members = {member.name: member for member in target.members(pointer.target)}
    assert [*members] == ["id", "url", "codes"]
    url = members["url"].type
    assert isinstance(url, KPointer)
    assert isinstance(url.target, KStruct)
    inner = {member.name: member for member in target.members(url.target)}
    assert (inner["port"].bit_size, inner["weight"].type) == (20, KFloat("double", 8))
