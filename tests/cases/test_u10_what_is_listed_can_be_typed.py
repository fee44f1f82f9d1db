"""Every name of a source that is listed, or proposed, can be typed where a name stands."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bpfprobe.cli.listing import list_points
from bpfprobe.model.span import SourceText
from bpfprobe.parse.any_dialect import parse_description
from bpfprobe.target.live import LiveTarget

CPP = """
#include <string>
#define N __attribute__((noinline))
template <class T, int M> N T tmpl(T a) { return a + M; }
template <class T> N T one(T a) { return a; }
struct Vec {
  int v;
  N int operator[](int i) const { return v + i; }
  N operator int() const { return v; }
  N operator const char *() { return "x"; }
  N bool operator<(const Vec &o) const { return v < o.v; }
  N bool operator>(const Vec &o) const { return v > o.v; }
  N Vec *operator->() { return this; }
  N Vec operator<<(int o) const { return Vec{v << o}; }
  N Vec operator,(int o) const { return Vec{v + o}; }
  N int operator()(int a, char b) { return a + b; }
  N Vec operator+(const Vec &o) const { return Vec{v + o.v}; }
  N Vec operator%(int o) const { return Vec{v % o}; }
  N bool operator==(const Vec &o) const { return v == o.v; }
  N bool operator&&(int o) const { return v & o; }
  N static void *operator new(unsigned long, void *p) { return p; }
  N ~Vec() { asm volatile(""); }
};
namespace { N int hidden(int a) { return a; } }
namespace ns {
template <class T> struct Box { T t; N T get(int, const std::string &) && { return t; } };
template <class T> N bool operator<(const Box<T> &a, int b) { return a.t < b; }
}
N int taking(int (*f)(int, char), const char *const *p) { return f(1, 'a') + !!p; }
N int given(int a, char b) { return a + b; }
[[gnu::abi_tag("tagged")]] N int tag(int a) { return a; }
int main(int c, char **v) {
  Vec a{c}, b{2};
  char room[sizeof(Vec)];
  auto l = [&](int q) N { return q + c; };
  auto generic = [](auto x, auto y) N { return x + y; };
  return tmpl<long, 3>(c) + tmpl<int, 4>(c) + one<unsigned char>(3) + one(&c)[0] + a[3] + int(a)
    + ((const char *)a)[0] + (a < b) + (a > b) + a->v + (a << 3).v + (a, 4).v + a(1, 'x')
    + (a + b).v + (a % 3).v + (a == b) + (a && 3) + hidden(c) + ns::Box<int>{3}.get(1, "x")
    + taking(given, 0) + l(3) + generic(1, 2L) + (new (room) Vec{3})->v + tag(c)
    + (ns::Box<int>{3} < 4);
}
"""
RUST = """
mod demo {
  pub struct Dog(pub i32);
  pub trait Speak { fn speak(&self, n: i32) -> i32; fn both(&self) -> i32 { self.speak(2) } }
  impl Speak for Dog { fn speak(&self, n: i32) -> i32 { self.0 + n } }
  impl<T> Speak for Vec<T> { fn speak(&self, n: i32) -> i32 { self.len() as i32 + n } }
  impl<'a> Speak for &'a str { fn speak(&self, n: i32) -> i32 { self.len() as i32 + n } }
  impl Speak for Box<dyn std::fmt::Debug + Send> { fn speak(&self, n: i32) -> i32 { n } }
  impl Dog { pub fn own(&self) -> i32 { self.0 } }
  pub fn generic<T: std::fmt::Debug, const N: usize>(t: T) -> usize { format!("{:?}", t).len() + N }
  pub fn takes(f: &dyn Fn(i32) -> i32) -> i32 { f(3) }
  pub fn all() -> i32 {
    let d = Dog(std::env::args().count() as i32);
    let c = |x: i32| x + d.0;
    let boxed: Box<dyn std::fmt::Debug + Send> = Box::new(3);
    d.speak(1) + vec![1u8].speak(2) + "abc".speak(1) + d.own() + d.both() + boxed.speak(1)
      + generic::<&str, 5>("x") as i32 + generic::<(i32, [u8; 3]), 6>((1, [1, 2, 3])) as i32
      + takes(&c)
  }
}
fn main() { std::process::exit(demo::all()) }
"""
PROGRAMS = [
    (["g++", "-x", "c++"], CPP, "_Z*", 23),
    (["clang++", "-x", "c++"], CPP, "_Z*", 23),
    (["rustc"], RUST, "*4demo*", 7),
    (["rustc", "-C", "symbol-mangling-version=v0"], RUST, "*4demo*", 7),
]


@pytest.fixture(params=range(len(PROGRAMS)), ids=["g++", "clang++", "rust", "rust-v0"])
def program(request, tmp_path):
    compiler, source, glob, least = PROGRAMS[request.param]
    (tmp_path / "names").write_text(source)
    command = [*compiler, "-g", "names", "-o", "program"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    return str(tmp_path / "program"), glob, least


def test_what_is_listed_leads_back(program):
    path, glob, least = program
    assert check_names(path, glob) >= least


def test_names_of_a_library_lead_back():
    (path,) = Path("/usr/lib").glob("*-linux-gnu/libstdc++.so.6")
    assert check_names(str(path), "_Z*", 97) > 31


def check_names(path, glob, step=1):
    """Type the listed names in each form of a description; return how many there are."""
    target = LiveTarget()
    binary = target.binary(path, None)
    lines = [line for line in list_points(f"uprobe:{path}:{glob}", target) if "  " in line]
    for line in lines[::step]:
        place, _, source = line.partition("  ")
        (symbol,) = target.binary_symbols(binary, place.rpartition(":")[2])
        found = target.binary_symbols(binary, source)
        assert symbol.address in [one.address for one in found]
        for before, after in [
            ("uprobe:", " x=$arg1 if pid == 3"),
            ("p:name ", ""),
            ("name=uretprobe:", ' if comm ~ "a*"'),
        ]:
            spec = parse_description(SourceText(f"{before}{path}:{source}{after}"))
            assert spec.point.symbol == source
            assert len(spec.captures) == ("$arg1" in after)
            assert (spec.filter is None) == (" if " not in after)
    return len(lines[::step])


def test_what_is_proposed_leads_somewhere(program):
    path, *_ = program
    target = LiveTarget()
    binary = target.binary(path, None)
    proposed = [
        name
        for wrong in ("tmpl<long, 4>(long)", "Vec::operator[](long)", "ns::Box<long>::get",
                      "<demo::Cat as demo::Speak>::speak", "demo::generic::<&str, 6>")
        for name in target.similar_binary_symbols(binary, wrong)
    ]  # fmt: skip
    assert proposed
    for name in proposed:
        assert parse_description(SourceText(f"uprobe:{path}:{name}")).point.symbol == name
        assert target.binary_symbols(binary, name)


@pytest.mark.parametrize(
    ("text", "symbol", "captures"),
    [
        ("uprobe:./p:main const=%di", "main", 1),
        ("uprobe:./p:main a=(%di < 3) b=(%si > 3)", "main", 2),
        ("uprobe:./p:f(int) const x=%di", "f(int) const", 1),
        ("uprobe:./p:f(int)+4 x=%di", "f(int)", 1),
        ("uprobe:./p:my_operator int=%di", "my_operator", 1),
        ('uprobe:"./my prog":a::operator int() x=%di', "a::operator int()", 1),
        ("p:n ./p:f<int, 3> %di", "f<int, 3>", 1),
        ("uprobe:./p:a<b x=%di", "a<b", 1),
    ],
)
def test_where_a_name_ends(text, symbol, captures):
    spec = parse_description(SourceText(text))
    assert (spec.point.symbol, len(spec.captures)) == (symbol, captures)
