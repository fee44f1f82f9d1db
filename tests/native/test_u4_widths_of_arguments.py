"""``$argN`` of a program counts the source's arguments, each with its own width and sign."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from tests.native.programs import compiler, needs_uprobes
from tests.native.test_debug_information import run

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("elftools", reason="needs pyelftools")
pytestmark = needs_uprobes

SOURCE = r"""
#include <stdbool.h>
#include <unistd.h>
#define P __attribute__((noinline, used))
#define USE(x) asm volatile("" ::"r"((long)(x)))
struct pair { int a; long b; };
struct big { long a, b, c; };
enum colour { RED, GREEN = -1 };
P int dbl(double x, float y, int z) { USE(x); USE(y); USE(z); return z; }
P int many(int a, int b, int c, int d, int e, int f, long g, short h, double v, signed char i,
           unsigned j, const char *k, bool l)
{
    USE(a + b + c + d + e + f); USE(g + h + i + j); USE(&l); USE(v); USE(k);
    return i;
}
P int narrow(signed char a, unsigned short b, bool c, unsigned d, enum colour e)
{
    USE(a + b + c + d); USE(e);
    return a;
}
P int after(struct pair p, struct big g, long double w, signed char z)
{
    USE(p.a); USE(p.b); USE(g.c); USE(w); USE(z);
    return z;
}
P long last(double a, double b, double c, double d, double e, double f, double g, double h,
            double on_stack, short i)
{
    USE(a + b + c + d + e + f + g + h); USE(on_stack); USE(i);
    return i;
}
P int any(const char *format, ...) { USE(format); return 0; }
P int any_after(double first, ...) { USE(first); return 0; }
P int mixed(int a, double b, short c) { USE(a); USE(b); USE(c); return c; }
int main(int argc, char **argv)
{
    char go;
    /* Callers need not extend what is narrow: the rest of the registers is anything. */
    int (*dirty)(long, long, long, long, long) = (void *)narrow;
    while (read(0, &go, 1) == 1) {
        for (int i = 0; i < 23; i++) {
            dbl(1.5, 2.5f, -i);
            many(1, 2, 3, 4, 5, 6, 7, -i, 1.0, -10 - i, 4000000000u + i, "twelve", i % 2);
            dirty(0xdead0080 + i, 0xbeef8000 + i, 0xff00 + i % 2, 0x1fffffff0L + i, 0xdeadffffffff);
            after((struct pair){i, 2}, (struct big){1, 2, i}, 1.0L, -i);
            last(1, 2, 3, 4, 5, 6, 7, 8, i + 0.25, -i);
            any("%ld", -1L - i, 2L);
            any_after(1.0, 2L);
            mixed(i, 2, -i);
        }
        if (write(1, "k", 1) != 1)
            return 1;
    }
    return 0;
}
"""
BUILDS = ("gcc -O0", "gcc -O2", "clang -O0", "clang -O2", "gcc -O2 -gdwarf-4")
NUMBERS = range(23)


@pytest.fixture(scope="module", params=BUILDS)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("widths") / "program"
    path.with_suffix(".c").write_text(SOURCE)
    command = compiler(*request.param.split())
    subprocess.run([*command, "-g", "-w", "-o", path, path.with_suffix(".c")], check=True)
    return path


def test_every_width_and_place(program: Path) -> None:
    dbl, many, kept, narrow, after, last, variadic, mixed, filtered = run(
        program,
        f"uprobe:{program}:dbl $arg3",
        f"uprobe:{program}:many $arg8 $arg10 $arg11 $arg12:string $arg13 k=$arg12 $arg12[5]",
        f"uretprobe:{program}:many $arg8 $arg10 $arg11 $arg12:string $arg13",
        f"uprobe:{program}:narrow $arg1 $arg2 $arg3 $arg4 $arg5 same=$arg1==a&&$arg2==b",
        f"uprobe:{program}:after a=$arg1.a $arg4 c=$arg2.c",
        f"uprobe:{program}:last $arg9 $arg10",
        f"uprobe:{program}:any $arg1:string $arg2 $arg3:s32",
        f"uprobe:{program}:mixed $arg1 $arg3",
        f"uprobe:{program}:narrow $arg1 if $arg1 < -120 && $arg4 > 4000000000",
    )
    assert [e.arg3 for e in dbl] == [-i for i in NUMBERS]
    wide = [(-i, -10 - i, 4000000000 + i, "twelve", bool(i % 2)) for i in NUMBERS]
    for events in (many, kept):
        assert [(e.arg8, e.arg10, e.arg11, e.arg12, e.arg13) for e in events] == wide
    assert {(isinstance(e.k, int), e.arg7) for e in many} == {(True, "e")}
    assert [(e.arg1, e.arg2, e.arg3, e.arg4, e.arg5, e.same) for e in narrow] == [
        (i - 128, 0x8000 + i, bool(i % 2), 0xFFFFFFF0 + i - (i > 15) * (1 << 32), -1, True)
        for i in NUMBERS
    ]
    assert [(e.a, e.arg4, e.c) for e in after] == [(i, -i, i) for i in NUMBERS]
    assert [(e.arg9, e.arg10) for e in last] == [(i + 0.25, -i) for i in NUMBERS]
    assert [(e.arg1, e.arg2, e.arg3) for e in variadic] == [
        ("%ld", (-1 - i) % (1 << 64), 2) for i in NUMBERS
    ]
    assert [(e.arg1, e.arg3) for e in mixed] == [(i, -i) for i in NUMBERS]
    assert [e.arg1 for e in filtered] == [i - 128 for i in range(8)]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("dbl $arg1", "FLOAT_ARGUMENT", "x is a double"),
        ("dbl $arg2", "FLOAT_ARGUMENT", "y is a float"),
        ("dbl $arg1:f64", "FLOAT_ARGUMENT", "x is a double"),
        ("dbl $arg3 if $arg1 > 0", "FLOAT_ARGUMENT", "x is a double"),
        ("dbl $arg4", "NO_BTFARG", "dbl has 3 arguments"),
        ("mixed $arg2", "FLOAT_ARGUMENT", "is a double"),
        ("many $arg9", "FLOAT_ARGUMENT", "v is a double"),
        ("after $arg1", "BAD_TYPE", "take its members: $arg1.NAME"),
        ("after $arg3", "FLOAT_ARGUMENT", "long double on the stack"),
        ("any_after $arg2", "BAD_ARG_NUM", "where argument 2 of any_after is"),
        ("main $arg0", "BAD_ARG_NUM", "counted from 1"),
    ],
)
def test_what_is_refused_says_why(program: Path, text: str, code: str, said: str) -> None:
    with pytest.raises(bp.SpecError) as caught:
        bp.Session(bp.probe(f"uprobe:{program}:{text}")).c_source()
    assert caught.value.code == code
    assert said in str(caught.value)
