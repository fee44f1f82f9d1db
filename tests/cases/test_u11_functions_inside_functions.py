"""A function that is written inside another one has its debug information found."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from bpfprobe.target.live import LiveTarget

NESTED_C = """
__attribute__((noinline)) int outer(int n) {
  int inner(int a, char *b) { return a + n + b[0]; }
  int (*volatile f)(int, char *) = inner;
  { int blocked(long c) { return c + n; }
    int (*volatile g)(long) = blocked;
    return f(n, "x") + g(3); }
}
int main(int argc, char **argv) { return outer(argc); }
"""
LOCAL_CLASSES = """
namespace ns { __attribute__((noinline)) int outer(int n) {
  struct Local {
    int v;
    __attribute__((noinline)) int method(int a) const { return a + v; }
    static __attribute__((noinline)) long shared(long q) { return q; }
    struct Deeper { __attribute__((noinline)) int far(short z) { return z; } };
  };
  auto lambda = [n](int x, const char *s) __attribute__((noinline)) { return x + n + s[0]; };
  auto generic = [](auto y) __attribute__((noinline)) { return y + 1; };
  Local local{n};
  Local::Deeper deeper;
  return local.method(2) + lambda(3, "a") + generic(4L) + Local::shared(4) + deeper.far(3);
} }
int main(int argc, char **argv) { return ns::outer(argc); }
"""
CONTAINED = """
module m
contains
 subroutine outer(n)
  integer, value :: n
  call inner(n, 2.5d0)
 contains
  subroutine inner(a, b)
   integer, value :: a
   real(8), value :: b
   print *, a, b, n
  end subroutine
 end subroutine
end module
program p
 use m
 call outer(3)
 call mine(4)
contains
 subroutine mine(k)
  integer, value :: k
  print *, k
 end subroutine
end program
"""
RUST = """
#[inline(never)] fn outer(n: i32) -> i32 {
  #[inline(never)] fn inner(a: i32, b: i64) -> i32 { a + b as i32 }
  struct L(i32);
  impl L { #[inline(never)] fn method(&self, q: u8) -> i32 { self.0 + q as i32 } }
  let closure = |x: i32| x + n;
  let f: &dyn Fn(i32) -> i32 = &closure;
  inner(n, 3) + f(2) + L(n).method(3)
}
fn main() { std::process::exit(outer(std::env::args().count() as i32)) }
"""
CLASSES = {"*method*": ("a",), "*shared*": ("q",), "*far*": ("z",)}
PROGRAMS = [
    ("gcc", "c", NESTED_C, {"inner*": ("a", "b"), "blocked*": ("c",)}),
    ("g++", "cc", LOCAL_CLASSES, {**CLASSES, "*UliPKcE*": ("x", "s"), "*UlT_E*": ("y",)}),
    ("clang++", "cc", LOCAL_CLASSES, {**CLASSES, "*3$_1*": ("x", "s"), "*3$_0*": ("y",)}),
    ("gfortran", "f90", CONTAINED, {"inner*": ("a", "b"), "mine*": ("k",)}),
    ("rustc", "rs", RUST,
     {"*outer5inner*": ("a", "b"), "*6method*": ("q",), "*outer*closure*": ("x",)}),
]  # fmt: skip


@pytest.mark.parametrize(("compiler", "suffix", "source", "expected"), PROGRAMS)
def test_arguments_of_inner_functions_are_known(tmp_path, compiler, suffix, source, expected):
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    (tmp_path / f"inner.{suffix}").write_text(source)
    command = [compiler, "-g", f"inner.{suffix}", "-o", "inner"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    target = LiveTarget()
    binary = target.binary(str(tmp_path / "inner"), None)
    for glob, names in expected.items():
        functions = target.matching_binary_symbols(binary, glob)
        assert functions, glob
        (symbol,) = target.binary_symbols(binary, functions[0])
        prototype = target.binary_prototype(binary, symbol.address)
        assert prototype is not None, functions[0]
        own = [p.name for p in prototype.parameters if p.name not in ("this", "__closure", "self")]
        assert tuple(own) == names
