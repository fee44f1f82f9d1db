"""Functions of C++ and Rust by the names of their source, hit as often as they are called."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

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
struct Till {
    long total;
    KEEP long sell(long n, int price) { asm volatile(""); return total += n * price; }
};
KEEP long twice(int n) { asm volatile(""); return 2L * n; }
KEEP long twice(long n) { asm volatile(""); return 2 * n; }
}
int main()
{
    char go;
    shop::Till till = {};
    while (read(0, &go, 1) == 1) {
        for (int n = 0; n < 23; n++) {
            till.sell(n, -3);
            shop::twice(n);
            shop::twice(1000L + n);
        }
        if (write(1, "k", 1) != 1)
            return 1;
    }
}
"""
# Debian 12's Rust, which is 1.63, has no std::hint::black_box.
RUST = """
use std::io::{Read, Write};
fn opaque(value: u64) -> u64 { unsafe { std::ptr::read_volatile(&value) } }
mod shop {
    pub struct Till(pub u64);
    impl Till {
        #[inline(never)]
        pub fn sell(&self, n: u64) -> u64 { crate::opaque(n * self.0) }
    }
}
fn main() {
    let till = shop::Till(opaque(3));
    let mut go = [0u8; 1];
    while std::io::stdin().read(&mut go).unwrap() == 1 {
        for n in 0..23 {
            opaque(till.sell(n));
        }
        std::io::stdout().write_all(b"k").unwrap();
        std::io::stdout().flush().unwrap();
    }
}
"""


def events_of(program: Path, *probes: bp.Probe) -> list[list[Any]]:
    """The events of each probe, of one round of the program."""
    with subprocess.Popen(
        [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with bp.Session(*probes, pid=process.pid) as session:
            process.stdin.write(b"g")
            assert process.stdout.read(1) == b"k"
            events = sorted(session.events(duration=0), key=lambda event: event.time)
            assert session.statistics().complete
        process.kill()
    return [[event for event in events if event.probe == probe.name] for probe in probes]


@pytest.mark.parametrize("name", ["g++", "clang++"])
def test_cpp(tmp_path: Path, name: str) -> None:
    source, program = tmp_path / "p.cc", tmp_path / "p"
    source.write_text(CPP)
    subprocess.run([*compiler(name, "-O1"), "-o", program, source], check=True)
    path = str(program)
    named, mangled, returned, narrow, wide = events_of(
        program,
        bp.uprobe(path, "shop::Till::sell", event="named", n="$arg2", price="$arg3:s32"),
        bp.uprobe(path, "_ZN4shop4Till4sellEli", event="mangled", n="$arg2", price="$arg3:s32"),
        bp.uretprobe(path, "shop::Till::sell(long, int)", event="returned", total="$retval"),
        bp.probe(f"narrow=uprobe:{path}:shop::twice(int) n=$arg1:s32"),
        bp.probe(f"wide=uprobe:{path}:shop::twice(long) n=$arg1"),
    )
    assert [(e.n, e.price) for e in named] == [(n, -3) for n in range(23)]
    assert [(e.n, e.price) for e in mangled] == [(n, -3) for n in range(23)]
    assert [e.total for e in returned] == [-3 * n * (n + 1) // 2 for n in range(23)]
    assert [e.n for e in narrow] == [*range(23)]
    assert [e.n for e in wide] == [*range(1000, 1023)]


@pytest.mark.skipif(shutil.which("rustc") is None, reason="needs rustc")
@pytest.mark.parametrize("options", [[], ["-C", "symbol-mangling-version=v0"]], ids=["", "v0"])
def test_rust(tmp_path: Path, options: list[str]) -> None:
    source, program = tmp_path / "p.rs", tmp_path / "p"
    source.write_text(RUST)
    subprocess.run(["rustc", *options, "-C", "opt-level=1", "-o", program, source], check=True)
    entered, returned = events_of(
        program,
        bp.uprobe(str(program), "p::shop::Till::sell", event="entered", n="$arg2"),
        bp.uretprobe(str(program), "p::shop::Till::sell", event="returned", result="$retval"),
    )
    assert [e.n for e in entered] == [*range(23)]
    assert [e.result for e in returned] == [3 * n for n in range(23)]
