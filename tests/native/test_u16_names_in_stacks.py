"""Stacks of C++ and Rust have the names of the source."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from bpfprobe.target.demangler import the_demangler
from tests.native.programs import compiler, needs_uprobes

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    *needs_uprobes,
    pytest.mark.skipif(not the_demangler().is_there, reason="needs libstdc++.so.6"),
]

CPP = """
#include <unistd.h>
#define KEEP __attribute__((noinline, used))
namespace shop {
template <typename T> struct Till {
    KEEP int sell(T n, int price) { asm volatile("" ::: "memory"); return n * price; }
    KEEP int operator[](int n) { int r = sell(n, 2); asm volatile("" ::"r"(r)); return r + 1; }
};
}
extern "C" KEEP int plain(int n) { shop::Till<long> till; int r = till[n]; return r + 1; }
int main() { volatile int n = plain(3); return n == 0; }
"""
RUST = """
mod shop {
    pub struct Till(pub u64);
    pub trait Sell { fn sell(&self, n: u64) -> u64; }
    impl Sell for Till {
        #[inline(never)]
        fn sell(&self, n: u64) -> u64 { unsafe { std::ptr::read_volatile(&n) * self.0 } }
    }
    #[inline(never)]
    pub fn open(n: u64) -> u64 { let till = Till(n); till.sell(n) + 1 }
}
fn main() { assert!(shop::open(3) == 10); }
"""


def innermost(program: Path, place: str) -> list[tuple[str, str]]:
    """What the source and what the file call the functions of the first stack."""
    with bp.Session(bp.uprobe(str(program), place, ustack="ustack")) as session:
        subprocess.run([program], check=True)
        (event,) = session.events(duration=0)
        frames = session.frames(event, "ustack") or ()
    assert all("_ZN" not in str(frame) for frame in frames)
    return [(frame.place.name, frame.place.symbol) for frame in frames if frame.place is not None]


def test_cpp(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.with_suffix(".cc").write_text(CPP)
    command = compiler("g++", "-O1", "-fno-omit-frame-pointer")
    subprocess.run([*command, "-o", program, program.with_suffix(".cc")], check=True)
    assert innermost(program, "_ZN4shop4TillIlE4sellEli")[:4] == [
        ("shop::Till<long>::sell(long, int)", "_ZN4shop4TillIlE4sellEli"),
        ("shop::Till<long>::operator[](int)", "_ZN4shop4TillIlEixEi"),
        ("plain", ""),
        ("main", ""),
    ]


@pytest.mark.skipif(shutil.which("rustc") is None, reason="needs rustc")
@pytest.mark.parametrize("mangling", ["legacy", "v0"])
def test_rust(tmp_path: Path, mangling: str) -> None:
    program = tmp_path / "program"
    program.with_suffix(".rs").write_text(RUST)
    options = ["-C", f"symbol-mangling-version={mangling}", "-C", "opt-level=1"]
    options += ["-C", "force-frame-pointers=yes"]
    if mangling == "legacy":
        options = options[2:]
    command = ["rustc", *options, "-o", program, program.with_suffix(".rs")]
    subprocess.run(command, check=True)
    found = innermost(program, "<program::shop::Till as program::shop::Sell>::sell")
    assert [name for name, _ in found[:3]] == [
        "<program::shop::Till as program::shop::Sell>::sell",
        "program::shop::open",
        "program::main",
    ]
