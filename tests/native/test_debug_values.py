"""Arguments that are no plain numbers: floats, structs by value, what the compiler moved."""

from __future__ import annotations

import shutil
import struct
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from tests.native.programs import compiler, needs_uprobes
from tests.native.test_debug_information import run

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("elftools", reason="needs pyelftools")
pytestmark = [*needs_uprobes, pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")]

SOURCE = r"""
#include <cstdint>
#include <string>
#include <unistd.h>
#define KEPT __attribute__((weak, noinline, noipa)) /* which may be another: nothing is known of it */
#define PROBED extern "C" KEPT
struct Pair { long a; int b; };
struct Point { double x; float y; };
struct Big { long a, b; double c; };
struct __attribute__((packed)) Tight
{
    unsigned a : 20, b : 20;
    int c : 13;
    unsigned long d : 40;
    unsigned char e : 5, f : 6;
    signed char g : 7;
};
struct Text { char full[8]; char name[8]; int8_t numbers[3]; };
struct Sample { int n; double weight; float shares[3]; Point at; };
struct Till {
    long total;
    KEPT std::string name(int n)
    {
        asm volatile("");
        return std::string(n, 'x');
    }
};
PROBED void in_registers(int a, Pair p, double d, Point at, int b, float f, int c) { asm volatile(""); }
PROBED void on_stack(int a, Big big, int b, __int128 wide, int c, long double l, int d, Pair p, int e)
{
    asm volatile("");
}
PROBED long by_address(int a, std::string text, int b) { asm volatile(""); return text.size() + b; }
PROBED std::string hidden(int n) { asm volatile(""); return std::string(n, 'y'); }
PROBED void many(double a, double b, double c, double d, double e, double f, double g, double h,
                 double ninth, float tenth, int n)
{
    asm volatile("");
}
PROBED void small(int8_t i, uint8_t u, char c, Tight *t, Text *x) { asm volatile(""); }
PROBED double ratio(int n) { return n / 8.0; }
PROBED long double precise(int n) { return n; }
PROBED Point spot(int n) { return {n / 8.0, 0.5f}; }
PROBED Pair halves(int n) { return {-n, 2}; }
PROBED Big triple(int n) { return {n, 7, 0.5}; }
PROBED void measured(Sample *s) { asm volatile(""); }
static __attribute__((noinline)) long pick(int mode, long x, const char *t)
{
    asm volatile("");
    return mode ? x * 3 + t[0] : x + t[1];
}
int main(int argc, char **argv)
{
    char go;
    long sum = 0;
    while (read(0, &go, 1) == 1) {
        for (int i = 0; i < 23; i++) {
            Sample sample = {i, i / 8.0, {0.5f, -1.5f, i + 0.25f}, {1.0 / 3, 0.1f}};
            Till till = {i};
            in_registers(i, {i, 2}, 0.5, {0.25, 1.5f}, 2 * i, 0.75f, 3 * i);
            on_stack(i, {1000 + i, 2, i + 0.5}, 2 * i, 7, 3 * i, 1.0L, 4 * i, {5000 + i, 9}, 5 * i);
            sum += by_address(i, std::string(40, 'a' + i), 2 * i);
            sum += hidden(i).size() + till.name(2 * i).size();
            many(1, 2, 3, 4, 5, 6, 7, 8, i / 4.0, i + 0.5f, i);
            Tight tight = {0xfff00u + i, 0x54300u + i, -i, 0xa500000000u + i, 21, 43, -33};
            Text text = {{'1', '2', '3', '4', '5', '6', '7', char('a' + i)}, "1234567", {-1, 2, -3}};
            small(-i, 255 - i, 'a' + i, &tight, &text);
            measured(&sample);
            sum += ratio(i) + precise(i) + spot(i).x + halves(i).a + triple(i).b;
            sum += pick(1, 100 + i, argv[0]) + pick(1, 200 + i, argv[0]);
        }
        if (write(1, "k", 1) != 1)
            return sum;
    }
    return 0;
}
"""  # noqa: E501  # C
FLAVOURS = {
    "-O1": ["g++", "-O1"],
    "-O2": ["g++", "-O2", "-gdwarf-4"],
    "-O0, type units": ["g++", "-O0", "-fdebug-types-section"],
    "clang -O2": ["clang++", "-O2"],
    "clang -O0, type units": ["clang++", "-O0", "-fdebug-types-section", "-fstandalone-debug"],
}


@pytest.fixture(scope="module", params=FLAVOURS)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("values")
    source, path = folder / "values.cc", folder / "values"
    source.write_text(SOURCE)
    command = compiler(*FLAVOURS[request.param])
    subprocess.run([*command, "-w", "-g", "-o", path, source], check=True)
    return path


def f32(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def columns(events: list[Any], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(getattr(event, name) for name in names) for event in events]


def test_what_stands_behind_structs_and_floats(program: Path) -> None:
    plain, stacked, address, returned, method = run(
        program,
        f"uprobe:{program}:in_registers a b c long=p.a int=p.b",
        f"uprobe:{program}:on_stack a big=big.a half=big.c b c d pair=p.a e",
        f"uprobe:{program}:by_address a text=text._M_dataplus._M_p:ustring b",
        f"uprobe:{program}:hidden n",
        f"uprobe:{program}:Till::name total=this->total n",
    )
    numbers = range(23)
    assert columns(plain, "a", "b", "c") == [(i, 2 * i, 3 * i) for i in numbers]
    assert columns(plain, "long", "int") == [(i, 2) for i in numbers]
    assert columns(stacked, "a", "big", "half", "b", "c", "d", "e") == [
        (i, 1000 + i, i + 0.5, 2 * i, 3 * i, 4 * i, 5 * i) for i in numbers
    ]
    assert columns(stacked, "pair") == [(5000 + i,) for i in numbers]
    assert columns(address, "a", "text", "b") == [
        (i, chr(ord("a") + i) * 40, 2 * i) for i in numbers
    ]
    assert columns(returned, "n") == [(i,) for i in numbers]
    assert columns(method, "total", "n") == [(i, 2 * i) for i in numbers]


def test_floats_in_memory(program: Path) -> None:
    (seen, stacked) = run(
        program,
        f"uprobe:{program}:measured weight=s->weight shares=s->shares last=s->shares[2] y=s->at.y "
        "x=+24(%di):f64 bare=+8($arg1):f64 all=+16($arg1):f32[2] n=s->n",
        f"uprobe:{program}:many ninth tenth n",
    )
    numbers = range(23)
    assert columns(seen, "weight", "bare", "shares", "last", "n") == [
        (i / 8, i / 8, (0.5, -1.5, i + 0.25), i + 0.25, i) for i in numbers
    ]
    assert columns(seen, "y", "all") == [(f32(0.1), (0.5, -1.5))] * 23
    assert columns(stacked, "ninth", "tenth", "n") == [(i / 4, i + 0.5, i) for i in numbers]


def test_numbers_of_a_byte_and_bits_of_packed_structs(program: Path) -> None:
    (seen, below) = run(
        program,
        f"uprobe:{program}:small i u c arr=x->numbers a=t->a b=t->b n=t->c d=t->d e=t->e f=t->f "
        "g=t->g",
        f"uprobe:{program}:small i if i < -10 && t->c < -10 && t->g == -33",
    )
    numbers = range(23)
    assert columns(seen, "i", "u", "c") == [(-i, 255 - i, chr(ord("a") + i)) for i in numbers]
    assert columns(seen, "a", "b", "n", "d") == [
        (0xFFF00 + i, 0x54300 + i, -i, 0xA500000000 + i) for i in numbers
    ]
    assert columns(seen, "e", "f", "g", "arr") == [(21, 43, -33, (-1, 2, -3))] * 23
    assert columns(below, "i") == [(-i,) for i in numbers[11:]]


def test_an_array_without_a_nul(program: Path) -> None:
    (seen, equal, globbed) = run(
        program,
        f"uprobe:{program}:small full=x->full name=x->name:string",
        f'uprobe:{program}:small if x->full == "1234567c"',
        f'uprobe:{program}:small if x->full ~ "*7d"',
    )
    assert columns(seen, "full", "name") == [
        (f"1234567{chr(ord('a') + i)}", "1234567") for i in range(23)
    ]
    assert not any(event.truncated for event in seen)
    assert (len(equal), len(globbed)) == (1, 1)


def test_what_is_returned(program: Path) -> None:
    floats, first, address = run(
        program,
        f"uretprobe:{program}:ratio n register=%ax:x64",
        f"uretprobe:{program}:halves half=$retval.a two=$retval.b if $retval.a <= 0",
        f"uretprobe:{program}:triple first=$retval.a second=$retval.b c=$retval.c n",
    )
    assert columns(floats, "n") == [(i,) for i in range(23)]
    assert columns(first, "half", "two") == [(-i, 2) for i in range(23)]
    assert columns(address, "first", "second", "c", "n") == [(i, 7, 0.5, i) for i in range(23)]
    for name, spelling in (
        ("ratio", "double"), ("precise", "long double"), ("spot", "struct Point")
    ):  # fmt: skip
        for asked in ("$retval", "$retval:u64", "n if $retval == 1"):
            with pytest.raises(bp.SpecError, match=f"{name} returns a {spelling}") as caught:
                bp.Session(bp.probe(f"uretprobe:{program}:{name} {asked}")).__enter__()
            assert caught.value.code == "FLOAT_ARGUMENT"


def test_a_clone_of_the_compiler(program: Path) -> None:
    names = subprocess.run(["nm", program], check=True, capture_output=True, text=True).stdout
    clones = [line.split()[2] for line in names.splitlines() if "pick" in line and "." in line]
    if not clones:
        pytest.skip("needs an optimisation that makes clones")
    (events,) = run(program, f"uprobe:{program}:{clones[0]} x")
    assert [event.x for event in events] == [n + i for i in range(23) for n in (100, 200)]
    with pytest.raises(bp.SpecError, match="took mode away from pick"):
        bp.Session(bp.probe(f"uprobe:{program}:{clones[0]} mode")).__enter__()
