"""C++ and Rust names: what a person may write for a symbol, and what a hostile symbol may cost."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from bpfprobe.cli.listing import list_points
from bpfprobe.errors import SpecError, TargetError
from bpfprobe.model.span import SourceText
from bpfprobe.model.spec import UserPoint
from bpfprobe.resolve.sites import matching_sites, user_site
from bpfprobe.target.demangler import Demangler, the_demangler
from bpfprobe.target.live import LiveTarget
from bpfprobe.target.source_names import SourceNames, spellings

if TYPE_CHECKING:
    from pathlib import Path

needs_demangler = pytest.mark.skipif(
    not the_demangler().is_there, reason="needs libstdc++.so.6, which demangles"
)
CPP = """
#include <string>
#define KEEP __attribute__((noinline, used))
KEEP long hello(int a) { asm volatile(""); return a + 1; }
namespace shop {
struct Till {
    long total;
    KEEP Till(long start) : total(start) { asm volatile(""); }
    KEEP long sell(int n, long price) { asm volatile(""); return total += n * price; }
    KEEP long look() const { asm volatile(""); return total; }
    KEEP Till operator+(const Till &o) const { asm volatile(""); return Till(total + o.total); }
};
KEEP long twice(int a) { asm volatile(""); return 2 * a; }
KEEP double twice(double a) { asm volatile(""); return 2 * a; }
template <class T> KEEP T three(T a) { asm volatile(""); return 3 * a; }
KEEP std::string name(const std::string &s) { return s + "!"; }
}
namespace { KEEP long own(const char *s) { asm volatile(""); return *s; } }
int main(int c, char **v)
{
    shop::Till t(c);
    return t.sell(c, 2) + t.look() + (t + t).total + shop::twice(c) + shop::twice(1.5 * c) +
        hello(c) + shop::three(c) + shop::three(1.0 * c) + shop::name(v[0]).size() + own(v[0]);
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    folder = tmp_path_factory.mktemp("cpp")
    (folder / "p.cc").write_text(CPP)
    subprocess.run(["g++", "-O1", "-g", "-o", folder / "p", folder / "p.cc"], check=True)
    return folder / "p"


def symbol_of(program: Path, name: str) -> str:
    target = LiveTarget()
    (found,) = target.binary_symbols(target.binary(str(program)), name)
    return found.name


def site(program: Path, symbol: str) -> int:
    span = SourceText(f"{program}:{symbol}").whole()
    return user_site(UserPoint(str(program), symbol), span, LiveTarget())[0].offset


NAMES = {
    "hello": "_Z5helloi",
    "hello(int)": "_Z5helloi",
    "::hello": "_Z5helloi",
    "shop::Till::sell": "_ZN4shop4Till4sellEil",
    "shop::Till::sell(int, long)": "_ZN4shop4Till4sellEil",
    "shop::Till::look": "_ZNK4shop4Till4lookEv",
    "shop::Till::look()": "_ZNK4shop4Till4lookEv",
    "shop::Till::look() const": "_ZNK4shop4Till4lookEv",
    "shop::Till::operator+": "_ZNK4shop4TillplERKS0_",
    "shop::twice(int)": "_ZN4shop5twiceEi",
    "shop::twice(double)": "_ZN4shop5twiceEd",
    "shop::three<int>": "_ZN4shop5threeIiEET_S1_",
    "int shop::three<int>(int)": "_ZN4shop5threeIiEET_S1_",
    "(anonymous namespace)::own": "_ZN12_GLOBAL__N_13ownEPKc",
    "(anonymous namespace)::own(char const*)": "_ZN12_GLOBAL__N_13ownEPKc",
}


@needs_demangler
@pytest.mark.parametrize("name", NAMES)
def test_a_function_by_its_source(program: Path, name: str) -> None:
    assert symbol_of(program, name) == NAMES[name]
    assert site(program, name) == site(program, NAMES[name])


@needs_demangler
def test_a_constructor_is_one_place(program: Path) -> None:
    assert site(program, "shop::Till::Till") == site(program, "_ZN4shop4TillC1El")


@needs_demangler
@pytest.mark.parametrize("name", ["shop::twice", "shop::three"])
def test_overloads_are_listed(program: Path, name: str) -> None:
    with pytest.raises(SpecError) as caught:
        site(program, name)
    assert caught.value.code == "NON_UNIQ_SYMBOL"
    hint = str(caught.value.hint)
    assert "(int) (_ZN4shop5" in hint
    assert "(double) (_ZN4shop5" in hint


@needs_demangler
def test_a_near_miss_is_in_the_words_of_the_source(program: Path) -> None:
    with pytest.raises(SpecError) as caught:
        site(program, "shop::Till::sel")
    assert "did you mean shop::Till::sell" in str(caught.value.hint)


@needs_demangler
def test_a_glob_of_source_names(program: Path) -> None:
    span = SourceText("").whole()
    found, _ = matching_sites(UserPoint(str(program), "shop::t*"), span, LiveTarget(), 100)
    assert {*found.names} == {"_ZN4shop5twiceEi", "_ZN4shop5twiceEd",
                              "_ZN4shop5threeIiEET_S1_", "_ZN4shop5threeIdEET_S1_"}  # fmt: skip


@needs_demangler
def test_listed_beside_the_symbol(program: Path) -> None:
    lines = list(list_points(f"uprobe:{program}:shop::twice*", LiveTarget()))
    assert lines == [
        f"uprobe:{program}:_ZN4shop5twiceEd  shop::twice(double)",
        f"uprobe:{program}:_ZN4shop5twiceEi  shop::twice(int)",
    ]


@needs_demangler
def test_rust(tmp_path: Path) -> None:
    if shutil.which("rustc") is None:
        pytest.skip("needs rustc")
    (tmp_path / "r.rs").write_text(
        "mod shop { pub struct Till(pub u64); impl Till { #[inline(never)] pub fn sell(&self, a: "
        "u64) -> u64 { a * self.0 } } }\n"
        "fn main() { print!(\"{}\", shop::Till(2).sell(3)); }"
    )  # fmt: skip
    subprocess.run(["rustc", "-o", tmp_path / "r", tmp_path / "r.rs"], check=True)
    symbol = symbol_of(tmp_path / "r", "r::shop::Till::sell")
    assert "4sell" in symbol


RUST = {
    "_ZN1r4shop3buy17ha8714775bd2c8a8dE": "r::shop::buy",
    "_ZN46_$LT$r..Till$u20$as$u20$r..Shop$LT$u64$GT$$GT$4sell17h39019e50cfdcb729E":
        "<r::Till as r::Shop<u64>>::sell",
    "_ZN4core3ptr28drop_in_place$LT$$RF$u64$GT$17h39019e50cfdcb729E":
        "core::ptr::drop_in_place<&u64>",
}  # fmt: skip


@needs_demangler
@pytest.mark.parametrize("symbol", RUST)
def test_rust_without_hash_and_escapes(symbol: str) -> None:
    assert the_demangler().demangle(symbol) == RUST[symbol]


SPELLINGS = {
    "f(int)": ("f(int)", "f"),
    "void ns::f<int>(int)": (
        "ns::f<int>(int)", "ns::f<int>", "ns::f", "void ns::f<int>(int)",
    ),
    "A::get() const": ("A::get()", "A::get"),
    "A::move(A&&) &&": ("A::move(A&&)", "A::move"),
    "A::operator()(int)": ("A::operator()(int)", "A::operator()"),
    "A::operator bool() const": ("A::operator bool()", "A::operator bool"),
    "f[abi:cxx11](int)": ("f(int)", "f"),
    "f(void (*)(int), char)": ("f(void (*)(int), char)", "f"),
    "std::map<int, a::b>::find(int const&)": (
        "std::map<int, a::b>::find(int const&)", "std::map<int, a::b>::find",
    ),
    "f(int) [clone .cold]": ("f(int) [clone .cold]",),
}  # fmt: skip


@pytest.mark.parametrize("name", SPELLINGS)
def test_spellings(name: str) -> None:
    assert spellings(name) == SPELLINGS[name]


@needs_demangler
def test_a_name_that_grows_without_end_stays_mangled() -> None:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    bomb = "_Z1f1aIiiE" + "".join(f"S_IS{digit}_S{digit}_E" for digit in digits)
    assert the_demangler().demangle(bomb) == ""
    small = "_Z1f1aIiiE" + "".join(f"S_IS{digit}_S{digit}_E" for digit in digits[:13])
    mangled = [small + "i" * n for n in range(5000)]
    names = SourceNames(mangled)
    assert names.of(small)
    assert sum(len(names.of(name)) for name in mangled) <= 64 << 20


def test_without_the_library_only_mangled_names(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Demangler()
    absent.is_there = False
    monkeypatch.setattr("bpfprobe.target.demangler.the_demangler", lambda: absent)
    names = SourceNames(["_Z5helloi", "main"])
    assert names.find("hello") == ()
    assert names.find("main") == ()
    with pytest.raises(TargetError) as caught:
        names.find("hello(int)")
    assert caught.value.code == "NO_DEMANGLER"
