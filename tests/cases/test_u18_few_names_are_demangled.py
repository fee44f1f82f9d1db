"""Of many mangled names only those are demangled that can be the one that is meant."""

from __future__ import annotations

import ctypes.util
from pathlib import Path

import pytest

from bpfprobe.target.demangler import the_demangler
from bpfprobe.target.elf import ElfFile
from bpfprobe.target.file_bytes import opened
from bpfprobe.target.live import LiveTarget
from bpfprobe.target.mangled_words import needed_words
from bpfprobe.target.source_names import SourceNames

OTHERS = [f"_ZN4main7unitN{n:04}3Dog5speakEl" for n in range(4999)]
WANTED = ["_ZN4demo3Dog5speakEi", "_RNvMCs1234_4demoNtB2_3Dog5speak", "_ZN4demo3Cat5speakEv"]


@pytest.fixture
def demangled(monkeypatch):
    """The names that were demangled."""
    asked = []
    demangle = type(the_demangler()).demangle

    def counted(self, name):
        asked.append(name)
        return demangle(self, name)

    monkeypatch.setattr(type(the_demangler()), "demangle", counted)
    return asked


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("demo::*", 3),
        ("demo::Dog::*", 2),
        ("*::Dog::speak(int)", 1),
        ("?emo::[CD]*::speak", 3),
        ("demo::C*k()", 1),
        ("demi::*", 0),
    ],
)
def test_a_glob_demangles_what_has_its_words(demangled, pattern, fits):
    assert len(SourceNames(OTHERS + WANTED).fitting(pattern)) == fits
    assert len(demangled) < 7 or pattern.startswith(("*::Dog", "?emo"))


def test_a_near_miss_demangles_few(demangled):
    assert "demo::Dog::speak" in SourceNames(OTHERS + WANTED).similar("demo::Dog::speek")
    assert len(demangled) < 499


def test_a_listing_demangles_what_it_prints(demangled):
    path = ctypes.util.find_library("stdc++")
    assert path is not None
    target = LiveTarget()
    binary = target.binary(path, None)
    names = target.matching_binary_symbols(binary, "*codecvt*")
    assert len(names) > 31
    assert all(target.source_name(binary, name) for name in names if name.startswith("_Z"))
    assert len(demangled) <= len(names)


def test_words_of_a_source_are_in_its_mangled_name():
    libraries = Path("/usr/lib")
    patterns = ("*-linux-gnu/libstdc++.so.6", "*-linux-gnu/librustc_driver-*.so")
    files = [file for pattern in patterns for file in libraries.glob(pattern)]
    missing, seen = [], 0
    for file in files:
        with opened(file) as data:
            names = sorted({entry.name for entry in ElfFile(data, str(file)).functions.entries})
        for name in names[:: 1 + len(names) // 1999]:
            source = the_demangler().demangle(name) if name.startswith(("_Z", "_R")) else ""
            seen += bool(source)
            missing += [(word, name) for word in needed_words(source) if word not in name]
    assert seen > 997
    assert not missing
