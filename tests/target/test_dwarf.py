"""DWARF of real programs, whole and damaged."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfprobe.cli.listing import list_points
from bpfprobe.errors import MissingLibraryError, SpecError, TargetError
from bpfprobe.model.ktype import KFloat, KInt, KPointer, KStruct
from bpfprobe.model.scalar import CHAR, S8, U8
from bpfprobe.pipeline import describe
from bpfprobe.probes import probe
from bpfprobe.target.dwarf import DwarfFile
from bpfprobe.target.live import LiveTarget

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("elftools", reason="needs pyelftools")
pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")

MARK = 1 << 62
SOURCE = """
#include <stdbool.h>
typedef unsigned long word;
struct flags { unsigned a : 3, b : 7; long c : 33; short : 4; signed d : 5; };
struct inner { char text[8]; };
struct outer {
    struct flags flags; struct inner; union { int i; float f; }; const char *name;
    enum sign { MINUS = -1, PLUS } sign; bool yes; word grid[2][3]; struct outer *next; int (*call)(void);
};
__attribute__((noinline)) word look(struct outer *o, const char *const name, volatile bool yes, float f, ...)
{
    __asm__ volatile("");
    return o->flags.a;
}
int main(void) { struct outer o = {0}; return look(&o, "", 1, 0); }
"""  # noqa: E501  # C


@pytest.fixture(scope="module", params=["-gdwarf-3", "-gdwarf-4", "-gdwarf-5", "-gz", "zlib-gnu"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dwarf")
    (folder / "p.c").write_text(SOURCE.replace("struct inner;", "struct inner in;"))
    style = request.param if request.param.startswith("-") else "-gdwarf-4"
    options = ["-g", style, "-O1", "-o", folder / "p", folder / "p.c"]
    subprocess.run(["gcc", *options], check=True)
    if style != request.param:
        option = f"--compress-debug-sections={request.param}"
        subprocess.run(["objcopy", option, folder / "p"], check=True)
    return folder / "p"


def address_of(program: Path, symbol: str) -> int:
    target = LiveTarget()
    return target.binary_symbols(target.binary(str(program)), symbol)[0].address


def test_a_function_and_its_types(program: Path) -> None:
    with open(program, "rb") as file:
        dwarf = DwarfFile(file, str(program), MARK)
    found = dwarf.prototype(address_of(program, "look"))
    assert found is not None
    o, name, yes, f = found.parameters
    assert [p.name for p in found.parameters] == ["o", "name", "yes", "f"]
    assert found.variadic
    assert isinstance(found.returns, KInt)
    assert (found.returns.spelling, found.returns.size) == ("word", 8)
    assert isinstance(name.type, KPointer)
    assert name.type.target == KInt("const char", 1, signed=True, is_char=True)
    assert isinstance(yes.type, KInt)
    assert yes.type.is_bool
    assert f.type == KFloat("float", 4)
    assert isinstance(o.type, KPointer)
    assert isinstance(o.type.target, KStruct)
    members = {m.name: m for m in dwarf.members(o.type.target.type_id)}
    assert [*members] == ["flags", "in", "", "name", "sign", "yes", "grid", "next", "call"]
    assert members["sign"].type == KInt("enum sign", 4, signed=True)
    assert members["grid"].type.size == 48
    flags = members["flags"].type
    assert isinstance(flags, KStruct)
    bits = {m.name: 8 * m.offset + m.bit_offset for m in dwarf.members(flags.type_id)}
    # What gcc does with them, measured by setting each and looking at the bytes.
    assert (bits["a"], bits["b"], bits["c"]) == (0, 3, 10)
    assert dwarf.prototype(1) is None


def test_small_numbers_and_packed_bits(tmp_path: Path) -> None:
    source = """#include <stdint.h>
    struct __attribute__((packed)) tight { unsigned a : 20, b : 20; unsigned char c : 5, d : 6; };
    struct __attribute__((packed)) wide { unsigned char a : 7; unsigned long b : 60; };
    void look(int8_t i, uint8_t u, char c, struct tight *t, struct wide *w) {}
    int main(void) { return 0; }"""
    (tmp_path / "p.c").write_text(source)
    subprocess.run(["gcc", "-g", "-w", "-o", tmp_path / "p", tmp_path / "p.c"], check=True)
    made = describe(
        [probe(f"uprobe:{tmp_path / 'p'}:look i u c a=t->a b=t->b d=t->d")], LiveTarget()
    )
    values = [one.value for one in made.bound.probes[0].captures]
    assert [one.type for one in values[:3]] == [S8, U8, CHAR]
    bits = [(8 * v.offset + v.bit_offset, v.bit_size, v.type.size) for v in values[3:]]
    assert bits == [(0, 20, 4), (20, 20, 4), (45, 6, 2)]
    with pytest.raises(SpecError, match="b is 60 bits in nine bytes"):
        describe([probe(f"uprobe:{tmp_path / 'p'}:look w->b")], LiveTarget())


def test_listed_with_types(program: Path) -> None:
    (name, prototype) = list_points(f"uprobe:{program}:look", LiveTarget(), 1)
    assert name == f"uprobe:{program}:look"
    assert "word look(struct outer *o, const char *const name, " in prototype


def test_lines(program: Path) -> None:
    target = LiveTarget()
    binary = target.binary(str(program))
    line = SOURCE.splitlines().index("    return o->flags.a;") + 1
    (address,) = target.source_lines(binary, "p.c", line)
    start = address_of(program, "look")
    assert start <= address < start + 64
    assert target.source_lines(binary, f"{program}.c", line) == (address,)
    with pytest.raises(TargetError) as caught:
        target.source_lines(binary, "p.c", 3)
    assert caught.value.code == "NO_CODE_AT_LINE"
    assert re.search(r"lines near it that do: \d+", str(caught.value.hint))


@pytest.mark.parametrize("version", ["-gdwarf-4", "-gdwarf-5"])
def test_split_debug_information_is_called_so(tmp_path: Path, version: str) -> None:
    (tmp_path / "p.c").write_text(SOURCE.replace("struct inner;", "struct inner in;"))
    options = ["-g", "-gsplit-dwarf", version, "-o", tmp_path / "p", tmp_path / "p.c"]
    subprocess.run(["gcc", *options], check=True, cwd=tmp_path)
    with pytest.raises(SpecError, match=r"is in .*p\.dwo, and such files") as caught:
        describe([probe(f"uprobe:{tmp_path / 'p'}:look name")], LiveTarget())
    assert caught.value.code == "SPLIT_DWARF"
    assert "without -gsplit-dwarf" in str(caught.value.hint)
    (_, shown) = list_points(f"uprobe:{tmp_path / 'p'}:look", LiveTarget(), 1)
    assert "no types: the debug information of this function is in" in shown
    assert len(LiveTarget().source_lines(LiveTarget().binary(str(tmp_path / "p")), "p.c", 13)) == 1


def test_no_debug_information(tmp_path: Path) -> None:
    (tmp_path / "p.c").write_text("int main(void) { return 0; }")
    subprocess.run(["gcc", "-o", tmp_path / "p", tmp_path / "p.c"], check=True)
    target = LiveTarget()
    binary = target.binary(str(tmp_path / "p"))
    (main,) = target.binary_symbols(binary, "main")
    assert target.binary_prototype(binary, main.address) is None
    with pytest.raises(TargetError) as caught:
        target.source_lines(binary, "p.c", 1)
    assert caught.value.code == "NO_DEBUG_INFO"


def test_without_pyelftools(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "elftools.elf.elffile", None)
    target = LiveTarget()
    with pytest.raises(MissingLibraryError) as caught:
        target.source_lines(target.binary(str(program)), "p.c", 1)
    assert caught.value.code == "NO_PYELFTOOLS"
    assert "python3-pyelftools" in str(caught.value.hint)


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_damage_costs_an_error_and_no_more(program: Path, data: st.DataObject) -> None:
    content = bytearray(program.read_bytes())
    assert b"debug_info" in content
    tables = int.from_bytes(content[40:48], "little")
    debug = range(len(content) // 2, len(content))
    places = st.sampled_from([*debug]) | st.integers(tables, len(content) - 1)
    for at, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=20)):
        content[at] = value
    code = ""
    try:
        dwarf = DwarfFile(io.BytesIO(bytes(content)), "damaged", MARK)
        found = dwarf.prototype(address_of(program, "look"))
        for parameter in found.parameters if found else ():
            ktype = parameter.type
            if isinstance(ktype, KPointer) and isinstance(ktype.target, KStruct):
                dwarf.members(ktype.target.type_id)
        dwarf.addresses("p.c", 13)
    except TargetError as error:
        code = error.code
    assert code in ("", "BAD_DWARF", "TOO_BIG", "NO_BTFARG", "NO_SOURCE_FILE", "NON_UNIQ_FILE",
                    "NO_CODE_AT_LINE")  # fmt: skip
