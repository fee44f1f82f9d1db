from __future__ import annotations

import pytest

from bpfprobe.model.machine import Symbol, SymbolRange
from bpfprobe.target.kallsyms import Kallsyms
from bpfprobe.target.nearness import is_variant, nearest_names

TEXT = b"""\
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81234560 T vfs_read
ffffffff81234550 t __pfx_vfs_read
ffffffff81234600 t load_elf_phdrs
ffffffff81234700 t load_elf_phdrs
ffffffff81234800 t mm_release.isra.0
ffffffff81234900 D vfs_data
ffffffff81234a00 W vfs_weak
ffffffffc0201000 t nf_ct_delete\t[nf_conntrack]
ffffffffc0301000 t bpf_prog_6deef7357e7b4530\t[bpf]
ffffffffc0401000 t ftrace_trampoline\t[__builtin__ftrace]
"""


@pytest.fixture
def kallsyms() -> Kallsyms:
    return Kallsyms(TEXT)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("vfs_read", [Symbol("vfs_read", 0xFFFFFFFF81234560, "T")]),
        (
            "load_elf_phdrs",
            [
                Symbol("load_elf_phdrs", 0xFFFFFFFF81234600, "t"),
                Symbol("load_elf_phdrs", 0xFFFFFFFF81234700, "t"),
            ],
        ),
        ("nf_ct_delete", [Symbol("nf_ct_delete", 0xFFFFFFFFC0201000, "t", "nf_conntrack")]),
        ("vfs_data", [Symbol("vfs_data", 0xFFFFFFFF81234900, "D")]),
        ("vfs_rea", []),
        ("fs_read", []),
        ("mm_release.isra.0", [Symbol("mm_release.isra.0", 0xFFFFFFFF81234800, "t")]),
        ("mm_releaseXisra.0", []),
        ("", []),
        ("T vfs_read", []),
        ("vfs_read\n", []),
        ("vfs.*", []),
    ],
)
def test_a_name_is_found_whole(kallsyms: Kallsyms, name: str, found: list[Symbol]) -> None:
    assert list(kallsyms.symbols(name)) == found


def test_many_names_are_found_as_one_is() -> None:
    text = TEXT + b"ffffffffc0501000 t t\n" + b"ffffffffc0502000 b b\t[b]"
    names = [line.split()[2].decode() for line in text.splitlines()]
    others = [f"vfs_{number}" for number in range(61)]
    searched = {name: Kallsyms(text).symbols(name) for name in names + others}
    indexed = Kallsyms(text)
    assert {name: indexed.symbols(name) for name in others + names} == searched
    assert [len(searched[name]) for name in ("t", "b", "load_elf_phdrs", "vfs_3")] == [1, 1, 2, 0]


@pytest.mark.parametrize(
    ("address", "found"),
    [
        (0xFFFFFFFF81000000, SymbolRange("_stext", 0xFFFFFFFF81000000, 0x234550)),
        (0xFFFFFFFF81234560, SymbolRange("vfs_read", 0xFFFFFFFF81234560, 0xA0)),
        (0xFFFFFFFF812345FF, SymbolRange("vfs_read", 0xFFFFFFFF81234560, 0xA0)),
        (
            0xFFFFFFFFC0201001,
            SymbolRange("nf_ct_delete", 0xFFFFFFFFC0201000, 0x100000, "nf_conntrack"),
        ),
        (0xFFFFFFFF80000000, None),
        (0xFFFFFFFFC0401000, None),
        (0, None),
    ],
)
def test_the_symbol_of_an_address(
    kallsyms: Kallsyms, address: int, found: SymbolRange | None
) -> None:
    assert kallsyms.symbol_at(address) == found


def test_hidden_addresses_belong_to_nobody() -> None:
    assert Kallsyms(b"0000000000000000 T a\n0000000000000000 T b\n").symbol_at(0) is None


@pytest.mark.parametrize(
    ("name", "others"),
    [("_text", ("_stext",)), ("vfs_read", ()), ("vfs_data", ()), ("gone", ())],
)
def test_other_names_of_a_function(kallsyms: Kallsyms, name: str, others: tuple[str, ...]) -> None:
    assert kallsyms.aliases(name) == others


def test_hidden_addresses_tell_no_other_names() -> None:
    assert Kallsyms(b"0000000000000000 T f\n0000000000000000 T g\n").aliases("f") == ()


def test_functions_leave_out_data_padding_and_what_bpf_made(kallsyms: Kallsyms) -> None:
    assert kallsyms.matching_functions("*") == (
        "_stext",
        "_text",
        "load_elf_phdrs",
        "mm_release.isra.0",
        "nf_ct_delete",
        "vfs_read",
        "vfs_weak",
    )


@pytest.mark.parametrize(
    ("pattern", "found"),
    [("vfs_*", ("vfs_read", "vfs_weak")), ("vfs_rea?", ("vfs_read",)), ("VFS_*", ())],
)
def test_globs(kallsyms: Kallsyms, pattern: str, found: tuple[str, ...]) -> None:
    assert kallsyms.matching_functions(pattern) == found


def test_near_misses(kallsyms: Kallsyms) -> None:
    assert kallsyms.similar_functions("vfs_raed")[0] == "vfs_read"
    assert kallsyms.similar_functions("mm_release") == ("mm_release.isra.0",)
    assert kallsyms.similar_functions("zzzzzzzz") == ()


def test_hidden_addresses_are_noticed() -> None:
    assert not Kallsyms(TEXT).addresses_hidden
    hidden = Kallsyms(b"0000000000000000 T vfs_read\n0000000000000000 t x\t[m]\n")
    assert hidden.addresses_hidden
    assert hidden.symbols("vfs_read") == (Symbol("vfs_read", 0, "T"),)


@pytest.mark.parametrize(
    ("candidate", "name", "expected"),
    [
        ("f.isra.0", "f", True),
        ("f.part.0.isra.1", "f", True),
        ("f.constprop.0", "f", True),
        ("f.cold", "f", True),
        ("f", "f", False),
        ("f.other", "f", False),
        ("ff.isra.0", "f", False),
    ],
)
def test_variants(candidate: str, name: str, expected: bool) -> None:
    assert is_variant(candidate, name) is expected


def test_variants_come_first_and_there_are_five_at_most() -> None:
    names = ["vfs_read", "vfs_readv", "vfs_rea.isra.0", "vfs_rear", "vfs_reap", "vfs_reaq"]
    near = nearest_names("vfs_rea", names)
    assert near[0] == "vfs_rea.isra.0"
    assert len(near) == 5
