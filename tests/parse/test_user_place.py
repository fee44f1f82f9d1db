"""Where a path ends and the name of a function begins, C++ names and all."""

from __future__ import annotations

import pytest

from bpfprobe.errors import SpecError
from bpfprobe.model.span import SourceText
from bpfprobe.model.spec import UserPoint
from bpfprobe.parse.place import parse_kind_place, path_of
from bpfprobe.probes import probe

PLACES = {
    "/bin/bash:readline": ("/bin/bash", "readline", 0),
    "/bin/bash:readline+0x10": ("/bin/bash", "readline", 16),
    "c:malloc": ("c", "malloc", 0),
    "./p:ns::f": ("./p", "ns::f", 0),
    "./p:ns::Class::method+0x4": ("./p", "ns::Class::method", 4),
    "./p:::f": ("./p", "::f", 0),
    "./p:f(int)": ("./p", "f(int)", 0),
    "./p:f()": ("./p", "f()", 0),
    "./p:ns::f(ns::X const&, char*)": ("./p", "ns::f(ns::X const&, char*)", 0),
    "./p:ns::f(ns::X)+0x10": ("./p", "ns::f(ns::X)", 16),
    "./p:(anonymous namespace)::f": ("./p", "(anonymous namespace)::f", 0),
    "./p:ns::f[abi:cxx11](int)": ("./p", "ns::f[abi:cxx11](int)", 0),
    "./p:V::operator+": ("./p", "V::operator+", 0),
    "./p:V::operator+(V)+0x8": ("./p", "V::operator+(V)", 8),
    "./p:V::operator%=(int)": ("./p", "V::operator%=(int)", 0),
    "./p:V::operator()(int)": ("./p", "V::operator()(int)", 0),
    "./p:V::operator[](int)": ("./p", "V::operator[](int)", 0),
    "./p:V::~V": ("./p", "V::~V", 0),
    "./p:f<std::pair<int, a::b> >": ("./p", "f<std::pair<int, a::b> >", 0),
    "/tmp/a:b/p:f": ("/tmp/a:b/p", "f", 0),
    "/tmp/a:b/p:ns::f": ("/tmp/a:b/p", "ns::f", 0),
    "/tmp/a::b/p:ns::f": ("/tmp/a::b/p", "ns::f", 0),
    "/tmp/(x)/p:f": ("/tmp/(x)/p", "f", 0),
    "c:memcpy@@GLIBC_2.14": ("c", "memcpy@@GLIBC_2.14", 0),
    "./p:_ZN1r4shop3buy17ha8714775bd2c8a8dE": ("./p", "_ZN1r4shop3buy17ha8714775bd2c8a8dE", 0),
    "./p:<r::T as r::Shop>::sell": ("./p", "<r::T as r::Shop>::sell", 0),
}


@pytest.mark.parametrize("text", PLACES)
def test_the_path_ends_at_the_colon_that_stands_alone(text: str) -> None:
    path, symbol, plus = PLACES[text]
    point = parse_kind_place("uprobe", SourceText(text).whole())
    assert point == UserPoint(path, symbol=symbol, plus=plus)
    assert path_of(text) == path


def test_in_a_whole_description() -> None:
    point = probe("uprobe:./p:ns::f(char const*, int) n=$arg1:s32 if n > 3").spec.point
    assert point == UserPoint("./p", symbol="ns::f(char const*, int)")
    assert probe("uretprobe:./p:ns::f n=$retval").spec.name == "ns__f"
    counted = probe("p ./p:0x1149(0x4010)").spec.point
    assert counted == UserPoint("./p", offset=0x1149, ref_ctr_offset=0x4010)


@pytest.mark.parametrize(
    ("symbol", "is_glob"),
    [
        ("mem*", True),
        ("ns::*", True),
        ("f(char const*)", False),
        ("V::operator*", False),
        ("V::operator*=(int)", False),
        ("V::operator->*", False),
        ("V::operat*", True),
        ("f", False),
    ],
)
def test_which_stars_are_globs(symbol: str, is_glob: bool) -> None:
    assert UserPoint("./p", symbol=symbol).is_glob is is_glob


@pytest.mark.parametrize("text", ["./p:f(int", "./p:f)", "./p", "::f", "f", "./p:"])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_kind_place("uprobe", SourceText(text).whole())
    assert caught.value.code == "BAD_PROBE_ADDR"
