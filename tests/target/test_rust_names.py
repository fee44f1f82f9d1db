"""Names of Rust: those of the RFC and of its demangler's tests, and what no compiler writes."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bpfprobe.target.live import LiveTarget
from bpfprobe.target.rust_names import rust_name
from bpfprobe.target.source_names import SourceNames, spellings

if TYPE_CHECKING:
    from pathlib import Path

GENERIC = "_RMCs4fqI2P2rA04_13const_genericINtB0_"
NAMES = {
    "_RNvC6_123foo3bar": "123foo::bar",
    "_RC3foo.llvm.9D1C9369": "foo",
    "_RNvC9backtrace3foo.llvm.A5310EB9": "backtrace::foo",
    "_RNvC9backtrace3foo.cold": "backtrace::foo [clone .cold]",
    "_RINvNtC3std3mem8align_ofdE": "std::mem::align_of::<f64>",
    "_RNqCs4fqI2P2rA04_11utf8_identsu30____7hkackfecea1cbdathfdh9hlq6y":
        "utf8_idents::საჭმელად_გემრიელი_სადილი",
    "_RNCNCNgCs6DXkGYLi8lr_2cc5spawn00B5_": "cc::spawn::{closure#0}::{closure#0}",
    "_RNCINkXs25_NgCsbmNqQUJIY6D_4core5sliceINyB9_4IterhENuNgNoBb_4iter8iterator8Iterator9rposition"
    "NCNgNpB9_6memchr7memrchrs_0E0Bb_":
        "<core::slice::Iter<u8> as core::iter::iterator::Iterator>::rposition::"
        "<core::slice::memchr::memrchr::{closure#1}>::{closure#0}",
    "_RINbNbCskIICzLVDPPb_5alloc5alloc8box_freeDINbNiB4_5boxed5FnBoxuEp6OutputuEL_ECs1iopQbuBiw2_3std":
        "alloc::alloc::box_free::<dyn alloc::boxed::FnBox<(), Output = ()>>",
    "_RMC0INtC8arrayvec8ArrayVechKj7b_E": "<arrayvec::ArrayVec<u8, 123>>",
    f"{GENERIC}8UnsignedKhb_E": "<const_generic::Unsigned<11>>",
    f"{GENERIC}6SignedKan98_E": "<const_generic::Signed<-152>>",
    f"{GENERIC}4BoolKb1_E": "<const_generic::Bool<true>>",
    f"{GENERIC}4CharKc76_E": "<const_generic::Char<'v'>>",
    f"{GENERIC}4CharKca_E": r"<const_generic::Char<'\n'>>",
    f"{GENERIC}4CharKc2202_E": "<const_generic::Char<'∂'>>",
    f"{GENERIC}4TextKRe616263_E": '<const_generic::Text<"abc">>',
    f"{GENERIC}4PairKTl1_ln2_EE": "<const_generic::Pair<(1, -2)>>",
    f"{GENERIC}4ListKRAh1_h2_EE": "<const_generic::List<&[1, 2]>>",
    f"{GENERIC}4EnumKVNtC3foo4NoneUE": "<const_generic::Enum<foo::None>>",
    f"{GENERIC}4EnumKVNtC3foo3RowS1alb_1bpEE": "<const_generic::Enum<foo::Row { a: 11, b: _ }>>",
    f"{GENERIC}4EnumKVNtC3foo4SomeTlb_EE": "<const_generic::Enum<foo::Some(11)>>",
    "_RMC0FUKChEu": '<unsafe extern "C" fn(u8)>',
    "_RMC0FK7stdcallReEOl": '<extern "stdcall" fn(&str) -> *mut i32>',
    "_RMC0DG_INtNtC4core3ops2FnTRL0_eEEp6OutputRL0_eEL_":
        "<dyn for<'a> core::ops::Fn<(&'a str,), Output = &'a str>>",
    "_RMC0DNtC1a1BNtC1c1DEL_": "<dyn a::B + c::D>",
    "_RMC0AQhj4_": "<[&mut u8; 4]>",
    "_RMC0SPa": "<[*const i8]>",
    "_RNSC1a4shims_3foo": "",  # a name stands before the number of what it is
    "_RNSNvC1a4run4shim0": "",
    "_RNSNvC1a3run4once": "a::run::{shim:once#0}",
}  # fmt: skip


@pytest.mark.parametrize("mangled", NAMES)
def test_names(mangled: str) -> None:
    assert rust_name(mangled) == NAMES[mangled]


@pytest.mark.parametrize(
    "mangled",
    [
        "", "_R", "_RX", "_Z3foov", "_ZN1r4shop3buy17ha8714775bd2c8a8dE", "_Rfoo", "_RC", "_RC9a",
        "_RC3foo3bar", "_RB_", "_RNvB_3foo", "_RMC0B_", "_RMC0Ah", "_RMC0KhE", "_RMC0T",
        "_RMC0DNtC1a1BE", "_RMC0RL0_e", "_RMC0DGzzzz_NtC1a1BEL_", "_RINvC1a1bKcd800_E",
        "_RINvC1a1bKcffffffff_E", "_RINvC1a1bKReff_E", "_RINvC1a1bKh" + "f" * 33 + "_E",
        "_RCszzzzzzzzzzzz_1a", "_RC99999a", "_RCu3___",
    ],
)  # fmt: skip
def test_what_is_no_name(mangled: str) -> None:
    assert rust_name(mangled) == ""


def test_a_name_that_doubles_stays_mangled() -> None:
    """Each tuple holds the one before it twice: thirty of them would be a billion letters."""
    text, last = "MC0", ""
    place = len(text)
    for _ in range(40):
        text += "T" + (last * 2 or "hh") + "E"
        last, place = f"B{base_62(place)}", len(text)
    assert rust_name("_R" + text) == ""
    assert rust_name("_RMC0" + "S" * 5000 + "h") == ""
    assert rust_name("_RMC0T" + "h" * 15000 + "E") == ""


def base_62(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    text, number = "", number - 1
    while number >= 0:
        text, number = digits[number % 62] + text, number // 62 - (number < 62)
    return text + "_"


@given(
    st.text("_RCNvMXYIBTSAQKLEGFDpusth0123459abcdexyz.$é", max_size=80)
    | st.builds(
        lambda name, at, letter: name[: at % len(name)] + letter + name[at % len(name) + 1 :],
        st.sampled_from(sorted(NAMES)),
        st.integers(0, 200),
        st.sampled_from("_RCNvMXYIBTSAQKLEGFDp019"),
    )
)
@example("_RC2")
def test_any_text_has_a_name_or_none(text: str) -> None:
    for name in (text, f"_R{text}"):
        found = rust_name(name)
        assert len(found) <= 16384 + len(name) + 9
        assert found.isprintable()


def test_how_people_write_them() -> None:
    assert spellings("<r::shop::Till<i64>>::sell") == (
        "<r::shop::Till<i64>>::sell", "r::shop::Till::sell",
    )  # fmt: skip
    assert spellings("<r::Till as r::Look<(u8,)>>::look") == ("<r::Till as r::Look<(u8,)>>::look",)
    assert spellings("r::three::<fn(u8) -> i8>") == ("r::three::<fn(u8) -> i8>", "r::three")
    names = SourceNames(["_RNvC1ru7grn_ioa", "_RNvC1r5other"])
    assert [source for _, source in names.find("r::grün")] == ["r::grün"]


@pytest.mark.skipif(shutil.which("rustc") is None, reason="needs rustc")
def test_a_program_by_the_names_of_its_source(tmp_path: Path) -> None:
    (tmp_path / "r.rs").write_text(
        "mod shop { pub struct Till<T>(pub T); impl Till<u64> { #[inline(never)] pub fn sell(&self,"
        " a: u64) -> u64 { a * self.0 } } }\n"
        "fn main() { print!(\"{}\", shop::Till(2).sell(3)); }"
    )  # fmt: skip
    options = ["-C", "symbol-mangling-version=v0", "-o", tmp_path / "r"]
    subprocess.run(["rustc", *options, tmp_path / "r.rs"], check=True)
    target = LiveTarget()
    for name in ("r::shop::Till::sell", "<r::shop::Till<u64>>::sell"):
        (found,) = target.binary_symbols(target.binary(str(tmp_path / "r")), name)
        assert found.name.startswith("_R")
        assert "4sell" in found.name
