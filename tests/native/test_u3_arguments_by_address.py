"""What Fortran and C++ hand over by its address has the value that stands there."""

from __future__ import annotations

import shutil
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

FORTRAN = """
module m
type point
  integer(2) :: x
  real(8) :: y
end type
contains
subroutine plain(a, b, x, f, c, z, maybe)
  integer(4) :: a
  integer(8) :: b
  real(8) :: x
  real(4) :: f
  logical :: c
  complex(8) :: z
  integer(4), optional :: maybe
  integer(4) :: before
  before = a
  a = before + 1000
  if (c .and. b < 0 .and. x > 1d9 .and. f > 1e9 .and. real(z) > 1d9) print *, b, x, c, z, f
  if (present(maybe)) print *, maybe
end subroutine
subroutine parts(n, p, row, grid, text, fixed, open, k)
  integer(2), value :: n
  type(point) :: p
  integer(4) :: row(0:2), grid(2,3), k
  integer(4) :: open(k)
  character(kind=1), dimension(*) :: text
  character(kind=1) :: fixed
  if (n < 0 .and. p%x > 30000) print *, n, p%y, row(1), grid(2,3), text(1), fixed, open(1)
end subroutine
end module
subroutine texts(known, any, shape)
  character(len=7) :: known
  character(len=*) :: any
  integer(4) :: shape(:)
  if (known == "xxx" .and. any == "yyy" .and. shape(1) > 90000) print *, known, any
end subroutine
subroutine round_() bind(c, name="one_round")
  use m
  interface
    subroutine texts(known, any, shape)
      character(len=7) :: known
      character(len=*) :: any
      integer(4) :: shape(:)
    end subroutine
  end interface
  integer(4) :: i, a, row(0:2), grid(2,3)
  do i = 0, 22
    a = -i
    call plain(a, 5000000000_8 + i, i + 0.25d0, i + 0.5, mod(i, 2) == 1, (1d0, 2d0))
    row = [i, i + 1, i + 2]
    grid = reshape([1, 2, 3, 4, 5, i], [2, 3])
    call parts(int(-i, 2), point(int(i, 2), i + 0.5d0), row, grid, ["a", "b"], "c", row, 3)
    call texts("seven77", "of any length", row)
  end do
end subroutine
"""
MAIN = r"""
#include <unistd.h>
void one_round(void);
int main(void)
{
    char go;
    while (read(0, &go, 1) == 1) {
        one_round();
        if (write(1, "k", 1) != 1)
            return 1;
    }
    return 0;
}
"""
CPP = r"""
#include <unistd.h>
struct kept {
    long n;
    int m;
    kept(long n) : n(n), m(-n) {}
    kept(const kept &o) : n(o.n), m(o.m) {}
};
extern "C" {
__attribute__((noinline, used)) long taken(int before, kept k, short after)
{
    asm volatile("" ::"r"(before), "r"(&k), "r"(after) : "memory");
    return k.n;
}
}
int main()
{
    char go;
    while (read(0, &go, 1) == 1) {
        for (int i = 0; i < 23; i++)
            taken(i, kept(100 + i), -i);
        if (write(1, "k", 1) != 1)
            return 1;
    }
}
"""
NUMBERS = range(23)


@pytest.fixture(scope="module", params=["-O0", "-O2", "-O1 -gdwarf-4"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gfortran") is None:
        pytest.skip("needs gfortran")
    folder: Path = tmp_path_factory.mktemp("fortran")
    path = folder / "program"
    (folder / "f.f90").write_text(FORTRAN)
    (folder / "main.c").write_text(MAIN)
    command = ["gfortran", *request.param.split(), "-g", "-fno-inline", "-fno-ipa-cp"]
    command += ["-fno-ipa-sra", "-o", str(path), "f.f90", "main.c"]
    subprocess.run(command, check=True, cwd=folder)
    return path


def test_fortran(program: Path) -> None:
    plain, kept, parts, texts = run(
        program,
        f"uprobe:{program}:__m_MOD_plain a b x f c first=$arg1 second=$arg2 x2=$arg3 "
        "maybe z=z:bytes[16]",
        f"uretprobe:{program}:__m_MOD_plain a was=entry(a) b",
        f"uprobe:{program}:__m_MOD_parts n px=p.x py=p.y r=row row2=row[2] g=grid[2][1] "
        "text=text[1] fixed k",
        f"uprobe:{program}:texts_ known any=any:bytes[_any] length=_any",
    )
    assert [(e.a, e.b, e.x, e.f, e.c) for e in plain] == [
        (-i, 5000000000 + i, i + 0.25, i + 0.5, bool(i % 2)) for i in NUMBERS
    ]
    assert [(e.first, e.second, e.x2) for e in plain] == [
        (-i, 5000000000 + i, i + 0.25) for i in NUMBERS
    ]
    assert {e.maybe for e in plain} == {None}
    assert [(e.a, e.was, e.b) for e in kept] == [(1000 - i, -i, 5000000000 + i) for i in NUMBERS]
    assert [(e.n, e.px, e.py, e.r, e.row2, e.g) for e in parts] == [
        (-i, i, i + 0.5, (i, i + 1, i + 2), i + 2, i) for i in NUMBERS
    ]
    assert {(e.text, e.fixed, e.k) for e in parts} == {("b", "c", 3)}
    assert {(e.known, e.any, e.length) for e in texts} == {("seven77", b"of any length", 13)}


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("__m_MOD_plain z", "BAD_TYPE", "z:bytes[16]"),
        ("__m_MOD_plain z.re", "NOSUP_DAT_ARG", "has no members"),
        ("__m_MOD_parts row[3]", "BAD_ARRAY_NUM", "row has 3 elements"),
        ("__m_MOD_parts grid[3]", "BAD_ARRAY_NUM", "grid has 3 elements"),
        ("__m_MOD_parts grid[2][2]", "BAD_ARRAY_NUM", "grid[2] has 2 elements"),
        ("__m_MOD_parts open", "BAD_TYPE", "say how much to take"),
        ("texts_ any", "BAD_TYPE", "any:bytes[LENGTH]"),
        ("texts_ shape", "BAD_TYPE", "only the running program knows"),
        ("texts_ shape[0]", "BAD_TYPE", "not an array"),
    ],
)
def test_what_is_refused_says_why(program: Path, text: str, code: str, said: str) -> None:
    with pytest.raises(bp.SpecError) as caught:
        bp.Session(bp.probe(f"uprobe:{program}:{text}")).c_source()
    assert caught.value.code == code
    assert said in str(caught.value)


@pytest.mark.parametrize("build", ["g++ -O0", "g++ -O2", "clang++ -O0", "clang++ -O2"])
def test_classes_that_code_copies(tmp_path: Path, build: str) -> None:
    program = tmp_path / "program"
    program.with_suffix(".cc").write_text(CPP)
    command = [*compiler(*build.split()), "-g", "-o", program, program.with_suffix(".cc")]
    subprocess.run(command, check=True)
    by_name, by_number = run(
        program,
        f"uprobe:{program}:taken before n=k.n m=k.m after",
        f"uprobe:{program}:taken $arg1 n=$arg2.n m=$arg2.m a=$arg3",
    )
    for events, first, last in ((by_name, "before", "after"), (by_number, "arg1", "a")):
        assert [(getattr(e, first), e.n, e.m, getattr(e, last)) for e in events] == [
            (i, 100 + i, -100 - i, -i) for i in NUMBERS
        ]
